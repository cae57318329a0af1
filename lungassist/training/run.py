"""A training run as a directory: what went in, what happened, what came out."""

from __future__ import annotations

import json
import pickle
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import pandas as pd
import torch

from lungassist.errors import LungAssistError, TrainingError, UsageError
from lungassist.files import write_atomically, write_json
from lungassist.training.fit import EpochFigures, FitState
from lungassist.training.recipe import Recipe

#: What torch and pandas raise for files that are damaged or of something else.
_UNREADABLE: Final = (
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    OSError,
    pickle.UnpicklingError,
)
_AS_TEXT: Final[Mapping[str, Any]] = {"dtype": str, "keep_default_na": False}


class RunDirectory:
    """Owns every path of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.json"
        self.split = path / "split.csv"
        self.environment = path / "environment.json"
        self.epochs = path / "epochs.csv"
        self.checkpoint = path / "last.ckpt"
        self.status = path / "status.json"
        self.model = path / "model"

    def claim(self, recipe: Recipe, *, resume: bool) -> None:
        """Make sure that a run of `recipe` may go on in this folder.

        Raises:
            UsageError: it holds a run already and `resume` is not wished, or that run is of another recipe.
        """
        if not self.recipe.exists():
            return
        if not resume:
            raise UsageError(f"{self.path} holds a run already. Choose another folder, or go on with it by --resume.")
        before, now = json.loads(self.recipe.read_text(encoding="utf-8")), recipe.to_json()
        changed = [
            f"{name} was {before.get(name)!r}, now {now[name]!r}" for name in now if before.get(name) != now[name]
        ]
        if changed:
            raise UsageError(f"{self.path} cannot go on with another recipe: {'; '.join(changed)}.")

    def begin(self, recipe: Recipe, split: pd.DataFrame) -> None:
        """Record what the run is, before anything is computed.

        Raises:
            TrainingError: there is a checkpoint, but of other images or another split.
        """
        if self.checkpoint.exists() and _assignment(pd.read_csv(self.split, **_AS_TEXT)) != _assignment(split):
            raise TrainingError(
                f"The images or their split have changed since the run in {self.path} began. "
                "Restore the data, or start again in another run directory."
            )
        write_json(self.recipe, recipe.to_json())
        write_atomically(self.split, lambda p: split.to_csv(p, index=False))
        write_json(self.environment, environment())

    def set_status(self, state: str, **more: Any) -> None:
        """Say where the run stands: `preparing`, `training`, `evaluating`, `done` or `failed`."""
        write_json(self.status, {"state": state, **more})

    @contextmanager
    def recording_failure(self) -> Iterator[None]:
        """Whatever ends the run inside, the status says so; the last checkpoint stays.

        Raises:
            LungAssistError: as it was raised, or a TrainingError for what torch or the machine refused.
        """
        try:
            yield
        except LungAssistError as error:
            self._set_failed(str(error))
            raise
        except (RuntimeError, MemoryError, OSError) as error:
            cause = f"The run stopped: {str(error) or type(error).__name__}."
            self._set_failed(cause)
            raise TrainingError(f"{cause} If there is a checkpoint, it is in {self.path}.") from error
        except BaseException as error:
            self._set_failed(f"The run was ended by {type(error).__name__} {error}".rstrip() + ".")
            raise

    def _set_failed(self, cause: str) -> None:
        # On a full disk not even this can be written; the first error says more than a second one.
        with suppress(OSError):
            self.set_status("failed", cause=cause)

    def save(self, state: FitState, history: list[EpochFigures]) -> None:
        """Write the table of epochs, then the checkpoint; each is replaced whole.

        In this order: a row without its checkpoint is written again on resuming, one that is missing is lost.
        """
        table = pd.DataFrame([asdict(epoch) for epoch in history])
        write_atomically(self.epochs, lambda p: table.to_csv(p, index=False))
        write_atomically(self.checkpoint, lambda p: torch.save(state.state_dict(), p))

    def restore(self, state: FitState) -> list[EpochFigures]:
        """Load the last checkpoint into `state`; returns the epochs before it.

        Raises:
            TrainingError: there is a checkpoint, but it cannot be read or does not fit.
        """
        if not self.checkpoint.exists():
            return []
        try:
            state.load_state_dict(torch.load(self.checkpoint, map_location="cpu", weights_only=True))
            rows = pd.read_csv(self.epochs).to_dict("records")
            history = [EpochFigures(**{str(key): value for key, value in row.items()}) for row in rows]
        except _UNREADABLE as error:
            raise TrainingError(
                f"{self.checkpoint} cannot be resumed from ({error}). Start again in another run directory."
            ) from error
        return history[: state.epoch]


def _assignment(split: pd.DataFrame) -> list[tuple[str, ...]]:
    return [tuple(row) for row in split[["file", "label", "split"]].astype(str).to_numpy()]


def environment() -> dict[str, str]:
    """Versions of what computes, for the record."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in (
        "torch",
        "torchvision",
        "numpy",
        "pandas",
        "pillow",
        "opencv-python-headless",
        "safetensors",
    ):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed under that name"
    return found
