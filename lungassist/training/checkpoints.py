"""Checkpoints of a run: the last state, and the weights of its best epoch."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pandas as pd
import torch

from lungassist.errors import TrainingError
from lungassist.files import write_atomically
from lungassist.models.imagenet import UNREADABLE
from lungassist.training.progress import LAST
from lungassist.training.run import RunDirectory
from lungassist.training.state import FitState

#: Seconds between checkpoints within an epoch, unless they take so long that they would slow the run.
_SECONDS_BETWEEN: Final = 60.0
_LARGEST_SHARE_OF_TIME: Final = 0.05


class Checkpoints:
    """Writes and reads a run's checkpoints; every file is replaced whole."""

    def __init__(self, run: RunDirectory, seconds_between: float = _SECONDS_BETWEEN) -> None:
        self._run = run
        self._between = seconds_between
        self._saved = time.monotonic()
        self._took = 0.0
        self.last = run.checkpoints / LAST

    @property
    def is_due(self) -> bool:
        """Whether it is time for one within an epoch."""
        between = self._between and max(self._between, self._took / _LARGEST_SHARE_OF_TIME)
        return time.monotonic() - self._saved >= between

    @property
    def is_affordable(self) -> bool:
        """Whether one at the end of an epoch slows the run little; on a GPU an epoch may take but some seconds."""
        return time.monotonic() - self._saved >= self._took / _LARGEST_SHARE_OF_TIME

    @property
    def took(self) -> float:
        """Seconds that the last one took."""
        return self._took

    def save(self, state: FitState) -> None:
        """Write the best weights if they are new, then the state that names them, then the table of epochs.

        In this order, a crash between two of them leaves a state whose best weights are there.
        """
        began = time.monotonic()
        best = self._best(state.best_epoch)
        if state.best_epoch and not best.exists():
            write_atomically(best, lambda p: _write(p, state.best_weights))
        write_atomically(self.last, lambda p: _write(p, state.state_dict()))
        for other in self._run.checkpoints.glob("best-*.ckpt"):
            if other != best:
                other.unlink(missing_ok=True)
        self._write_table(state)
        self._saved = time.monotonic()
        self._took = self._saved - began

    def remove_leftovers(self) -> None:
        """Delete what a process that was killed while it wrote has left beside checkpoints and weights.

        Only for the process that holds the run: another one's file may be half written.
        """
        for folder, names in ((self._run.checkpoints, ".*.ckpt.*"), (self._run.model, ".*.*.*")):
            for left in folder.glob(names):
                left.unlink(missing_ok=True)

    def restore(self, state: FitState) -> bool:
        """Load the last checkpoint into `state`; False where there is none.

        Raises:
            TrainingError: there is one, but it cannot be read or does not fit.
        """
        if not self.last.exists():
            return False
        try:
            values = _read(self.last)
            best_epoch = values["best_epoch"]
            state.load_state_dict(values, _read(self._best(best_epoch)) if best_epoch else {})
        except UNREADABLE as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise TrainingError(
                f"{self.last} cannot be resumed from ({reason}). It is damaged or of another run. "
                "Restore it, or start again in another run directory."
            ) from error
        self._forget_later(state)
        self._write_table(state)
        return True

    def _best(self, epoch: int) -> Path:
        return self._run.checkpoints / f"best-{epoch:04d}.ckpt"

    def _forget_later(self, state: FitState) -> None:
        # Of an epoch that the last state has not seen: where arithmetic is not exact, it may come out different now.
        for other in self._run.checkpoints.glob("best-*.ckpt"):
            if other != self._best(state.best_epoch):
                other.unlink(missing_ok=True)

    def _write_table(self, state: FitState) -> None:
        table = pd.DataFrame([asdict(figures) for figures in state.history])
        if len(table):
            write_atomically(self._run.epochs, lambda p: table.to_csv(p, index=False))


def _write(path: Path, values: Any) -> None:
    # Through Python's own file: torch's writer would hide the system's word for a full disk.
    with path.open("wb") as file:
        torch.save(values, file)


def _read(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)
