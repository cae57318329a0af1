"""How a job ended, and why, in words: from its exit status, from what it wrote itself, or from what it left behind."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lungassist.files import write_json
from lungassist.jobs.job import Job, JobState
from lungassist.jobs.processes import boot_id

#: In a run directory: what the job says of itself (see `lungassist.training.progress`), and what its runner saw.
STATUS: Final = "status.json"
EXIT: Final = "exit.json"

_RESUME: Final = "Resume it to go on from its last checkpoint."
_KILLED: Final = (
    "It was killed (signal 9). Probably the computer ran out of memory: choose a smaller batch or fewer workers, "
    "then resume it."
)


@dataclass(frozen=True, slots=True)
class Ending:
    """The state in which a job ended, and a sentence on why; empty where there is nothing to explain."""

    state: JobState
    cause: str = ""


def mark_of(run_dir: Path) -> str:
    """Names the present `status.json`, so that one of an earlier start is not taken for this one's."""
    try:
        status = (run_dir / STATUS).stat()
    except OSError:
        return ""
    return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"


def read_status(run_dir: Path, mark: str) -> Mapping[str, Any]:
    """What the job wrote of itself since `mark` was taken; empty if nothing, or nothing that can be read."""
    return _read(run_dir / STATUS) if mark_of(run_dir) != mark else {}


def ending_of(exit_status: int, status: Mapping[str, Any], *, asked: bool) -> Ending:
    """What became of a job whose process has ended under its runner's eyes.

    Args:
        exit_status: as `subprocess` counts: negative for a signal.
        status: of `read_status`.
        asked: somebody cancelled the job.
    """
    if asked and (exit_status != 0 or status.get("state") == "cancelled"):
        return Ending(JobState.CANCELLED)
    if exit_status == 0:
        return Ending(JobState.DONE)
    return Ending(JobState.FAILED, _own_words(status) or _exit_in_words(exit_status))


def ending_without_runner(job: Job) -> Ending:
    """What became of a job whose runner is gone, from what lies in its run directory."""
    seen = _read(job.run_dir / EXIT)
    if job.token and seen.get("token") == job.token and seen.get("state") in set(JobState):
        if seen["state"] == JobState.FAILED and job.state == JobState.CANCELLING:
            return Ending(JobState.CANCELLED)
        return Ending(JobState(seen["state"]), str(seen.get("cause") or ""))
    status = read_status(job.run_dir, str(job.handle.get("status_mark", "")))
    if status.get("state") == "done":
        return Ending(JobState.DONE)
    if job.state == JobState.CANCELLING:
        return Ending(JobState.CANCELLED)
    lost = "Its process is gone: it was killed, or the memory ran out."
    if job.handle.get("boot") != boot_id():
        lost = "The computer was restarted while it ran."
    return Ending(JobState.FAILED, _own_words(status) or f"{lost} {_RESUME}")


def record_exit(job: Job, ending: Ending, exit_status: int | None) -> None:
    """Leave the ending in the run directory, for when the database cannot be written.

    Raises:
        OSError: nor can the run directory.
    """
    if not job.run_dir.is_dir():
        return  # somebody removed the run; it is not brought back for this
    values = {"job": job.id, "token": job.token, "state": str(ending.state), "cause": ending.cause}
    write_json(job.run_dir / EXIT, {**values, "exit_status": exit_status})


def _own_words(status: Mapping[str, Any]) -> str:
    """The last line of the cause that a failed job named, without what a terminal would obey."""
    lines = str(status.get("cause") or "").strip().splitlines()
    if not lines or status.get("state") != "failed":
        return ""
    return "".join(letter if letter.isprintable() else " " for letter in lines[-1]).strip()


def _exit_in_words(exit_status: int) -> str:
    number = -exit_status if exit_status < 0 else exit_status - 128
    if number == signal.SIGKILL:
        return _KILLED
    if number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        return f"It was stopped from outside (signal {number}), for instance as the computer shut down. {_RESUME}"
    if exit_status < 0:
        return f"It crashed: {signal.strsignal(number) or 'unknown signal'} (signal {number}). Its log may say more."
    return f"It ended with exit status {exit_status}. Its log says why."


def _read(path: Path) -> Mapping[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
