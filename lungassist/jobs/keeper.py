"""Keeping the record true and the queue moving. Runs in whatever process looks: a page, a command, a runner."""

from __future__ import annotations

from typing import Final

from lungassist.jobs import records
from lungassist.jobs.job import Job, JobState
from lungassist.jobs.launcher import Condition, Launcher
from lungassist.jobs.locks import names_of
from lungassist.jobs.outcome import Ending, ending_without_runner
from lungassist.jobs.processes import since_boot
from lungassist.store import Store

#: Seconds that processes have to end by themselves once asked.
GRACE: Final = 8.0

#: Seconds after which a runner that was asked to stop its job, and did not, is ended with it.
_RUNNER_GRACE: Final = GRACE + 7.0

#: Starts of a runner that may come to nothing before the job is given up.
_ATTEMPTS: Final = 3


class Keeper:
    """Compares the open jobs of one host with the processes that are there."""

    def __init__(self, store: Store, launcher: Launcher, host: str) -> None:
        """Keep the jobs of `host` in `store`."""
        self._store = store
        self._launcher = launcher
        self._host = host

    def is_ours(self, job: Job) -> bool:
        """Whether this host runs a job. All users of a database that hosts cannot share are on one, however called."""
        return not self._store.shared or job.host == self._host

    def tick(self) -> None:
        """Reconcile, then dispatch. When nothing has changed this is one read and a look at /proc for each active job.

        Raises:
            StoreError: the database cannot be used at present.
        """
        ours = self._open_jobs()
        changed = [job for job in ours if job.state.is_active and self._reconcile(job)]
        self._dispatch(self._open_jobs() if changed else ours)

    def _open_jobs(self) -> list[Job]:
        with self._store.reading() as connection:
            return [job for job in records.read_open(connection) if self.is_ours(job)]

    def _reconcile(self, job: Job) -> bool:
        """Bring the record of one active job to the truth; True if it is over now."""
        condition = self._launcher.condition(job)
        if condition is Condition.GONE:
            with self._store.writing() as connection:
                return records.finish(connection, job, ending_without_runner(job))
        asked_for = None if job.stop_asked is None else since_boot() - job.stop_asked
        if condition is Condition.ORPHANED and asked_for is None:
            with self._store.writing() as connection:
                records.ask_to_stop(connection, job, job.state, since_boot())
            self._launcher.stop(job, by_force=False)
        elif asked_for is not None and asked_for > (GRACE if condition is Condition.ORPHANED else _RUNNER_GRACE):
            self._launcher.stop(job, by_force=True)
        return False

    def _dispatch(self, jobs: list[Job]) -> None:
        """Start every queued job whose resource is free, in order: none overtakes another that wants the same."""
        busy = {name for job in jobs if job.state.is_active for name in names_of(job.resource)}
        for job in jobs:
            wanted = set(names_of(job.resource))
            if job.state == JobState.QUEUED and not wanted & busy:
                self._start(job)
            busy |= wanted

    def _start(self, job: Job) -> None:
        """Take the locks; then nobody else can start anything on them, and what was read a moment ago is read anew."""
        reservation = self._launcher.reserve(job.resource)
        if reservation is None:
            return
        try:
            if self._is_next(job):
                self._launcher.start(job, reservation)
        except OSError as error:
            with self._store.writing() as connection:
                ending = Ending(JobState.FAILED, f"It could not be started: {error.strerror or error}.")
                records.finish(connection, job, ending)
        finally:
            self._launcher.release(reservation)

    def _is_next(self, job: Job) -> bool:
        with self._store.writing() as connection:
            wanted = set(names_of(job.resource))
            rivals = (each for each in records.read_open(connection) if self.is_ours(each))
            first = next((each for each in rivals if wanted & set(names_of(each.resource))), None)
            if first is None or first.id != job.id or first.state != JobState.QUEUED:
                return False
            if records.count_attempt(connection, job.id) <= _ATTEMPTS:
                return True
            cause = f"It ended {_ATTEMPTS} times before it began. Its log says why."
            records.finish(connection, job, Ending(JobState.FAILED, cause))
            return False
