"""The job's own process, as its runner sees it, and what Linux offers to keep hold of it (man prctl(2), sched(7))."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from lungassist.jobs.job import Job
from lungassist.jobs.launcher import ROOT
from lungassist.jobs.processes import JOB_MARK, RUNNER_MARK, TOKEN_MARK, Identity
from lungassist.jobs.resources import environment_for

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_NICE: Final = 10

_libc: Final = ctypes.CDLL(None, use_errno=True)


class Child:
    """`python -m ...` in the project's root, marked as the job's, its output going to the job's log."""

    def __init__(self, job: Job, locks: Sequence[int]) -> None:
        """Start it; open `locks` go with it, so that they are held for as long as it lives.

        Raises:
            OSError: it cannot be started: no memory, too many processes, no disk for its log.
        """
        inherited = {key: value for key, value in os.environ.items() if key != RUNNER_MARK}
        marks = {JOB_MARK: str(job.id), TOKEN_MARK: job.token}
        self._process = subprocess.Popen(
            [sys.executable, "-m", *job.arguments],
            cwd=ROOT,
            env={**inherited, **marks, **environment_for(job.resource)},
            stdin=subprocess.DEVNULL,
            pass_fds=tuple(locks),
            preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 -- a runner has one thread
        )
        self.identity = Identity.of(self._process.pid)
        self.exit_status: int | None = None

    def ask_to_end(self) -> None:
        """Send it SIGTERM; nothing happens if it has ended."""
        if self.exit_status is None:
            self._process.send_signal(signal.SIGTERM)

    def collect(self) -> None:
        """Take the exit status if it has ended, and let the kernel forget adopted processes that have."""
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid == self._process.pid:
                    self.exit_status = self._process.wait()
                else:
                    os.waitpid(ended.si_pid, 0)


def adopt_orphans() -> None:
    """Processes below this one whose parent ends become its own children, wherever they are in the tree."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def be_nice(pid: int) -> None:
    """Let other programs go first, within a session and, where the kernel groups sessions, among them."""
    with contextlib.suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, pid) >= _NICE:
            return
        os.setpriority(os.PRIO_PROCESS, pid, _NICE)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(_NICE), encoding="ascii")


def _die_with(runner: int) -> Callable[[], None]:
    """What the child does before it becomes the job's program. Calls only what is safe between fork and exec."""

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != runner:  # it died before the line above
            os._exit(1)

    return prepare
