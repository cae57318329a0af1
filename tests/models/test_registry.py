"""Thirteen architectures: each can be built, cut in two without a change, and trained in parts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lungassist.errors import UsageError
from lungassist.models.registry import (
    ARCHITECTURES,
    architecture,
    build,
    group_names,
    parameter_shares,
    parameters_of,
)
from tests.drawn import network_of

NAMES = tuple(ARCHITECTURES)


def skeleton(name: str) -> nn.Module:
    """A network without numbers, which costs nothing."""
    with torch.device("meta"):
        return build(name, 4)


def count(modules: list[nn.Module]) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_the_papers_networks_are_there() -> None:
    assert {"alexnet", "vgg16", "vgg19_bn", "resnet50", "densenet121"} <= set(NAMES)
    assert len(NAMES) == 13


@pytest.mark.parametrize("name", NAMES)
def test_the_halves_together_are_the_whole(name: str) -> None:
    network = network_of(name)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    record = architecture(name)
    seen: list[torch.Tensor] = []
    hook = network.get_submodule(record.target_layer).register_forward_hook(
        lambda module, given, result: seen.append(result.clone())
    )
    with torch.no_grad():
        expected = network(images)
        hook.remove()
        body, tail = record.halve(network)
        activations = body(images)
        logits = tail(activations.clone())
    assert logits.shape == (1, 4)
    assert logits.std() > 0.01
    torch.testing.assert_close(logits, expected)
    # What Grad-CAM weighs is what the named layer gives; DenseNet's ReLU behind it is applied already.
    torch.testing.assert_close(activations, seen[0].relu() if name == "densenet121" else seen[0])


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_a_network_that_was_built_takes_images_and_gives_logits(name: str) -> None:
    with torch.no_grad():
        assert build(name, 3).eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 3)


@pytest.mark.parametrize("name", NAMES)
def test_all_groups_are_the_whole_network_and_none_overlap(name: str) -> None:
    network, record = skeleton(name), architecture(name)
    parts = [part for parts in record.groups.values() for part in parts]
    assert len(parts) == len(set(parts))
    modules = parameters_of(network, record, ("all",))
    assert count(modules) == count([network])
    assert {id(p) for module in modules for p in module.parameters()} == {id(p) for p in network.parameters()}


@pytest.mark.parametrize("name", NAMES)
def test_the_default_groups_exist_and_hold_the_last_layer(name: str) -> None:
    network, record = skeleton(name), architecture(name)
    trained = {id(p) for module in parameters_of(network, record, record.default_groups) for p in module.parameters()}
    every = list(network.parameters())
    assert id(every[-1]) in trained
    assert id(every[0]) not in trained
    assert network.get_submodule(record.target_layer) is not None


def test_alexnets_default_is_the_last_convolution_and_the_classifier() -> None:
    network, record = skeleton("alexnet"), architecture("alexnet")
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    trained = parameters_of(network, record, record.default_groups)
    assert trained == [convolutions[-1], network.get_submodule("classifier")]
    # 256 x (256 x 9 + 1) of the convolution; 4096 x (9216 + 1), 4096 x (4096 + 1), 4 x (4096 + 1) of the classifier.
    assert count(trained) == 590_080 + 37_752_832 + 16_781_312 + 16_388


def test_vgg19s_default_is_the_last_three_convolutions_and_the_classifier() -> None:
    network, record = skeleton("vgg19_bn"), architecture("vgg19_bn")
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    trained = parameters_of(network, record, record.default_groups)
    assert [m for m in trained if isinstance(m, nn.Conv2d)] == convolutions[-3:]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in trained) == 3
    assert trained[-1] is network.get_submodule("classifier")


def test_resnet50s_default_is_the_last_two_stages_and_the_classifier() -> None:
    network, record = skeleton("resnet50"), architecture("resnet50")
    trained = parameters_of(network, record, record.default_groups)
    assert trained == [network.get_submodule(name) for name in ("layer3", "layer4", "fc")]
    # 7,098,368 and 14,964,736 are torchvision's; 4 x (2048 + 1) of the new last layer.
    assert count(trained) == 7_098_368 + 14_964_736 + 8_196
    assert count(trained) / count([network]) == pytest.approx(0.939, abs=0.001)


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'resnet51'.*resnet50"):
        architecture("resnet51")


@pytest.mark.parametrize("groups", [("layer9",), ("all", "fc"), ()])
def test_groups_that_do_not_exist_are_refused_with_the_known_ones(groups: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"ResNet18.*layer4, fc"):
        group_names(architecture("resnet18"), groups)


@pytest.mark.parametrize("name", NAMES)
def test_the_shares_of_the_groups_are_those_of_their_parameters(name: str) -> None:
    network, shares = skeleton(name), parameter_shares(name)
    assert list(shares) == list(architecture(name).groups)
    assert sum(shares.values()) == pytest.approx(1)
    for group, share in shares.items():
        own = count(parameters_of(network, architecture(name), (group,)))
        assert share == pytest.approx(own / count([network]))
