"""Where a run stands, read from its directory. Needs no torch, so that following a run costs nothing."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import pandas as pd

STATUS_FILE: Final = "status.json"
EPOCHS_FILE: Final = "epochs.csv"
LOG_FILE: Final = "log.txt"
SPLIT_FILE: Final = "split.csv"
CHECKPOINTS: Final = "checkpoints"
LAST: Final = "last.ckpt"

#: Bytes at the end of a log that are read for its tail.
_TAIL_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run's last word on itself; None is what it has not said.

    Attributes:
        state: preparing, reading (images into the cache), training, evaluating, done, failed or cancelled.
        message: what it is at, for a person.
        epoch, epochs, step, steps: under way, from 1; of how many.
        done, total: images read or evaluated, of how many.
        loss: of the last step.
        images_per_second, seconds_left: of the training, over the last seconds; to the end of the last epoch.
        device: what it computes on.
        updated: ISO 8601, UTC.
        cause: why it failed.
    """

    state: str
    message: str = ""
    epoch: int | None = None
    epochs: int | None = None
    step: int | None = None
    steps: int | None = None
    done: int | None = None
    total: int | None = None
    loss: float | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    device: str | None = None
    updated: str = ""
    cause: str = ""

    @property
    def share(self) -> float | None:
        """How much of the training is done, in [0, 1]."""
        if self.state == "done":
            return 1.0
        if not self.epoch or not self.epochs or self.step is None or not self.steps:
            return None
        return min(1.0, (self.epoch - 1 + self.step / self.steps) / self.epochs)


def read_status(run: Path) -> RunStatus | None:
    """The status of the run in the folder `run`; None where there is none yet, or none that can be read."""
    try:
        values: Any = json.loads((run / STATUS_FILE).read_text(encoding="utf-8"))
        known = {entry.name for entry in fields(RunStatus)}
        return RunStatus(**{key: value for key, value in values.items() if key in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def read_epochs(run: Path) -> pd.DataFrame:
    """The figures of the finished epochs, a row each; empty before the first."""
    try:
        return pd.read_csv(run / EPOCHS_FILE)
    except (OSError, ValueError):
        return pd.DataFrame()


def read_log_tail(run: Path, lines: int = 30) -> list[str]:
    """The last lines of a run's log; none where there is no log."""
    try:
        with (run / LOG_FILE).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return log.read().decode("utf-8", errors="replace").splitlines()[-lines:]
    except OSError:
        return []
