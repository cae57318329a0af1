"""A board on a data folder of the test's own; what a test leaves running is stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lungassist.jobs import Job, JobBoard, locks
from lungassist.jobs.processes import RUNNER_MARK, TOKEN_MARK
from lungassist.settings import Settings
from tests.databases import database_url, postgres_server, postgres_url, sqlite_url
from tests.jobs.waiting import until

__all__ = ["database_url", "postgres_server", "postgres_url", "sqlite_url"]

Submit = Callable[..., Job]


@pytest.fixture
def settings(home: Path) -> Iterator[Settings]:
    """Settings of a fresh data folder with SQLite; nothing of it runs after the test."""
    settings = Settings.from_environment()
    yield settings
    end_all_of(settings)


def end_all_of(settings: Settings) -> None:
    """Kill runners and jobs that carry this data folder in their environment, and all that they started."""

    def left() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                environment = process.environ()
                ours = environment.get("LUNGASSIST_HOME") == str(settings.home)
                of_a_job = RUNNER_MARK in environment or TOKEN_MARK in environment
                if ours and of_a_job and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def gone() -> bool:
        for process in left():
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        return not left()

    until(gone)


@pytest.fixture
def board(settings: Settings) -> Iterator[JobBoard]:
    """The board of `settings`."""
    board = JobBoard.open(settings)
    yield board
    board.close()


@pytest.fixture
def submit(board: JobBoard, settings: Settings) -> Submit:
    """Submit `python -m tests.jobs.work WORDS...`, each job with a run directory of its own."""

    def submit(*words: object, resource: str = "cpu", name: str = "", **more: object) -> Job:
        run_dir = settings.runs_dir / (name or f"run{len(list(settings.runs_dir.glob('*')))}")
        arguments = ("tests.jobs.work", str(run_dir), *map(str, words))
        given = {"kind": "test", "title": "a job", "arguments": arguments, "run_dir": run_dir, "resource": resource}
        run_dir.mkdir(parents=True, exist_ok=True)
        return board.submit(**{**given, **more})  # type: ignore[arg-type]

    return submit


@pytest.fixture
def cpu_is_taken(settings: Settings) -> Iterator[None]:
    """Somebody else holds the CPU's lock, so that jobs for it stay in the queue."""
    held = locks.take("cpu", settings)
    assert held
    yield
    locks.release(held)
