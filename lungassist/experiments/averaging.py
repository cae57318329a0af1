"""Whether a run's moving average of weights lags behind, told from the run's directory."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from lungassist.dataset import read_split
from lungassist.errors import LungAssistError
from lungassist.training.progress import SPLIT_FILE
from lungassist.training.run import RunDirectory
from lungassist.training.steps import averaging_warning


def lag_of(run: Path, epochs: int) -> str:
    """What `averaging_warning` says of a run after so many epochs; '' too where its directory does not say enough."""
    try:
        recipe = RunDirectory(run).config().recipe
        images = _training_images(run / SPLIT_FILE, (run / SPLIT_FILE).stat().st_mtime_ns)
    except (LungAssistError, OSError):
        return ""
    return averaging_warning(recipe, images, epochs=epochs)


@lru_cache(maxsize=256)
def _training_images(split: Path, _changed: int) -> int:
    return int((read_split(split)["split"] == "train").sum())
