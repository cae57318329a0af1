"""Parts of the pages that run in the reader's browser."""
