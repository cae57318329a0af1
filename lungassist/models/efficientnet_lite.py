"""EfficientNet-Lite: torchvision's EfficientNet without squeeze-and-excitation, with ReLU6 and TensorFlow's padding.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, and the Lite variants
of https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite. They run well without a GPU, and
their ImageNet weights come as Python packages, which a machine gets that reaches a package index and nothing else.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional
from torchvision.models.efficientnet import EfficientNet, MBConv, MBConvConfig

from lungassist.preprocess import NORMALISATIONS

#: Width, depth and dropout of each variant, from TensorFlow's table.
VARIANTS: Final[Mapping[str, tuple[float, float, float]]] = {
    "efficientnet_lite0": (1.0, 1.0, 0.2),
    "efficientnet_lite1": (1.0, 1.1, 0.2),
    "efficientnet_lite2": (1.1, 1.2, 0.3),
}

#: Expansion, kernel, stride, channels in and out, and layers of each stage before scaling (EfficientNet-B0's).
_STAGES: Final = (
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
)
#: Of the pixels in [0, 1] that TensorFlow's weights were trained on.
_MEAN: Final = 127 / 255
_STD: Final = 128 / 255


def _padded(images: torch.Tensor, kernel: int) -> torch.Tensor:
    """Pad `(N, C, H, W)` for an odd kernel and a stride of 2; symbolic tracing understands it."""
    smaller, larger = (kernel - 2) // 2, (kernel - 1) // 2
    # An odd length needs one more, and it goes before.
    left, top = smaller + images.shape[3] % 2, smaller + images.shape[2] % 2
    return functional.pad(images, (left, larger, top, larger))


class SamePadding(nn.Conv2d):
    """A convolution with a stride of 2, padded as TensorFlow does: what is odd goes to the right and to the bottom.

    torchvision pads both sides alike, and so looks at pixels one further to the left and up than the weights learnt.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Convolve `(N, C, H, W)` into `(N, D, ceil(H / 2), ceil(W / 2))`."""
        padded = _padded(images, self.kernel_size[0])
        return functional.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class _Padding(nn.Module):
    def __init__(self, kernel: int) -> None:
        super().__init__()
        self._kernel = kernel

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return _padded(images, self._kernel)


def with_plain_convolutions(network: nn.Module) -> nn.Module:
    """A copy that pads first and convolves then, so that batch norm can be folded into every convolution.

    Its parts have other names: it is for inference, not for being saved. A network without such padding comes back as
    it is, not copied.
    """
    if not any(isinstance(module, SamePadding) for module in network.modules()):
        return network
    copied = copy.deepcopy(network)
    for parent in list(copied.modules()):
        for key, child in list(parent.named_children()):
            if isinstance(child, SamePadding):
                apart = nn.Sequential(_Padding(child.kernel_size[0]), _like(child, nn.Conv2d))
                setattr(parent, key, apart.train(child.training))
    return copied


def _no_excitation(*_given: Any, **_named: Any) -> nn.Module:
    return nn.Identity()


def build_lite(name: str, class_count: int) -> nn.Module:
    """Build a variant with random weights.

    Args:
        name: a key of `VARIANTS`.
        class_count: outputs of the last layer.

    Returns:
        A network from `(N, 3, S, S)` float32 to logits `(N, class_count)`, with torchvision's names of its parts.
    """
    width, depth, dropout = VARIANTS[name]
    block = partial(MBConv, se_layer=_no_excitation)
    ends = (0, len(_STAGES) - 1)
    # The stem, the head, and the depth of the first and last stages are the same in all variants.
    stages = [
        MBConvConfig(*stage, width_mult=width, depth_mult=1.0 if i in ends else depth, block=block)
        for i, stage in enumerate(_STAGES)
    ]
    norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
    network: nn.Module = EfficientNet(stages, dropout, num_classes=class_count, norm_layer=norm, last_channel=1280)
    for parent in list(network.modules()):
        for key, child in list(parent.named_children()):
            if isinstance(child, nn.SiLU):
                setattr(parent, key, nn.ReLU6(inplace=True))
            elif isinstance(child, nn.Conv2d) and child.stride != (1, 1):
                setattr(parent, key, _like(child, SamePadding))
    return network


def _like(given: nn.Conv2d, kind: type[nn.Conv2d]) -> nn.Conv2d:
    """A convolution of another kind with the same weight, which does not pad by itself."""
    made = kind(
        given.in_channels,
        given.out_channels,
        given.kernel_size,  # type: ignore[arg-type]
        given.stride,  # type: ignore[arg-type]
        groups=given.groups,
        bias=given.bias is not None,
        device=given.weight.device,
    )
    made.weight, made.bias = given.weight, given.bias
    return made


_BLOCK_PARTS: Final = {
    "_expand_conv": "0",
    "_bn0": "1",
    "_depthwise_conv": "0",
    "_bn1": "1",
    "_project_conv": "0",
    "_bn2": "1",
}
_OUTER: Final = {
    "_conv_stem": "features.0.0",
    "_bn0": "features.0.1",
    "_conv_head": "features.8.0",
    "_bn1": "features.8.1",
    "_fc": "classifier.1",
}
_BLOCK_NAME: Final = re.compile(r"_blocks\.(\d+)\.(\w+)\.(\w+)")


def from_package(name: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename the tensors of a weights package to torchvision's, and fit the stem to ImageNet-standardised pixels.

    TensorFlow's weights expect (p - 127) / 128. The stem's weights and its batch norm's mean take up the difference, so
    that the network sees what every other network of the registry sees; only the border differs, where 0 is padded.

    Args:
        name: a key of `VARIANTS`.
        state: tensors by the names of the package `efficientnet_lite_pytorch`.

    Returns:
        What fits; a tensor of an unknown name is left out.
    """
    places = _block_places(name)
    renamed: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        found = _BLOCK_NAME.fullmatch(key)
        if found:
            number, part, rest = int(found[1]), found[2], found[3]
            if number < len(places) and part in _BLOCK_PARTS:
                renamed[f"{places[number]}.{_step(number, part)}.{_BLOCK_PARTS[part]}.{rest}"] = value
        else:
            part, _, rest = key.rpartition(".")
            if part in _OUTER:
                renamed[f"{_OUTER[part]}.{rest}"] = value
    return _standardised(renamed)


