"""Where a network looked: class activation maps from one pass, without hooks and without touching its mode.

The part of a network up to the last convolutional stage (its body) runs once, without gradients. Only the rest (its
tail) is differentiated, for every class in one batched backward pass. Grad-CAM follows Selvaraju et al. 2017,
equations 1 and 2; the other methods are the grad-cam package's own, given the same activations and gradients.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lungassist.errors import UsageError

GRAD_CAM: Final = "gradcam"

#: Method -> what a reader is told about it. All but Grad-CAM name a class of the grad-cam package.
METHODS: Final[Mapping[str, str]] = MappingProxyType(
    {
        GRAD_CAM: "Grad-CAM: channels weighted by the mean gradient of the class.",
        "hirescam": "HiResCAM: gradients and activations multiplied place by place.",
        "gradcam++": "Grad-CAM++: positive gradients only, weighted place by place.",
        "eigencam": "EigenCAM: the activations' first principal component; the same for every class.",
    }
)
#: Methods whose map is the same for every class.
CLASS_BLIND: Final = frozenset({"eigencam"})
_PACKAGE_CLASSES: Final = {"hirescam": "HiResCAM", "gradcam++": "GradCAMPlusPlus", "eigencam": "EigenCAM"}


def check_method(method: str) -> str:
    """Return `method` if it is known.

    Raises:
        UsageError: it is not.
    """
    if method not in METHODS:
        raise UsageError(f"There is no explanation method {method!r}. Known: {', '.join(METHODS)}.")
    return method


def class_gradients(tail: nn.Module, activations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and the gradient of every class's logit with respect to the activations.

    Args:
        tail: from `(N, C, h, w)` to logits `(N, K)`, in evaluation mode.
        activations: `(N, C, h, w)`, without a graph behind them.

    Returns:
        Logits `(N, K)` and gradients `(K, N, C, h, w)`; neither carries a graph.
    """
    with torch.enable_grad():
        leaf = activations.detach().requires_grad_(True)
        logits = tail(leaf)
        count, classes = logits.shape
        chosen = torch.eye(classes, dtype=logits.dtype, device=logits.device)
        outputs = chosen.unsqueeze(1).expand(classes, count, classes)
        # One batched pass: the tail's weights are read once for all classes, not once a class.
        (gradients,) = torch.autograd.grad(logits, leaf, outputs, is_grads_batched=True)
    return logits.detach(), gradients


def heat_maps(method: str, activations: torch.Tensor, gradients: torch.Tensor) -> NDArray[np.float32]:
    """Evidence for every class at every place of the last convolutional stage.

    Args:
        method: one of `METHODS`.
        activations: `(N, C, h, w)`.
        gradients: `(K, N, C, h, w)`.

    Returns:
        `(N, K, h, w)` float32, at least 0, not scaled: the classes of one image share a scale, so that their maps
        can be compared. An image without evidence for a class has a map of zeros.
    """
    if check_method(method) == GRAD_CAM:
        weights = gradients.mean(dim=(3, 4))
        maps = torch.einsum("knc,nchw->nkhw", weights, activations)
        return np.asarray(maps.relu().float().cpu().numpy(), dtype=np.float32)
    return _package_maps(method, activations.float().cpu().numpy(), gradients.float().cpu().numpy())


def _package_maps(method: str, activations: NDArray[np.float32], gradients: NDArray[np.float32]) -> NDArray[np.float32]:
    calculator = _package_method(_PACKAGE_CLASSES[method])
    different = gradients[:1] if method in CLASS_BLIND else gradients
    maps = [calculator.get_cam_image(None, None, None, activations, slopes, False) for slopes in different]
    stacked = np.stack(maps if len(maps) == len(gradients) else maps * len(gradients), axis=1)
    # Where activations are constant the package divides by nothing; that is no evidence.
    finite: NDArray[np.float32] = np.nan_to_num(np.maximum(stacked, 0), posinf=0).astype(np.float32)
    return finite


@cache
def _package_method(class_name: str) -> Any:
    """An instance of a grad-cam method that serves as a calculator: it gets no layer, so it sets no hook."""
    import pytorch_grad_cam  # slow to import (matplotlib, scikit-learn), so only where it is asked for

    return getattr(pytorch_grad_cam, class_name)(nn.Linear(1, 1), [])


def shared_scale(maps: NDArray[np.float32]) -> float:
    """The largest evidence for any class in the maps `(K, h, w)` of one image; 0 when there is none at all."""
    return float(maps.max(initial=0.0))
