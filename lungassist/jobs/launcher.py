"""Where jobs run. A launcher starts, watches and stops processes; it decides nothing and keeps nothing of its own.

`LocalLauncher` runs them on this computer. A cluster's would submit a script in `start`, keep its number in the job's
handle, and answer `condition` from the cluster's own queue.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path
from typing import Final, Protocol

import lungassist
from lungassist.jobs import locks
from lungassist.jobs.job import Job
from lungassist.jobs.processes import (
    JOB_MARK,
    RUNNER_MARK,
    TOKEN_MARK,
    Identity,
    descendants,
    marked,
    send_all,
)
from lungassist.settings import Settings

#: The project's root: what `python -m` must find is importable from there.
ROOT: Final = Path(lungassist.__file__).resolve().parent.parent


class Condition(Enum):
    """What is there of an active job."""

    RUNNING = auto()  #: somebody watches it and will record its end
    ORPHANED = auto()  #: processes are left that nobody watches
    GONE = auto()  #: nothing


class Launcher(Protocol):
    """What the board needs to know how to do in one place where jobs run."""

    def reserve(self, resource: str) -> list[int] | None:
        """Take a resource, or return None if it is in use; what is returned goes to `start` and then `release`."""

    def release(self, reservation: Sequence[int]) -> None:
        """Give up this process's own share of a reservation; a job that was started keeps it."""

    def start(self, job: Job, reservation: Sequence[int]) -> None:
        """Start a queued job, which records itself as running, or leave all as it was and raise `OSError`."""

    def condition(self, job: Job) -> Condition:
        """What is there of an active job."""

    def stop(self, job: Job, *, by_force: bool) -> None:
        """Ask all of an active job's processes to end, or end them; no other process is touched."""


class LocalLauncher:
    """Processes of this computer: a runner a job, in a session of its own, so that nothing ends it but itself."""

    #: Runners that this process started. Their parent must collect them when they end.
    _started: Final[list[subprocess.Popen[bytes]]] = []

    def __init__(self, settings: Settings) -> None:
        """Jobs get the same places as `settings` names."""
        self._settings = settings

    def reserve(self, resource: str) -> list[int] | None:
        """Take the kernel's locks of a resource."""
        return locks.take(resource, self._settings)

    def release(self, reservation: Sequence[int]) -> None:
        """Close this process's share of the locks."""
        locks.release(reservation)

    def start(self, job: Job, reservation: Sequence[int]) -> None:
        """Spawn the runner, which inherits the locks; its output goes to the job's log."""
        job.run_dir.mkdir(parents=True, exist_ok=True)
        line = [sys.executable, "-m", "lungassist.jobs.runner", str(job.id), *map(str, reservation)]
        with job.log.open("ab") as log:
            self._started.append(
                subprocess.Popen(
                    line,
                    cwd=ROOT,
                    env=self._environment(job),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=tuple(reservation),
                    start_new_session=True,
                )
            )

    def condition(self, job: Job) -> Condition:
        """Look for the runner; if it is gone, for what it left."""
        self._started[:] = [process for process in self._started if process.poll() is None]
        runner = _runner(job)
        if runner is not None and runner.is_alive():
            return Condition.RUNNING
        return Condition.ORPHANED if marked(job.token) else Condition.GONE

    def stop(self, job: Job, *, by_force: bool) -> None:
        """Ask the runner, which stops the tree below it; by force, or without a runner, go through the tree."""
        runner = _runner(job)
        alive = runner is not None and runner.is_alive()
        if runner is not None and alive and not by_force:
            runner.send(signal.SIGTERM)
            return
        number = signal.SIGKILL if by_force else signal.SIGTERM
        ours = marked(job.token)
        below = [process for known in ours for process in descendants(known.pid)]
        send_all([*ours, *below, *(descendants(runner.pid) if runner is not None and alive else [])], number)
        if runner is not None and by_force:
            runner.send(number)

    def _environment(self, job: Job) -> dict[str, str]:
        settings = self._settings
        inherited = {key: value for key, value in os.environ.items() if key not in (JOB_MARK, TOKEN_MARK)}
        return {
            **inherited,
            RUNNER_MARK: str(job.id),
            "PYTHONUNBUFFERED": "1",
            "LUNGASSIST_HOME": str(settings.home),
            "LUNGASSIST_DATABASE_URL": settings.database_url,
            "LUNGASSIST_WEIGHTS": str(settings.weights_dir),
            "LUNGASSIST_DATA_ROOTS": os.pathsep.join(map(str, settings.data_roots)),
        }


def _runner(job: Job) -> Identity | None:
    return Identity.from_json(job.handle.get("runner"))
