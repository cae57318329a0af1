"""Processes that are certainly ours: found again after a restart, never mistaken for one that got the same number.

A process is known by its pid, the tick since boot at which it began and the boot itself; none of them depends on a
clock that a user can set. What a job started is known by a random token in its environment, which children inherit,
also those that begin a session of their own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil

#: Environment of everything that a job starts: its number, and the token of this start.
JOB_MARK: Final = "LUNGASSIST_JOB"
TOKEN_MARK: Final = "LUNGASSIST_JOB_TOKEN"
#: Environment of a runner. A job may submit jobs; their runners are its descendants, but none of its own.
RUNNER_MARK: Final = "LUNGASSIST_JOB_RUNNER"

_GONE: Final = (psutil.NoSuchProcess, psutil.AccessDenied, OSError)
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def since_boot() -> float:
    """Seconds since the computer started, sleep included. The same for all processes; nobody sets this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """The kernel's name for the time since it started."""
    return _BOOT.read_text(encoding="ascii").strip()


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, for good: `started` in clock ticks since boot (field 22 of /proc/PID/stat, man proc(5))."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The identity of a process that runs now; None if there is none or it has ended."""
        started = _start_tick(pid)
        return None if started is None else cls(pid, started, boot_id())

    @classmethod
    def from_json(cls, values: Any) -> Identity | None:
        """Read what `to_json` wrote; None if it is something else."""
        if not isinstance(values, Mapping):
            return None
        pid, started, boot = (values.get(name) for name in ("pid", "started", "boot"))
        if not (isinstance(pid, int) and isinstance(started, int) and isinstance(boot, str)):
            return None
        return cls(pid, started, boot)

    def to_json(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

    def is_alive(self) -> bool:
        """Whether this very process runs. One that ended and was not yet collected (a zombie) does not."""
        return _start_tick(self.pid) == self.started and boot_id() == self.boot

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this very process; nothing happens if it is gone, or another user's."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return
        try:
            # The descriptor stays with one process: if it is ours now, it cannot become another's.
            if self.is_alive():
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def _start_tick(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()
    return None if state in "ZXx" else int(fields[18])


def marked(token: str) -> list[psutil.Process]:
    """Every process of this user whose environment carries a token. Reads all of /proc: some milliseconds."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(*_GONE):
            if token and process.environ().get(TOKEN_MARK) == token and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def descendants(pid: int) -> list[psutil.Process]:
    """All that a process started, directly or not, and that still runs; runners of other jobs are left out."""
    try:
        below = psutil.Process(pid).children(recursive=True)
    except _GONE:
        return []
    foreign: set[int] = set()
    found = []
    for process in below:  # parents come before their children
        if _parent(process) in foreign or _is_runner(process):
            foreign.add(process.pid)
        elif not _is_zombie(process):
            found.append(process)
    return found


def send_all(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to each; psutil checks that a pid was not given to another since. Those gone are passed over."""
    for process in processes:
        with contextlib.suppress(*_GONE):
            process.send_signal(number)


def _parent(process: psutil.Process) -> int:
    try:
        return int(process.ppid())
    except _GONE:
        return 0


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except _GONE:
        return True


def _is_runner(process: psutil.Process) -> bool:
    try:
        return RUNNER_MARK in process.environ()
    except _GONE:
        return False