def _block_places(name: str) -> list[str]:
    """The dotted name of each block's steps, in the order of the network."""
    with torch.device("meta"):
        network = build_lite(name, 2)
    stages = list(network.get_submodule("features").children())[1:-1]
    return [f"features.{i}.{j}.block" for i, stage in enumerate(stages, 1) for j, _ in enumerate(stage.children())]


def _step(number: int, part: str) -> int:
    """Which step of a block a part belongs to: expansion, depthwise, (no excitation,) projection.

    The first block does not expand, so its steps begin one earlier.
    """
    step = {"_expand_conv": 0, "_bn0": 0, "_depthwise_conv": 1, "_bn1": 1, "_project_conv": 3, "_bn2": 3}[part]
    return step - 1 if number == 0 else step


def _standardised(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    weight, mean = state.get("features.0.0.weight"), state.get("features.0.1.running_mean")
    if weight is None or mean is None or weight.ndim != 4 or weight.shape[1] != 3:
        return state
    means, deviations = (torch.tensor(triple).view(1, 3, 1, 1) for triple in NORMALISATIONS["imagenet"])
    # (p - _MEAN) / _STD = deviation / _STD * x + (mean - _MEAN) / _STD, where x = (p - mean) / deviation.
    offset = (weight * (means - _MEAN) / _STD).sum((1, 2, 3))
    state["features.0.0.weight"] = weight * deviations / _STD
    state["features.0.1.running_mean"] = mean - offset
    return state
