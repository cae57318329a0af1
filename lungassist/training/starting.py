"""The network before training: random, from ImageNet, from a model, a run or a checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from lungassist.errors import UsageError, WeightsError
from lungassist.models.imagenet import UNREADABLE, adopt, build_from_imagenet
from lungassist.models.registry import build
from lungassist.models.weights import CARD_FILE, PREDICTIONS_FILE, load_model
from lungassist.settings import Settings
from lungassist.training.recipe import Recipe

log = logging.getLogger(__name__)


def starting_model(recipe: Recipe, class_count: int, settings: Settings) -> nn.Module:
    """Build the network with the weights that the recipe starts from; what is random comes from its seed.

    Raises:
        UsageError: there is no such model, or it is of another architecture.
        WeightsError: the weights are missing, damaged, or do not fit.
    """
    torch.manual_seed(recipe.seed)
    if recipe.start == "scratch":
        return build(recipe.architecture, class_count)
    if recipe.start == "imagenet":
        return build_from_imagenet(recipe.architecture, class_count)
    place = start_folder(recipe, settings)
    if place.is_file():
        return adopt(build(recipe.architecture, class_count), _tensors_of(place), str(place))
    other, card = load_model(place)
    if card.architecture != recipe.architecture:
        raise UsageError(f"{place} holds a {card.architecture}; the recipe asks for {recipe.architecture}.")
    return adopt(build(recipe.architecture, class_count), other.state_dict(), str(place))


def start_folder(recipe: Recipe, settings: Settings) -> Path:
    """The model's folder or checkpoint that `recipe.start` names.

    Raises:
        UsageError: there is none.
    """
    path = Path(recipe.start)
    for place in (settings.weights_dir / recipe.start, path / "model", path):
        if (place / CARD_FILE).is_file():
            return place
    if path.is_file():
        return path
    raise UsageError(
        f"There is nothing to start from at {recipe.start!r}. Expected imagenet, scratch, the name of a model in "
        f"{settings.weights_dir}, or the path of a model's folder, a finished run or a checkpoint."
    )


def _tensors_of(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            found: Any = load_file(path)
        else:
            # weights_only: a checkpoint must never be able to run code.
            found = torch.load(path, map_location="cpu", weights_only=True)
        state = found.get("model", found)
        tensors = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
    except (*UNREADABLE, SafetensorError) as error:
        raise WeightsError(
            f"{path} is no checkpoint that can be read ({type(error).__name__}). Expected .ckpt of a run, "
            ".safetensors, or a file of torch with nothing but tensors."
        ) from error
    return {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}


def images_seen_before(recipe: Recipe, table: pd.DataFrame, settings: Settings) -> Mapping[str, int]:
    """How many images of each split the model that is started from was trained on, as far as its table says.

    A network that has seen a test image does better on it than on a new one. Images are told by their file's name
    without its ending, which stays when a database is converted.

    Args:
        recipe: says what is started from.
        table: with `file` and `split`.
        settings: where `weights/` is.
    """
    if recipe.start in ("scratch", "imagenet"):
        return {}
    predictions = start_folder(recipe, settings) / PREDICTIONS_FILE
    if not predictions.is_file():
        return {}
    earlier = pd.read_csv(predictions, usecols=["file", "split"], dtype=str)
    trained_on = {_stem(file) for file in earlier.loc[earlier["split"] == "train", "file"]}
    seen = table[table["file"].map(_stem).isin(trained_on)]
    return {split: int((seen["split"] == split).sum()) for split in ("validation", "test")}


def _stem(file: str) -> str:
    return PurePosixPath(file).stem.lower()
