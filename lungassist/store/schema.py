"""The tables as this version of LungAssist knows them; the migrations beside build them step by step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import JSON, Column, DateTime, Float, Integer, MetaData, Table, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

#: The newest migration. Named here so that an up-to-date database is recognised without loading Alembic.
NEWEST: Final = "0001"


class Moment(TypeDecorator[datetime]):
    """An aware `datetime`, kept as UTC; databases differ in what they do with time zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Into the database."""
        del dialect
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Out of it."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


metadata = MetaData()

#: A row a job. `turn` orders the queue, `attempts` counts starts that came to nothing, `token` marks the processes of
#: the present start, `handle` is what its launcher needs to find them again, `stop_asked` is when they were asked to
#: end, in seconds of the clock that no user sets (since boot).
jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("resume_arguments", JSON, nullable=False),
    Column("run_dir", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("cause", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("started", Moment),
    Column("ended", Moment),
    Column("turn", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("token", Text, nullable=False),
    Column("handle", JSON, nullable=False),
    Column("stop_asked", Float),
    Column("details", JSON, nullable=False),
    sqlite_autoincrement=True,  # the number of a deleted job is not given to another
)
