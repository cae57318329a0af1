"""The network before training: random, from ImageNet, from a model, run or checkpoint, or the mean of several."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
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
    networks = [_started_from(place, recipe, class_count) for place in start_folders(recipe, settings)]
    return networks[0] if len(networks) == 1 else _mean_of(networks)


def _started_from(place: Path, recipe: Recipe, class_count: int) -> nn.Module:
    if place.is_file():
        return adopt(build(recipe.architecture, class_count), _tensors_of(place), str(place))
    other, card = load_model(place)
    if card.architecture != recipe.architecture:
        raise UsageError(f"{place} holds a {card.architecture}; the recipe asks for {recipe.architecture}.")
    return adopt(build(recipe.architecture, class_count), other.state_dict(), str(place))


@torch.no_grad()
def _mean_of(networks: Sequence[nn.Module]) -> nn.Module:
    """Models that were fine-tuned from one start have a mean that works (Wortsman et al., "Model soups", ICML 2022)."""
    states = [network.state_dict() for network in networks]
    mean = {
        key: torch.stack([state[key] for state in states]).mean(0) if value.is_floating_point() else value
        for key, value in states[0].items()
    }
    networks[0].load_state_dict(mean)
    return networks[0]


def start_folders(recipe: Recipe, settings: Settings) -> list[Path]:
    """The models' folders or checkpoints that `recipe.start` names, with commas between them.

    Raises:
        UsageError: there is none, or nothing at one of them.
    """
    return [_start_at(name, settings) for name in recipe.starts or (recipe.start,)]


def _start_at(name: str, settings: Settings) -> Path:
    place = _place_of(name, settings)
    if place is not None:
        return place
    if Path(name).is_file():
        return Path(name)
    raise UsageError(
        f"There is nothing to start from at {name!r}. Expected imagenet, scratch, the name of a model in "
        f"{settings.weights_dir}, the path of a model's folder, a finished run or a checkpoint, or several of these "
        "with commas between them."
    )


def model_folder(name: str, settings: Settings) -> Path:
    """The folder of the model that is meant by its name in `weights/`, or by the path of a run or of the folder.

    Raises:
        UsageError: there is none.
    """
    place = _place_of(name, settings)
    if place is None:
        raise UsageError(
            f"There is no model at {name!r}. Expected the name of a model in {settings.weights_dir}, or the path of a "
            "model's folder or a finished run."
        )
    return place


def _place_of(name: str, settings: Settings) -> Path | None:
    places = (settings.weights_dir / name, Path(name) / "model", Path(name))
    return next((place for place in places if (place / CARD_FILE).is_file()), None)


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
    """How many images of each split were trained on by the model that is started from or by a teacher.

    As far as their tables say. A network that has seen a test image does better on it than on a new one, and one that
    learns from it may. Images are told by their file's name without its ending, which stays when a database is
    converted.

    Args:
        recipe: says what is started from and who teaches.
        table: with `file` and `split`.
        settings: where `weights/` is.
    """
    folders = [model_folder(name, settings) for name in recipe.teachers]
    if recipe.start not in ("scratch", "imagenet"):
        folders += start_folders(recipe, settings)
    tables = [path for path in (folder / PREDICTIONS_FILE for folder in folders) if path.is_file()]
    if not tables:
        return {}
    trained_on: set[str] = set()
    for path in tables:
        earlier = pd.read_csv(path, usecols=["file", "split"], dtype=str)
        trained_on |= {_stem(file) for file in earlier.loc[earlier["split"] == "train", "file"]}
    seen = table[table["file"].map(_stem).isin(trained_on)]
    return {split: int((seen["split"] == split).sum()) for split in ("validation", "test")}


def _stem(file: str) -> str:
    return PurePosixPath(file).stem.lower()
