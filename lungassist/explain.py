"""Where a network looked: class activation maps from one pass, without hooks and without touching its mode.

The part of a network up to the last convolutional stage (its body) runs once, without gradients. Only the rest (its
tail) is differentiated, for every class in one batched backward pass. Grad-CAM follows Selvaraju et al. 2017,
equations 1 and 2; the other methods are the grad-cam package's own, given the same activations and gradients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

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

#: Layers after which the gradients of a channel's places have the same sum as before.
_KEEP_GRADIENT: Final = (nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Dropout)


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
        gradients = _of_every_logit(logits, leaf)
    return logits.detach(), gradients


class ChannelWeights:
    """Grad-CAM's weights (equation 1) for every class at once, without a gradient at every place.

    Pooling moves gradient from place to place and loses none: summed over a channel it is the same before and after.
    The mean that Grad-CAM wants is therefore what a logit does when all pooled places of a channel rise together, and
    the first linear layer answers that with its weights summed over those places. A backward pass then reads 1/36 of
    AlexNet's and 1/49 of VGG's largest layer (`python -m benchmarks.explain`).
    """

    def __init__(self, tail: nn.Module) -> None:
        """Take a tail apart: pooling, a linear layer, and whatever follows it.

        Raises:
            UsageError: it is built otherwise.
        """
        leaves = [module for module in tail.modules() if not list(module.children())]
        first = next((i for i, module in enumerate(leaves) if isinstance(module, nn.Linear)), 0)
        pools = [module for module in leaves[:first] if isinstance(module, nn.AdaptiveAvgPool2d)]
        if len(pools) != 1 or not all(isinstance(module, _KEEP_GRADIENT) for module in leaves[:first]):
            raise UsageError("A tail must begin with pooling to a fixed size, followed by a linear layer.")
        linear = leaves[first]
        places = pools[0](torch.zeros(1, 1, 32, 32)).numel()
        with torch.no_grad():
            self._summed = linear.weight.unflatten(1, (-1, places)).sum(2).t()  # type: ignore[operator]
        self._pooling, self._rest = nn.Sequential(*leaves[: first + 1]), nn.Sequential(*leaves[first + 1 :])

    def __call__(self, activations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits `(N, K)` and weights `(K, N, C)` of activations `(N, C, h, w)`; neither carries a graph."""
        count, channels, rows, columns = activations.shape
        hidden = self._pooling(activations)
        with torch.enable_grad():
            rise = torch.zeros(count, channels, dtype=hidden.dtype, device=hidden.device, requires_grad=True)
            logits = self._rest(hidden + rise @ self._summed)
            gradients = _of_every_logit(logits, rise)
        return logits.detach(), gradients / (rows * columns)


def _of_every_logit(logits: torch.Tensor, leaf: torch.Tensor) -> torch.Tensor:
    """Gradients `(K, *leaf.shape)` of logits `(N, K)`, each image's own."""
    count, classes = logits.shape
    chosen = torch.eye(classes, dtype=logits.dtype, device=logits.device)
    outputs = chosen.unsqueeze(1).expand(classes, count, classes)
    # One batched pass: the tail's weights are read once for all classes, not once a class.
    (gradients,) = torch.autograd.grad(logits, leaf, outputs, is_grads_batched=True)
    return gradients


def grad_cam(activations: torch.Tensor, weights: torch.Tensor) -> NDArray[np.float32]:
    """Grad-CAM's maps (equation 2) `(N, K, h, w)` from activations `(N, C, h, w)` and weights `(K, N, C)`."""
    maps = torch.einsum("knc,nchw->nkhw", weights, activations)
    return np.asarray(maps.relu().float().cpu().numpy(), dtype=np.float32)


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
        return grad_cam(activations, gradients.mean(dim=(3, 4)))
    return _package_maps(method, activations.float().cpu().numpy(), gradients.float().cpu().numpy())


def mean_of_members(method: str, maps: Sequence[NDArray[np.float32]], shares: Sequence[float]) -> NDArray[np.float32]:
    """An ensemble's evidence: the weighted mean of its members', as its logits are of theirs.

    Args:
        method: one of `METHODS`. The maps of a method that is blind to classes have a unit of the network's own, so
            that each image's are brought to the same largest value first.
        maps: of each member `(N, K, h, w)`, by its calibrated logits; of different places where networks differ.
        shares: of the members; together 1.

    Returns:
        `(N, K, H, W)` float32, as finely as the finest.
    """
    size = max(each.shape[2:] for each in maps)
    total = np.zeros((*maps[0].shape[:2], *size), np.float32)
    for each, share in zip(maps, shares, strict=True):
        fitted = torch.from_numpy(np.ascontiguousarray(each))
        if each.shape[2:] != size:
            fitted = functional.interpolate(fitted, size=size, mode="bilinear", align_corners=False)
        largest = fitted.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12) if method in CLASS_BLIND else 1.0
        total += (fitted * share / largest).numpy()
    return total


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
