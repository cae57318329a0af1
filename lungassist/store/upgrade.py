"""Bringing a database to the tables that this version knows; the only file that loads Alembic."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from lungassist.errors import StoreError

_SCRIPTS: Final = Path(__file__).parent / "migrations"


def configuration() -> Config:
    """Alembic's configuration without an `alembic.ini`: the scripts travel with the package."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    # The default, a colon, would split a folder's name that holds one.
    config.set_main_option("path_separator", "newline")
    return config


def upgrade(connection: Connection, place: str) -> None:
    """Apply what is missing, within the transaction of `connection`, which must keep other writers out.

    Raises:
        StoreError: the database is of a newer LungAssist.
    """
    config = configuration()
    present = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if present is not None and present not in known:
        raise StoreError(
            f"The database {place} was made by a newer version of LungAssist (its tables are of version {present!r}). "
            "Use that version, or name another database by LUNGASSIST_DATABASE_URL."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
