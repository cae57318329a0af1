"""`python -m lungassist.jobs.runner ID [FD...]`: the light process that starts a job, watches it, and records its end.

It holds the locks of the job's resource, inherited from whoever started it, and hands them on to the job. What the job
starts stays below it (it is their subreaper), so that a cancel reaches everything. If it dies itself, the kernel
asks the job to end, and whoever looks next records that. Not meant to be called by people.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from lungassist.errors import LungAssistError, StoreError
from lungassist.jobs import locks, records
from lungassist.jobs.board import JobBoard
from lungassist.jobs.child import Child, adopt_orphans, be_nice
from lungassist.jobs.job import Job, JobState
from lungassist.jobs.keeper import GRACE
from lungassist.jobs.outcome import Ending, ending_of, mark_of, read_status, record_exit
from lungassist.jobs.processes import Identity, boot_id, descendants, send_all
from lungassist.jobs.resources import CPU
from lungassist.settings import Settings
from lungassist.store import Store, open_store

#: Handled by waiting for them, never in the midst of something.
_SIGNALS: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}

#: Seconds between looks at the record, for a cancel that no signal could bring.
_LOOK: Final = 2.0

#: Seconds for a database that is locked or away. The end of a job is in its run directory by then, too.
_PATIENCE: Final = 60.0

#: Seconds that what a job leaves behind has to end by itself.
_LEFTOVER_GRACE: Final = 3.0

log = logging.getLogger("lungassist.jobs")
T = TypeVar("T")


class Runner:
    """One start of one job."""

    def __init__(self, store: Store, number: int, held: Sequence[int]) -> None:
        """Prepare to run job `number` under the locks `held`; nothing happens before `run`."""
        self._store = store
        self._held = held
        self._number = number
        self._token = secrets.token_hex(16)
        self._asked = False
        self._stopped_at: float | None = None

    def run(self) -> None:
        """Claim the job, run it to its end, and record that. Does nothing if the job waits no more.

        Raises:
            StoreError: the job could not be claimed; it stays in the queue.
        """
        job = _patiently(self._claim)
        if job is None:
            return
        adopt_orphans()
        if job.resource == CPU:
            be_nice(os.getpid())
        exit_status: int | None = None
        try:
            child = Child(job, self._held)
        except OSError as error:
            ending = Ending(JobState.FAILED, f"It could not be started: {error.strerror or error}.")
        else:
            self._remember(job, child)
            exit_status = self._watch(job, child)
            status = read_status(job.run_dir, str(job.handle["status_mark"]))
            ending = ending_of(exit_status, status, asked=self._asked or self._is_cancelling())
        self._record(job, ending, exit_status)

    def _claim(self) -> Job | None:
        me = Identity.of(os.getpid())
        assert me is not None
        with self._store.writing() as connection:
            queued = records.read_if_there(connection, self._number)
            if queued is None or queued.state != JobState.QUEUED:
                return None
            if self._store.shared and queued.host != socket.gethostname():
                return None
            mark = mark_of(queued.run_dir)
            handle = {"runner": me.to_json(), "boot": boot_id(), "status_mark": mark}
            return records.claim(connection, self._number, self._token, handle)

    def _remember(self, job: Job, child: Child) -> None:
        """Note the job's process. Without the note it would still be found, by its environment."""
        handle = {**job.handle, "child": child.identity.to_json() if child.identity else None}
        try:
            with self._store.writing() as connection:
                records.set_handle(connection, job.id, self._token, handle)
        except StoreError as error:
            log.warning("The process could not be noted: %s", error)

    def _watch(self, job: Job, child: Child) -> int:
        """Wait until the job's process and all that it started are gone; returns the exit status."""
        look_at = time.monotonic()
        while child.exit_status is None:
            received = signal.sigtimedwait(_SIGNALS, 0.2 if self._stopped_at else _LOOK)
            child.collect()
            if received is not None and received.si_signo != signal.SIGCHLD:
                self._stop(child)
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + _LOOK
                if self._stopped_at is None and self._is_cancelling():
                    self._stop(child)
                if job.resource == CPU:
                    for process in descendants(os.getpid()):
                        be_nice(process.pid)
            if self._stopped_at is not None and time.monotonic() > self._stopped_at + GRACE:
                send_all(descendants(os.getpid()), signal.SIGKILL)
        self._clear_away(child)
        return child.exit_status

    def _stop(self, child: Child) -> None:
        """Ask the job's process to end, once. What it started is its own affair during the grace, as a worker that is
        killed first would look like a failure to it; thereafter nothing is spared."""
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._asked = self._is_cancelling()
            child.ask_to_end()

    def _clear_away(self, child: Child) -> None:
        """End what the job left behind."""
        deadline = time.monotonic() + _LEFTOVER_GRACE
        left = descendants(os.getpid())
        send_all(left, signal.SIGTERM)
        while left and time.monotonic() < deadline + 2 * GRACE:  # a process stuck in a driver cannot be ended at all
            if time.monotonic() > deadline:
                send_all(left, signal.SIGKILL)
            signal.sigtimedwait({signal.SIGCHLD}, 0.1)
            child.collect()
            left = descendants(os.getpid())

    def _is_cancelling(self) -> bool:
        try:
            with self._store.reading() as connection:
                return records.state_of(connection, self._number, self._token) == JobState.CANCELLING
        except StoreError:
            return False

    def _record(self, job: Job, ending: Ending, exit_status: int | None) -> None:
        log.info("Job %s: %s. %s", job.id, ending.state, ending.cause)
        try:
            record_exit(job, ending, exit_status)
        except OSError as error:
            log.warning("Its end could not be noted in %s: %s", job.run_dir, error)

        def finish() -> None:
            with self._store.writing() as connection:
                records.finish(connection, job, ending)

        _patiently(finish)


def _patiently(action: Callable[[], T]) -> T:
    """Do what needs the database, again and again while it is locked or away."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return action()
        except StoreError as error:
            if time.monotonic() > deadline:
                raise
            log.warning("%s", error)
            time.sleep(0.5)


def main(argv: Sequence[str]) -> int:
    """Run the job `argv[0]` under the locks `argv[1:]`, then let the next one start."""
    number, held = int(argv[0]), [int(text) for text in argv[1:]]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    settings = Settings.from_environment()
    try:
        store = _patiently(lambda: open_store(settings.database_url, patience=2.0))
        Runner(store, number, held).run()
        locks.release(held)
        board = JobBoard(store, settings)
        board.tick()
        time.sleep(0.2)  # somebody may just have looked at a lock, and so kept it from being taken
        board.tick()
    except LungAssistError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
