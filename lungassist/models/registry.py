"""One frozen record per architecture: how to build it, where Grad-CAM looks, which parts fine-tuning may train.

Every network is torchvision's or made of its parts. A record cuts it in two: the `body` ends at the last convolutional
stage, whose activations Grad-CAM weighs; the `tail` is what follows. Both share the network's own modules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

import torch
from torch import nn
from torchvision import models as tv

from lungassist.classes import CLASSES
from lungassist.errors import UsageError
from lungassist.models.efficientnet_lite import VARIANTS, build_lite

Halves = tuple[nn.Module, nn.Module]


@dataclass(frozen=True, slots=True)
class Architecture:
    """What LungAssist knows of one network.

    Attributes:
        name: torchvision's name of the builder, or one of `efficientnet_lite.VARIANTS`.
        title: as one writes it.
        target_layer: dotted name of the module whose output Grad-CAM weighs.
        halve: cuts a network after `target_layer`.
        groups: fine-tuning groups from input to output, each a tuple of dotted module names.
        default_groups: the groups that train by default; the paper's where the paper tried the network.
        input_size: side of the square input in pixels.
    """

    name: str
    title: str
    target_layer: str
    halve: Callable[[nn.Module], Halves]
    groups: Mapping[str, tuple[str, ...]]
    default_groups: tuple[str, ...]
    input_size: int = 224


def _children(model: nn.Module, *names: str) -> list[nn.Module]:
    return [model.get_submodule(name) for name in names]


def _halve_resnet(model: nn.Module) -> Halves:
    stages = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    pool, head = _children(model, "avgpool", "fc")
    return nn.Sequential(*_children(model, *stages)), nn.Sequential(pool, nn.Flatten(1), head)


def _halve_after(last: int) -> Callable[[nn.Module], Halves]:
    """Cut networks of the shape features, avgpool, classifier after `features[last]`."""

    def halve(model: nn.Module) -> Halves:
        features = list(model.get_submodule("features").children())
        pool, head = _children(model, "avgpool", "classifier")
        return nn.Sequential(*features[: last + 1]), nn.Sequential(*features[last + 1 :], pool, nn.Flatten(1), head)

    return halve


def _halve_mobilenet(model: nn.Module) -> Halves:
    features, pool, head = _children(model, "features", "avgpool", "classifier")
    return nn.Sequential(*features.children()), nn.Sequential(pool, nn.Flatten(1), head)


def _halve_densenet(model: nn.Module) -> Halves:
    features, head = _children(model, "features", "classifier")
    # torchvision applies these as functions, the ReLU in place. It belongs to the body: what it cuts off never
    # reaches the classifier, so it is no evidence.
    body = nn.Sequential(*features.children(), nn.ReLU(inplace=False))
    return body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1), head)


def _resnet(name: str, title: str) -> Architecture:
    groups = {"stem": ("conv1", "bn1"), **{f"layer{i}": (f"layer{i}",) for i in range(1, 5)}, "fc": ("fc",)}
    return Architecture(name, title, "layer4", _halve_resnet, MappingProxyType(groups), ("layer3", "layer4", "fc"))


def _feature_groups(**groups: range | tuple[int, ...]) -> Mapping[str, tuple[str, ...]]:
    named = {name: tuple(f"features.{i}" for i in indices) for name, indices in groups.items()}
    return MappingProxyType({**named, "classifier": ("classifier",)})


def _alexnet() -> Architecture:
    groups = _feature_groups(early=(0, 3), middle=(6, 8), last_convolution=(10,))
    return Architecture(
        "alexnet", "AlexNet", "features.11", _halve_after(11), groups, ("last_convolution", "classifier")
    )


def _vgg(name: str, title: str, last: int, last_three: tuple[int, ...]) -> Architecture:
    groups = _feature_groups(early=range(min(last_three)), last_three_convolutions=last_three)
    default = ("last_three_convolutions", "classifier")
    return Architecture(name, title, f"features.{last}", _halve_after(last), groups, default)


def _mobilenet(name: str, title: str, last: int) -> Architecture:
    groups = _feature_groups(early=range(last // 2), late=range(last // 2, last + 1))
    return Architecture(name, title, "features", _halve_mobilenet, groups, ("late", "classifier"))


def _efficientnet_lite(name: str, title: str) -> Architecture:
    groups = _feature_groups(early=range(4), middle=(4, 5), late=(6, 7, 8))
    return Architecture(name, title, "features", _halve_mobilenet, groups, ("middle", "late", "classifier"))


def _densenet() -> Architecture:
    blocks = {f"block{i}": (f"features.denseblock{i}", f"features.transition{i}") for i in range(1, 4)}
    last = ("features.denseblock4", "features.norm5")
    groups = {
        "stem": ("features.conv0", "features.norm0"),
        **blocks,
        "block4": last,
        "classifier": ("classifier",),
    }
    default = ("block4", "classifier")
    return Architecture("densenet121", "DenseNet121", "features", _halve_densenet, MappingProxyType(groups), default)


_ALL: Final = (
    _alexnet(),
    _vgg("vgg16", "VGG16", 29, (24, 26, 28)),
    _vgg("vgg19_bn", "VGG19_bn", 51, (43, 44, 46, 47, 49, 50)),
    _resnet("resnet18", "ResNet18"),
    _resnet("resnet34", "ResNet34"),
    _resnet("resnet50", "ResNet50"),
    _resnet("wide_resnet50_2", "Wide ResNet50-2"),
    _densenet(),
    _mobilenet("mobilenet_v3_small", "MobileNetV3 small", 12),
    _mobilenet("mobilenet_v3_large", "MobileNetV3 large", 16),
    *(_efficientnet_lite(name, f"EfficientNet-Lite{name[-1]}") for name in VARIANTS),
)

ARCHITECTURES: Final[Mapping[str, Architecture]] = MappingProxyType({a.name: a for a in _ALL})


def architecture(name: str) -> Architecture:
    """Look an architecture up by torchvision's name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in ARCHITECTURES:
        raise UsageError(f"There is no architecture {name!r}. Known: {', '.join(ARCHITECTURES)}.")
    return ARCHITECTURES[name]


