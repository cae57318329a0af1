"""A folder that a user named for results."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lungassist.errors import UsageError


def writable(folder: Path) -> Path:
    """Make `folder` if need be and try to write there.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"Nothing can be written into {folder} ({reason}). Name another folder.") from error
    return folder
