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
from lungassist.models.card import Card
from lungassist.models.imagenet import UNREADABLE, adopt, build_from_imagenet
from lungassist.models.registry import build
from lungassist.models.weights import CARD_FILE, PREDICTIONS_FILE, load_model
from lungassist.settings import Settings
from lungassist.training.progress import SPLIT_FILE
from lungassist.training.recipe import Recipe

log = logging.getLogger(__name__)


def starting_model(recipe: Recipe, classes: tuple[str, ...], settings: Settings) -> nn.Module:
    """Build the network with the weights that the recipe starts from; what is random comes from its seed.

    Args:
        recipe: says what is started from.
        classes: in the order of the outputs. What a start knows of a class goes to its output here, wherever it had it.
        settings: where `weights/` is.

    Raises:
        UsageError: there is no such model, it is of another architecture, or knows other classes where these must do.
        WeightsError: the weights are missing, damaged, or do not fit.
    """
    torch.manual_seed(recipe.seed)
    if recipe.start == "scratch":
        return build(recipe.architecture, len(classes))
    if recipe.start == "imagenet":
        return build_from_imagenet(recipe.architecture, len(classes))
    networks = [_started_from(place, recipe, classes) for place in start_folders(recipe, settings)]
    return networks[0] if len(networks) == 1 else _mean_of(networks)


def _started_from(place: Path, recipe: Recipe, classes: tuple[str, ...]) -> nn.Module:
    known: tuple[str, ...] | None
    if place.is_file():
        state, known = _tensors_of(place), _classes_beside(place)
    else:
        other, card = load_model(place)
        if card.architecture != recipe.architecture:
            raise UsageError(f"{place} holds a {card.architecture}; the recipe asks for {recipe.architecture}.")
        state, known = other.state_dict(), card.classes
    network = build(recipe.architecture, len(classes))
    if known is None:
        check_classes(recipe, str(place), classes if _fits_last_layer(state, network) else ("other classes",), classes)
        log.warning("nothing says which classes %s knows; as many as there are here are taken for these", place)
    else:
        check_classes(recipe, str(place), known, classes)
    if known is not None and known != classes:
        state = _by_class(state, network, known, classes)
        new = [name for name in classes if name not in known]
        log.warning("%s knows %s: %s", place, ", ".join(known), _what_begins_at_random(new))
    return adopt(network, state, str(place))


def _what_begins_at_random(new: Sequence[str]) -> str:
    return f"the last layer begins at random for {', '.join(new)}" if new else "the last layer is put in order"


def check_classes(recipe: Recipe, start: str, known: tuple[str, ...], classes: tuple[str, ...]) -> None:
    """Refuse a start of other classes where nothing would teach it these.

    Args:
        recipe: with how many epochs, and from how many models.
        start: what it is called in the message.
        known: the start's classes, in any order.
        classes: of the images.

    Raises:
        UsageError: nothing trains, or weights are averaged, whose last layers mean different things.
    """
    if set(known) == set(classes) or (recipe.epochs and len(recipe.starts) == 1):
        return
    why = "a mean of weights needs models" if recipe.epochs else "with 0 epochs nothing is learnt, so it needs a model"
    raise UsageError(
        f"{start} tells {', '.join(known)} apart, the images are of {', '.join(classes)}; {why} of the same classes. "
        "Start from another model, or train from this one alone for at least one epoch."
    )


def _classes_beside(file: Path) -> tuple[str, ...] | None:
    """The classes of a file of weights, from the card or the run that it lies in; None where neither is there."""
    try:
        if (file.parent / CARD_FILE).is_file():
            return Card.read(file.parent / CARD_FILE).classes
        split = pd.read_csv(file.parent.parent / SPLIT_FILE, usecols=["label"], dtype=str, keep_default_na=False)
    except (OSError, ValueError, WeightsError):
        return None
    return tuple(sorted(split["label"].unique()))


def _fits_last_layer(state: Mapping[str, torch.Tensor], network: nn.Module) -> bool:
    return all(key in state and state[key].shape == own.shape for key, own in list(network.state_dict().items())[-2:])


def _by_class(
    state: Mapping[str, torch.Tensor], network: nn.Module, known: tuple[str, ...], classes: tuple[str, ...]
) -> dict[str, torch.Tensor]:
    """`state` with the last layer's rows where the same class has its output in `network`, else as random as there."""
    placed, own = dict(state), network.state_dict()
    for key in list(own)[-2:]:  # weight and bias
        rows = own[key].clone()
        given = placed.pop(key, None)
        if given is None or len(given) != len(known) or given.shape[1:] != rows.shape[1:]:
            continue  # begins at random
        for output, name in enumerate(classes):
            if name in known:
                rows[output] = given[known.index(name)]
        placed[key] = rows
    return placed


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
