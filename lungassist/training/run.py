"""A training run as a directory: what went in, what happened, what came out."""

from __future__ import annotations

import pickle
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from lungassist.errors import TrainingError
from lungassist.files import write_atomically, write_json
from lungassist.training.fit import EpochFigures, FitState
from lungassist.training.recipe import Recipe


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

    def begin(self, recipe: Recipe, split: pd.DataFrame) -> None:
        """Record what the run is, before anything is computed."""
        write_json(self.recipe, recipe.to_json())
        write_atomically(self.split, lambda p: split.to_csv(p, index=False))
        write_json(self.environment, environment())

    def set_status(self, state: str, **more: Any) -> None:
        """Say where the run stands: `preparing`, `training`, `evaluating`, `done` or `failed`."""
        write_json(self.status, {"state": state, **more})

    def save(self, state: FitState, history: list[EpochFigures]) -> None:
        """Write the checkpoint, then the table of epochs; each is replaced whole."""
        write_atomically(self.checkpoint, lambda p: torch.save(state.state_dict(), p))
        table = pd.DataFrame([asdict(epoch) for epoch in history])
        write_atomically(self.epochs, lambda p: table.to_csv(p, index=False))

    def restore(self, state: FitState) -> list[EpochFigures]:
        """Load the last checkpoint into `state`; returns the epochs before it.

        Raises:
            TrainingError: there is a checkpoint, but it cannot be read or is of another recipe.
        """
        if not self.checkpoint.exists():
            return []
        try:
            state.load_state_dict(torch.load(self.checkpoint, map_location="cpu", weights_only=True))
            rows = pd.read_csv(self.epochs).to_dict("records")
        except (RuntimeError, ValueError, KeyError, EOFError, OSError, pickle.UnpicklingError) as error:
            raise TrainingError(
                f"{self.checkpoint} cannot be resumed from ({error}). Start again in another run directory."
            ) from error
        history = [EpochFigures(**{str(key): value for key, value in row.items()}) for row in rows]
        return history[: state.epoch]


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
