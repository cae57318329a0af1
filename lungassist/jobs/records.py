"""Jobs in the database. Every function takes the connection of the transaction that it is a part of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from lungassist.errors import JobError
from lungassist.jobs.job import Job, JobState
from lungassist.jobs.locks import names_of
from lungassist.jobs.outcome import Ending
from lungassist.jobs.processes import Identity
from lungassist.store.schema import jobs as table


def now() -> datetime:
    """The present, to be shown; nothing is decided by it."""
    return datetime.now(UTC)


def add(connection: Connection, values: Mapping[str, Any]) -> int:
    """Queue a new job behind all others; returns its number."""
    start = {"state": JobState.QUEUED, "cause": "", "attempts": 0, "token": "", "handle": {}, "created": now()}
    result = connection.execute(insert(table).values({**start, **values, "turn": _last_turn(connection)}))
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def requeue(connection: Connection, number: int, host: str) -> None:
    """Queue a job that is over behind all others, to run on `host` with its arguments for a resume."""
    fresh = {"state": JobState.QUEUED, "cause": "", "attempts": 0, "token": "", "handle": {}, "host": host}
    values = {**fresh, "started": None, "ended": None, "stop_asked": None, "turn": _last_turn(connection)}
    connection.execute(
        update(table).where(table.c.id == number).values(arguments=table.c.resume_arguments).values(values)
    )


def read_all(connection: Connection, limit: int | None = None) -> list[Job]:
    """The newest `limit` jobs or all, newest first, those in the queue with their positions."""
    rows = connection.execute(select(table).order_by(table.c.id.desc()).limit(limit)).all()
    positions = _positions(connection)
    return [replace(_job(row), position=positions.get(row.id)) for row in rows]


def read_open(connection: Connection) -> list[Job]:
    """Jobs that are not over: the active ones and then the queue, in the order in which they are to run."""
    rows = connection.execute(
        select(table)
        .where(table.c.state.in_([state for state in JobState if not state.is_over]))
        .order_by(table.c.turn, table.c.id)
    ).all()
    return sorted(map(_job, rows), key=lambda job: job.state == JobState.QUEUED)


def read(connection: Connection, number: int) -> Job:
    """One job.

    Raises:
        JobError: there is none of this number.
    """
    job = read_if_there(connection, number)
    if job is None:
        raise JobError(f"There is no job {number}: it was deleted, or never was. `jobs list` shows those there are.")
    return replace(job, position=_positions(connection).get(number)) if job.state == JobState.QUEUED else job


def read_if_there(connection: Connection, number: int) -> Job | None:
    """One job, without its position, or None."""
    row = connection.execute(select(table).where(table.c.id == number)).one_or_none()
    return None if row is None else _job(row)


def state_of(connection: Connection, number: int, token: str) -> JobState | None:
    """A job's state if its last start is the one with `token`; None otherwise."""
    found = connection.execute(select(table.c.state).where(table.c.id == number, table.c.token == token)).scalar()
    return None if found is None else JobState(found)


def count_attempt(connection: Connection, number: int) -> int:
    """Note that a queued job is about to be started; returns how often since it was queued, this one included."""
    connection.execute(update(table).where(table.c.id == number).values(attempts=table.c.attempts + 1))
    return int(connection.execute(select(table.c.attempts).where(table.c.id == number)).scalar() or 0)


def claim(connection: Connection, number: int, token: str, handle: Mapping[str, Any]) -> Job | None:
    """Take a queued job for the process that calls this; None if it is queued no more."""
    taken = connection.execute(
        update(table)
        .where(table.c.id == number, table.c.state == JobState.QUEUED)
        .values(state=JobState.RUNNING, token=token, handle=dict(handle), attempts=0, started=now(), ended=None)
    )
    return read(connection, number) if taken.rowcount == 1 else None


def set_handle(connection: Connection, number: int, token: str, handle: Mapping[str, Any]) -> None:
    """Complete what is needed to find the processes of the start with `token`."""
    connection.execute(update(table).where(table.c.id == number, table.c.token == token).values(handle=dict(handle)))


def ask_to_stop(connection: Connection, job: Job, state: JobState, when: float) -> None:
    """Note that a job's processes were asked to end at `when`, in seconds since boot."""
    connection.execute(
        update(table).where(table.c.id == job.id, table.c.token == job.token).values(state=state, stop_asked=when)
    )


def finish(connection: Connection, job: Job, ending: Ending) -> bool:
    """Record the end of the start that `job` shows; False if somebody did before, or the job has gone on since.

    A job that was to be cancelled and did not get done is cancelled, whatever else went wrong meanwhile.
    """
    present = state_of(connection, job.id, job.token)
    if present is None or present.is_over or (present == JobState.QUEUED) != (job.state == JobState.QUEUED):
        return False
    if present == JobState.CANCELLING and ending.state == JobState.FAILED:
        ending = Ending(JobState.CANCELLED)
    connection.execute(
        update(table)
        .where(table.c.id == job.id)
        .values(state=ending.state, cause=ending.cause, ended=now(), stop_asked=None)
    )
    return True


def cancel_queued(connection: Connection, job: Job) -> None:
    """Take a job out of the queue."""
    finish(connection, job, Ending(JobState.CANCELLED))


def remove(connection: Connection, number: int) -> None:
    """Forget a job."""
    connection.execute(delete(table).where(table.c.id == number))


def using(connection: Connection, run_dir: Path, *, besides: int = 0) -> list[int]:
    """Numbers of the other jobs whose run directory this is."""
    chosen = select(table.c.id).where(table.c.run_dir == str(run_dir), table.c.id != besides)
    return list(connection.execute(chosen).scalars())


def using_now(connection: Connection, run_dir: Path, *, besides: int = 0) -> list[int]:
    """Those of them that are not over."""
    over = [state for state in JobState if state.is_over]
    chosen = select(table.c.id).where(
        table.c.run_dir == str(run_dir), table.c.id != besides, table.c.state.not_in(over)
    )
    return list(connection.execute(chosen).scalars())


def _last_turn(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(table.c.turn), 0))).scalar_one()) + 1


def _positions(connection: Connection) -> dict[int, int]:
    """The place of each queued job among those that want the same, on the same host."""
    columns = select(table.c.id, table.c.host, table.c.resource).where(table.c.state == JobState.QUEUED)
    queue = connection.execute(columns.order_by(table.c.turn, table.c.id)).all()
    waiting: dict[tuple[str, str], int] = {}
    positions = {}
    for row in queue:
        wanted = [(row.host, name) for name in names_of(row.resource)]
        place = 1 + max(waiting.get(name, 0) for name in wanted)
        waiting.update(dict.fromkeys(wanted, place))
        positions[row.id] = place
    return positions


def _job(row: Row[Any]) -> Job:
    child = Identity.from_json(row.handle.get("child"))
    state = JobState(row.state)
    return Job(
        id=row.id,
        kind=row.kind,
        title=row.title,
        arguments=tuple(row.arguments),
        resume_arguments=tuple(row.resume_arguments),
        run_dir=Path(row.run_dir),
        resource=row.resource,
        host=row.host,
        state=state,
        cause=row.cause,
        created=row.created,
        started=row.started,
        ended=row.ended,
        pid=child.pid if child and state.is_active else None,
        position=None,
        details=row.details,
        handle=row.handle,
        token=row.token,
        stop_asked=row.stop_asked,
    )