def build(name: str, class_count: int) -> nn.Module:
    """Build a network with random weights.

    Args:
        name: a name in `ARCHITECTURES`.
        class_count: outputs of the last layer.

    Returns:
        A network from `(N, 3, S, S)` float32 to logits `(N, class_count)`.
    """
    if name in VARIANTS:
        return build_lite(name, class_count)
    network: nn.Module = tv.get_model(architecture(name).name, weights=None, num_classes=class_count)
    return network


def group_names(record: Architecture, groups: tuple[str, ...]) -> tuple[str, ...]:
    """The groups that are meant: `("all",)` stands for every group.

    Raises:
        UsageError: none is named, or one does not exist in this architecture.
    """
    names = tuple(record.groups) if groups == ("all",) else groups
    known = f"It has: all, {', '.join(record.groups)}."
    if not names:
        raise UsageError(f"At least one group of {record.title} must train. {known}")
    unknown = [name for name in names if name not in record.groups]
    if unknown:
        raise UsageError(f"{record.title} has no group {unknown[0]!r}. {known}")
    return names


def parameters_of(model: nn.Module, record: Architecture, groups: tuple[str, ...]) -> list[nn.Module]:
    """The modules of the named groups; `("all",)` names every group.

    Raises:
        UsageError: a group does not exist in this architecture.
    """
    return [model.get_submodule(part) for name in group_names(record, groups) for part in record.groups[name]]


@cache
def parameter_shares(name: str) -> Mapping[str, float]:
    """Which share of a network's parameters lies in each of its groups, in [0, 1]; together 1.

    Counted for the database's four classes, on a network without numbers, which costs some milliseconds once.

    Raises:
        UsageError: there is no such architecture.
    """
    record = architecture(name)
    with torch.device("meta"):
        model = build(name, len(CLASSES))
    whole = sum(parameter.numel() for parameter in model.parameters())
    counts = {
        group: sum(p.numel() for module in parameters_of(model, record, (group,)) for p in module.parameters())
        for group in record.groups
    }
    return MappingProxyType({group: count / whole for group, count in counts.items()})
