"""Batch norm judges clean images by the statistics of clean images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from lungassist.models.registry import build
from lungassist.preprocess import to_batch
from lungassist.training.augment import augment_batch
from lungassist.training.batch_norm import with_clean_statistics, with_training_statistics
from lungassist.training.recipe import Recipe

RECIPE = Recipe(architecture="resnet18", start="scratch", size=32)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(60, 200, (128, 32, 32), np.uint8))


@pytest.fixture
def network() -> nn.Module:
    """A network whose batch norm has seen something else altogether."""
    torch.manual_seed(0)
    model = build("resnet18", 4)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(7.0)  # type: ignore[union-attr]
    return model


def test_the_first_layer_gets_the_mean_and_variance_of_what_it_sees(network: nn.Module, images: torch.Tensor) -> None:
    settled = with_clean_statistics(network, images, RECIPE)
    with torch.no_grad():
        seen = network.get_submodule("conv1")(to_batch(images, RECIPE.preprocessing))
    first = settled.get_submodule("bn1")
    torch.testing.assert_close(first.running_mean, seen.mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first.running_var, seen.var(dim=(0, 2, 3)), rtol=2e-2, atol=1e-4)
    assert not settled.training
    assert first.momentum == 0.1


def test_or_of_what_it_sees_in_training(network: nn.Module, images: torch.Tensor) -> None:
    recipe = replace(RECIPE, noise=1.0, exposure=0.6)
    first = with_training_statistics(network, images[:64], recipe).get_submodule("bn1")
    with torch.no_grad():
        order = torch.randperm(64, generator=torch.Generator().manual_seed(recipe.seed))
        changed = augment_batch(images[order], recipe, torch.Generator().manual_seed(recipe.seed))
        seen = network.get_submodule("conv1")(changed)
    torch.testing.assert_close(first.running_mean, seen.mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first.running_var, seen.var(dim=(0, 2, 3)), rtol=2e-2, atol=1e-4)
    clean = with_clean_statistics(network, images[:64], recipe).get_submodule("bn1")
    assert not torch.allclose(first.running_var, clean.running_var, rtol=0.05)  # type: ignore[arg-type]


@pytest.mark.parametrize("measured", [with_clean_statistics, with_training_statistics])
def test_the_network_itself_is_left_alone_and_the_result_repeats(
    network: nn.Module, images: torch.Tensor, measured: Callable[..., nn.Module]
) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    once = measured(network, images, RECIPE).state_dict()
    again = measured(network, images, RECIPE).state_dict()
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])
        assert torch.equal(once[key], again[key])


def test_frozen_layers_keep_the_statistics_they_came_with(network: nn.Module, images: torch.Tensor) -> None:
    network.get_submodule("layer1").requires_grad_(False)
    settled = with_clean_statistics(network, images, RECIPE)
    assert (settled.get_submodule("layer1.0.bn1").running_mean == 7.0).all()
    assert not (settled.get_submodule("layer2.0.bn1").running_mean == 7.0).any()


def test_a_network_without_batch_norm_is_copied_unchanged(images: torch.Tensor) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4))
    settled = with_clean_statistics(network, images, RECIPE)
    assert torch.equal(settled[1].weight, network[1].weight)  # type: ignore[index]
