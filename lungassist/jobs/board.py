"""The one object through which pages and commands see jobs: submit, follow, cancel, resume, delete."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lungassist.errors import JobError
from lungassist.jobs import records
from lungassist.jobs.job import Job, JobState
from lungassist.jobs.keeper import Keeper
from lungassist.jobs.launcher import Launcher, LocalLauncher
from lungassist.jobs.processes import since_boot
from lungassist.jobs.request import checked_request
from lungassist.settings import Settings
from lungassist.store import Store, open_store


class JobBoard:
    """All jobs of one database. Holds no state: any number of boards, in any processes, see and do the same.

    Safe to share between threads. Every call reconciles what the database says with what is true, and starts what can
    start, so that a page that polls `jobs()` also keeps the queue moving.
    """

    def __init__(self, store: Store, settings: Settings, launcher: Launcher | None = None) -> None:
        """Use an open store; jobs of this host run by `launcher`, by default as processes of this computer."""
        self._store = store
        self._settings = settings
        self._host = socket.gethostname()
        self._launcher = launcher or LocalLauncher(settings)
        self._keeper = Keeper(store, self._launcher, self._host)

    @classmethod
    def open(cls, settings: Settings) -> JobBoard:
        """The board of the database that `settings.database_url` names.

        Raises:
            StoreError: it cannot be opened; the message says why.
        """
        return cls(open_store(settings.database_url), settings)

    def submit(
        self,
        *,
        kind: str,
        title: str,
        arguments: Sequence[str],
        run_dir: Path,
        resource: str,
        details: Mapping[str, Any] | None = None,
        resume_arguments: Sequence[str] | None = None,
    ) -> Job:
        """Record a job and start it, or queue it behind those that want the same resource.

        Args:
            kind: what sort of work, one word.
            title: free text.
            arguments: what follows `python -m`, the module first.
            run_dir: made if it is not there; of no other job that is not over.
            resource: "cpu", "gpu:N", or several GPUs with commas between.
            details: anything that JSON can hold; kept and given back, never read.
            resume_arguments: instead of `arguments` when the job is resumed; by default the same.

        Raises:
            JobError: what was asked cannot be a job.
            StoreError: it could not be recorded; nothing was started.
        """
        values = checked_request(kind, title, arguments, run_dir, resource, details or {}, resume_arguments)
        with self._store.writing() as connection:
            _require_free(records.using_now(connection, Path(values["run_dir"])), run_dir)
            number = records.add(connection, {**values, "host": self._host})
        self.tick()
        return self.job(number)

    def jobs(self, limit: int | None = None) -> list[Job]:
        """Jobs, newest first, as they truly are: all, or the newest `limit`. A hundred cost a few milliseconds.

        Raises:
            StoreError: the database cannot be read, or a change not be recorded; no job is harmed by that.
        """
        self.tick()
        with self._store.reading() as connection:
            return records.read_all(connection, limit)

    def job(self, number: int) -> Job:
        """One job as it truly is.

        Raises:
            JobError: there is none of this number.
            StoreError: as of `jobs`.
        """
        self.tick()
        with self._store.reading() as connection:
            return records.read(connection, number)

    def cancel(self, number: int) -> Job:
        """Stop a job. One in the queue is cancelled at once; one that runs is `cancelling` until all its processes are
        gone, which takes seconds. What is over stays as it is.

        Raises:
            JobError: there is none of this number.
            StoreError: it could not be recorded; the job goes on.
        """
        with self._store.writing() as connection:
            job = records.read(connection, number)
            if job.state == JobState.QUEUED:
                records.cancel_queued(connection, job)
            elif job.state == JobState.RUNNING:
                records.ask_to_stop(connection, job, JobState.CANCELLING, since_boot())
        if job.state.is_active and self._keeper.is_ours(job):
            self._launcher.stop(job, by_force=False)
        return self.job(number)

    def resume(self, number: int) -> Job:
        """Queue a failed or cancelled job once more, with the same number and run directory, on this host.

        Raises:
            JobError: there is none of this number, it is not over, it is done, or its run directory is gone or in use.
            StoreError: it could not be recorded.
        """
        self.tick()
        with self._store.writing() as connection:
            job = records.read(connection, number)
            if not job.can_resume:
                raise JobError(f"Job {number} is {job.state}; only one that failed or was cancelled can be resumed.")
            if not job.run_dir.is_dir():
                raise JobError(f"The run directory {job.run_dir} of job {number} is gone; start a new job instead.")
            _require_free(records.using_now(connection, job.run_dir, besides=number), job.run_dir)
            records.requeue(connection, number, self._host)
        return self.job(number)

    def delete(self, number: int, *, with_run: bool) -> None:
        """Forget a job that is over or waits, and remove its run directory if `with_run`.

        A job of another host that was cancelled and does not answer can be forgotten too.

        Raises:
            JobError: there is none of this number, it runs, or its run directory cannot be removed: it does not lie in
                the folder of runs or of evaluations, another job uses it, or the disk refuses.
            StoreError: it could not be recorded; nothing was removed.
        """
        self.tick()
        with self._store.writing() as connection:
            job = records.read(connection, number)
            lost = job.state == JobState.CANCELLING and not self._keeper.is_ours(job)
            if job.state.is_active and not lost:
                raise JobError(f"Job {number} is {job.state}; cancel it before you delete it.")
            if with_run:
                self._require_removable(job, records.using(connection, job.run_dir, besides=number))
            records.remove(connection, number)
        if with_run and job.run_dir.exists():
            _remove_run(job)

    def tick(self) -> None:
        """Record the end of jobs whose processes are gone, and start what can start.

        Raises:
            StoreError: the database cannot be used at present.
        """
        self._keeper.tick()

    def close(self) -> None:
        """Let go of the database. Jobs go on."""
        self._store.close()

    def _require_removable(self, job: Job, others: list[int]) -> None:
        ours = [self._settings.runs_dir.resolve(), self._settings.evaluations_dir.resolve()]
        if not set(ours) & set(job.run_dir.resolve().parents):
            places = " or ".join(map(str, ours))
            raise JobError(f"{job.run_dir} does not lie in {places}, and is not removed. Delete the job alone.")
        if others:
            raise JobError(
                f"{job.run_dir} is also the run of job {others[0]}. Delete the job alone, or that one first."
            )


def _require_free(users: list[int], run_dir: Path) -> None:
    if users:
        raise JobError(f"The run directory {run_dir} is in use by job {users[0]}. Wait for it, or name another.")


def _remove_run(job: Job) -> None:
    try:
        shutil.rmtree(job.run_dir.resolve())
    except OSError as error:
        raise JobError(
            f"Job {job.id} is deleted, but not all of {job.run_dir}: {error.strerror}. Remove the rest by hand."
        ) from error
