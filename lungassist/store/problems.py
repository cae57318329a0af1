"""From a database driver's error to a sentence with what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from lungassist.errors import StoreError

_NO_TABLES: Final = "lacks its tables: it was replaced while LungAssist used it. Start LungAssist again."

#: SQLite's result codes (sqlite.org/rescode.html), longer names first where one begins another.
_SQLITE: Final = {
    "SQLITE_BUSY": "is locked by another process. Wait, or close what else uses it; running jobs go on.",
    "SQLITE_LOCKED": "is locked by another process. Wait, or close what else uses it; running jobs go on.",
    "SQLITE_READONLY": "is read-only: the file and its folder must be writable for the user who runs LungAssist.",
    "SQLITE_PERM": "may not be opened by the user who runs LungAssist. Change its permissions.",
    "SQLITE_AUTH": "may not be opened by the user who runs LungAssist. Change its permissions.",
    "SQLITE_CANTOPEN": "cannot be opened: its folder is missing, or read-only for the user who runs LungAssist.",
    "SQLITE_FULL": "cannot grow: the disk is full. Free some space; running jobs go on.",
    "SQLITE_IOERR": "cannot be read or written: the disk reports an error, or is full. Running jobs go on.",
    "SQLITE_CORRUPT": "is damaged. Move it away and start again; runs and models are not in it and stay whole.",
    "SQLITE_NOTADB": "is no SQLite database, or damaged. Move it away and start again; runs and models stay whole.",
}

#: SQLSTATE codes or classes of PostgreSQL (appendix A of its manual), longer ones first.
_POSTGRESQL: Final = {
    "3D000": "does not exist on its server. Create it with createdb.",
    "25006": "is read-only at present: the server is a standby, or set so.",
    "42501": "refuses the user: grant it the right to create tables.",
    "42P01": _NO_TABLES,
    "53100": "cannot grow: the server's disk is full. Running jobs go on.",
    "53300": "has too many connections at present. Close others, or raise max_connections.",
    "55P03": "is locked by another session. Wait, or end it; running jobs go on.",
    "28": "refuses the log-in. Check user and password in LUNGASSIST_DATABASE_URL.",
    "57P": "is shutting down or starting up. Try again in a moment.",
}

#: What a server says to a log-in that it refuses; there the driver has no SQLSTATE to give.
_REFUSALS: Final = {
    "does not exist": _POSTGRESQL["3D000"],
    "authentication failed": _POSTGRESQL["28"],
    "no pg_hba.conf entry": _POSTGRESQL["28"],
    "no password supplied": _POSTGRESQL["28"],
    "too many c": _POSTGRESQL["53300"],
    "the database system is": _POSTGRESQL["57P"],
}


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn errors of the database within the block into `StoreError`; `place` names it, without its password."""
    try:
        yield
    except SQLAlchemyError as error:
        original: Any = getattr(error, "orig", None) or error
        raise StoreError(f"The database {place} {_explanation(original)}") from error
    except sqlite3.Error as error:  # from what runs when a connection opens
        raise StoreError(f"The database {place} {_explanation(error)}") from error


def _explanation(error: Any) -> str:
    said = " ".join(str(error).split())
    if "no such table" in said:
        return _NO_TABLES
    name = getattr(error, "sqlite_errorname", None) or ""
    state = getattr(error, "sqlstate", None) or ""
    for start, words in (_SQLITE if name else _POSTGRESQL).items():
        if (name or state).startswith(start):
            return words
    if type(error).__module__.startswith("psycopg") and not state:
        for part, words in _REFUSALS.items():
            if part in said:
                return words
        return f"does not answer. Check that PostgreSQL runs and LUNGASSIST_DATABASE_URL is right ({said})."
    return f"reports: {said}"
