"""Where a job stands, in words: its record, and what its run says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from lungassist.experiments.wording import duration, ordinal
from lungassist.training.progress import RunStatus

if TYPE_CHECKING:
    from lungassist.jobs import Job

ACTIVE: Final = frozenset({"queued", "running", "cancelling"})

#: Of a run that is under way.
_PHASES: Final = {
    "preparing": "Getting ready",
    "reading": "Reading images",
    "training": "Training",
    "evaluating": "Evaluating",
}
_ENDS: Final = {"done": "Done", "failed": "Failed", "cancelled": "Cancelled", "cancelling": "Stopping…"}


@dataclass(frozen=True, slots=True)
class Standing:
    """What the list and the head of a run show.

    Attributes:
        words: the state.
        share: of the whole, in [0, 1]; None before anything can be said.
        text: what stands in the progress bar.
    """

    words: str
    share: float | None
    text: str


def standing(job: Job, status: RunStatus | None) -> Standing:
    """Where a job stands. What the job's record says goes before what its run said last."""
    state = job.state.value
    if state == "queued":
        place = {None: "", 1: ", next"}.get(job.position, f", {ordinal(job.position or 0)} in line")
        return Standing(f"Queued{place}", None, f"Waiting for {resource_title(job.resource)}")
    if state in _ENDS:
        return Standing(_ENDS[state], _share(state, status), _ENDS[state])
    if status is None or status.state not in _PHASES:
        return Standing("Starting", None, "Starting")
    return Standing(_PHASES[status.state], status.share, progress_text(status))


def _share(state: str, status: RunStatus | None) -> float | None:
    if state == "done":
        return 1.0
    return None if status is None else status.share


def progress_text(status: RunStatus) -> str:
    """One line: epoch, batch, images a second, time left; or how many images were read."""
    if status.state != "training":
        parts = [status.message or _PHASES.get(status.state, status.state)]
        if status.total and status.done is not None:
            parts.append(f"{status.done:,} of {status.total:,}")
        return " · ".join([*parts, *_speed(status)])
    parts = [f"Epoch {status.epoch} of {status.epochs}" if status.epoch else status.message]
    if status.steps:
        parts.append(f"batch {status.step} of {status.steps}")
    return " · ".join(part for part in [*parts, *_speed(status)] if part)


def _speed(status: RunStatus) -> list[str]:
    rate, left = status.images_per_second, status.seconds_left
    digits = 0 if rate and rate >= 10 else 1
    told = [f"{rate:,.{digits}f} images/s"] if rate else []
    return told if left is None else [*told, f"{duration(left)} left"]


def phase_share(status: RunStatus | None) -> float | None:
    """What a bar shows of a run under way: of the training, or of the images that are read or evaluated now."""
    if status is None:
        return None
    if status.state in ("reading", "evaluating") and status.total and status.done is not None:
        return min(1.0, status.done / status.total)
    return status.share


def seconds_taken(job: Job) -> float | None:
    """From its start to its end, or until now; None before it started."""
    if job.started is None:
        return None
    return ((job.ended or datetime.now(UTC)) - job.started).total_seconds()


def resource_title(resource: str) -> str:
    """`gpu:0`, `gpu:0,gpu:1` and `cpu` as a person says them."""
    gpus = [name.removeprefix("gpu:") for name in resource.split(",")]
    return "the CPU" if resource == "cpu" else f"GPU{'s' if len(gpus) > 1 else ''} {', '.join(gpus)}"
