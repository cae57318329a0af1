"""Small runs on drawn films, and what is compared between two of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from lungassist.models.card import Card
from lungassist.training.config import RunConfig
from lungassist.training.journey import finetune
from lungassist.training.recipe import Recipe
from lungassist.training.run import RunDirectory
from tests.drawn import SMALL

#: Drawn films of a class resemble each other so much that they would all be kept together as duplicates.
RECIPE = Recipe(
    architecture=SMALL,
    start="scratch",
    size=32,
    epochs=2,
    batch_size=8,
    averaging=0.5,
    workers=1,
    duplicates_together=False,
)


def config_of(data: Path, recipe: Recipe = RECIPE, **options: Any) -> RunConfig:
    """What `run_of` asks for."""
    return RunConfig(**{"name": "drawn", "data": data, "device": "cpu", "recipe": recipe, **options})


def run_of(run_dir: Path, data: Path, recipe: Recipe = RECIPE, **options: Any) -> Card:
    """Prepare a run and carry it out."""
    run = RunDirectory(run_dir)
    run.prepare(config_of(data, recipe, **options))
    return resumed(run_dir)


def resumed(run_dir: Path, **options: Any) -> Card:
    """Go on with a run."""
    card = finetune(RunDirectory(run_dir), **options)
    assert card is not None
    return card


def status_of(run_dir: Path) -> dict[str, Any]:
    """A run's status as it lies there."""
    status: dict[str, Any] = json.loads((run_dir / "status.json").read_text(encoding="utf-8"))
    return status


def epochs_of(run_dir: Path) -> pd.DataFrame:
    """The figures of every epoch but those that depend on the clock."""
    return pd.read_csv(run_dir / "epochs.csv").drop(columns=["seconds", "images_per_second"])


def tensors_of(run_dir: Path) -> dict[str, torch.Tensor]:
    """Every tensor in a run's checkpoints, by path."""
    found: dict[str, torch.Tensor] = {}

    def walk(name: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found[name] = value
        elif isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{name}.{key}", inner)

    for path in sorted((run_dir / "checkpoints").glob("*.ckpt")):
        walk(path.name, torch.load(path, weights_only=True))
    return found


def assert_same_run(one: Path, other: Path) -> None:
    """Bit-identical weights, optimiser, predictions and figures."""
    first, second = tensors_of(one), tensors_of(other)
    assert len(first) > 100
    assert first.keys() == second.keys()
    for key, value in first.items():
        torch.testing.assert_close(second[key], value, rtol=0, atol=0, msg=key)
    for name in ("model.safetensors", "predictions.csv"):
        assert (one / "model" / name).read_bytes() == (other / "model" / name).read_bytes()
    pd.testing.assert_frame_equal(epochs_of(one), epochs_of(other))
