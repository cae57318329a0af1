"""What pages share: the session's worklist, cached models, charts and downloads."""
