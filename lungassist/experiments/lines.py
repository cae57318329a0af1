"""What the list of runs shows of each: one look at its record and its directory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lungassist.errors import LungAssistError
from lungassist.experiments.outcome import result_of_run
from lungassist.experiments.standing import Standing, seconds_taken, standing
from lungassist.training.progress import RunStatus, read_status

if TYPE_CHECKING:
    from lungassist.jobs import Job


@dataclass(frozen=True, slots=True)
class Line:
    """A job as the list shows it.

    Attributes:
        job: its record.
        status: what its run says of itself; None where it says nothing, or is over.
        standing: where it stands.
        seconds: it has taken; None before it started.
        accuracy: on its test split, in [0, 1]; None until it is done.
    """

    job: Job
    status: RunStatus | None
    standing: Standing
    seconds: float | None
    accuracy: float | None


def line_of(job: Job) -> Line:
    """Look at a job. Whatever is wrong with its directory, there is a line."""
    status = read_status(job.run_dir)
    done = job.state.value == "done"
    return Line(job, status, standing(job, status), seconds_taken(job), accuracy_on_test(job.run_dir) if done else None)


def accuracy_on_test(run: Path) -> float | None:
    """Of a finished run; None where nothing says it."""
    try:
        return _accuracy(run, (run / "model").stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=1024)
def _accuracy(run: Path, _changed: int) -> float | None:
    try:
        found = result_of_run(run).figures.get("test", {}).get("accuracy")
    except LungAssistError:
        return None
    return float(found) if isinstance(found, (int, float)) else None
