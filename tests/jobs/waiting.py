"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lungassist.jobs import Job, JobBoard, JobState

T = TypeVar("T")

#: Seconds after which a test is given up; it is long, since machines may be busy, and no test's result depends on it.
LIMIT = 60.0


def until(look: Callable[[], T], what: str = "") -> T:
    """Look again and again until there is something true to return."""
    deadline = time.monotonic() + LIMIT
    while not (found := look()):
        assert time.monotonic() < deadline, f"still waiting: {what or look}"
        time.sleep(0.05)
    return found


def until_state(board: JobBoard, number: int, *states: JobState) -> Job:
    """Follow a job, as a page does, until it is in one of the states."""

    def look() -> Job | None:
        job = board.job(number)
        assert job.state in states or not job.state.is_over, f"{job.state}: {job.cause}\n{log_of(job)}"
        return job if job.state in states else None

    return until(look, f"job {number} to be {states}")


def until_written(path: Path) -> str:
    """The text of a file that a job writes in one step."""
    return until(lambda: path.exists() and path.read_text(), str(path)) or ""


def log_of(job: Job) -> str:
    """What a job has printed so far."""
    return job.log.read_text() if job.log.exists() else ""
