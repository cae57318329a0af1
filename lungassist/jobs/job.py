"""What a job is, as everybody sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

#: In a run directory: what the job's processes print, appended at every start.
LOG: Final = "log.txt"


class JobState(StrEnum):
    """Where a job is; the words are also those of the database and of JSON."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Nothing of the job runs or waits."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)

    @property
    def is_active(self) -> bool:
        """Its processes are there and hold what it runs on."""
        return self in (JobState.RUNNING, JobState.CANCELLING)


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stood at one moment.

    Attributes:
        id: its number; none is given twice.
        kind: what sort of work, a word of whoever submitted it ("finetune", "baseline").
        title: free text for people.
        arguments: what follows `python -m`; at a resume `resume_arguments` do.
        run_dir: absolute; holds `log.txt` and, if the job writes one, `status.json`.
        resource: "cpu", "gpu:0", or several GPUs, "gpu:0,gpu:1".
        host: the computer that runs it.
        state: see `JobState`.
        cause: a sentence on why it failed, else empty.
        created, started, ended: UTC; started and ended of the last start.
        pid: of the job's own process (not of the runner that watches it) while it runs.
        position: place in the queue, 1 for the next; None unless queued.
        details: what was given at submission, unread.
        handle: what the launcher needs to find the processes again.
        token: marks the processes of the last start.
        stop_asked: seconds since boot when the processes were asked to end.
    """

    id: int
    kind: str
    title: str
    arguments: tuple[str, ...]
    resume_arguments: tuple[str, ...]
    run_dir: Path
    resource: str
    host: str
    state: JobState
    cause: str
    created: datetime
    started: datetime | None
    ended: datetime | None
    pid: int | None
    position: int | None
    details: Mapping[str, Any]
    handle: Mapping[str, Any] = field(default_factory=dict, repr=False)
    token: str = field(default="", repr=False)
    stop_asked: float | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        """Where its output goes; not there before the first start."""
        return self.run_dir / LOG

    @property
    def can_resume(self) -> bool:
        """It ended without being done."""
        return self.state in (JobState.FAILED, JobState.CANCELLED)

    def to_json(self) -> dict[str, Any]:
        """Everything that means something outside of this program, as JSON takes it."""
        moments = {name: getattr(self, name) for name in ("created", "started", "ended")}
        return {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "state": str(self.state),
            "cause": self.cause,
            "resource": self.resource,
            "position": self.position,
            "host": self.host,
            "pid": self.pid,
            "run_dir": str(self.run_dir),
            "arguments": list(self.arguments),
            **{name: moment.isoformat() if moment else None for name, moment in moments.items()},
            "details": dict(self.details),
        }
