"""Opening the database, and the two kinds of transaction: to read, and to write with nobody else writing."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DisconnectionError, NoSuchModuleError

from lungassist.errors import StoreError
from lungassist.store.problems import explained
from lungassist.store.schema import NEWEST

#: Seconds to wait for a lock of the database before giving up with a message.
PATIENCE: Final = 5.0

#: Any number will do for PostgreSQL's advisory lock, so long as it is always this one.
_WRITERS: Final = 0x4C554E47


class Store:
    """An open database. Safe to share between threads; `lungassist.jobs` knows what is in it."""

    def __init__(self, engine: Engine) -> None:
        """Use `engine`; call `open_store`, which also builds the tables."""
        self._engine = engine
        self.place = engine.url.database if engine.dialect.name == "sqlite" else engine.url.render_as_string()

    @property
    def shared(self) -> bool:
        """Several hosts may use it. SQLite's WAL needs common memory, so that all its users are on one host."""
        return self._engine.dialect.name != "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that changes nothing and, on SQLite, waits for no writer.

        Raises:
            StoreError: the database cannot be used at present.
        """
        with explained(str(self.place)), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction during which nobody else writes; it is kept whole or, on any exception, not at all.

        Raises:
            StoreError: the database cannot be written at present, and nothing was.
        """
        with explained(str(self.place)), self._engine.connect() as connection:
            # One queue for all writers: they are few and short, and no two can then start the same job.
            connection.execution_options(writes=True)
            with connection.begin():
                if self.shared:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _WRITERS})
                yield connection

    def close(self) -> None:
        """Let go of all connections; the store opens new ones if it is used again."""
        self._engine.dispose()


def open_store(url: str, *, patience: float = PATIENCE) -> Store:
    """Open the database, made if it is not there (SQLite), and bring its tables up to date.

    Processes that open it at once wait for the one that builds the tables.

    Args:
        url: `sqlite:///FILE`, or `postgresql://USER:PASSWORD@HOST/NAME`, as SQLAlchemy reads it.
        patience: seconds to wait for somebody else's lock.

    Raises:
        StoreError: it cannot be opened (says why), or is of a newer LungAssist.
    """
    parsed = _parsed(url)
    store = Store(_sqlite(parsed, patience) if parsed.get_backend_name() == "sqlite" else _postgresql(parsed, patience))
    try:
        if not _up_to_date(store):
            from lungassist.store.upgrade import upgrade

            with store.writing() as connection:
                upgrade(connection, str(store.place))
    except StoreError:
        store.close()
        raise
    return store


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise StoreError(f"LUNGASSIST_DATABASE_URL is no address of a database. {_EXPECTED}") from error
    if backend == "postgres":
        backend = "postgresql"
    if backend not in ("sqlite", "postgresql"):
        raise StoreError(f"LUNGASSIST_DATABASE_URL names a database of kind {backend!r}. {_EXPECTED}")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError(f"LUNGASSIST_DATABASE_URL names no file, and jobs must outlive the app. {_EXPECTED}")
    return parsed.set(drivername="sqlite" if backend == "sqlite" else "postgresql+psycopg")


_EXPECTED: Final = "Expected sqlite:////FOLDER/FILE.db or postgresql://USER:PASSWORD@HOST/NAME."


def _up_to_date(store: Store) -> bool:
    with store.reading() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == NEWEST


def _postgresql(url: URL, patience: float) -> Engine:
    given: dict[str, Any] = {
        "connect_timeout": max(2, round(patience)),
        "options": f"-c lock_timeout={round(patience * 1000)}",
    }
    missing = {name: value for name, value in given.items() if name not in url.query}
    return create_engine(url, pool_pre_ping=True, connect_args=missing)


def _sqlite(url: URL, patience: float) -> Engine:
    path = Path(str(url.database)).expanduser().absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"The folder {path.parent} for the database cannot be made: {error.strerror}.") from error
    engine = create_engine(url.set(database=str(path)), connect_args={"timeout": patience})

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = None  # pysqlite's own idea of transactions; ours begin below
        _use_wal(connection, patience)
        record.info["file"] = _identity(path)

    @event.listens_for(engine, "checkout")
    def checked_out(connection: sqlite3.Connection, record: Any, proxy: Any) -> None:
        del connection, proxy
        if record.info.get("file") != _identity(path):
            raise DisconnectionError("the file was replaced")  # the pool opens the one that lies there now

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _use_wal(connection: sqlite3.Connection, patience: float) -> None:
    """Let readers and a writer work side by side. SQLite does not wait by itself for this one change."""
    deadline = time.monotonic() + patience
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 -- every poll passes here, and Path.stat costs twice as much
    except OSError:
        return None
    return status.st_dev, status.st_ino
