"""Random changes are the same for the same generator, and stay what a radiograph can be."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lungassist.training.augment import augment
from lungassist.training.recipe import Recipe

STRONG = Recipe(architecture="resnet18", size=64, rotation=20, shift=0.1, scale=0.2, exposure=0.5)
STILL = replace(STRONG, flip=False, rotation=0, shift=0, scale=0, exposure=0, degrade=False)


def images(count: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (count, 64, 64), generator=generator, dtype=torch.uint8)


def augmented(recipe: Recipe, seed: int = 1, batch: torch.Tensor | None = None) -> torch.Tensor:
    return augment(images() if batch is None else batch, recipe, torch.Generator().manual_seed(seed))


def test_the_generator_decides_and_nothing_else() -> None:
    torch.manual_seed(1)
    once = augmented(STRONG)
    torch.manual_seed(2)
    torch.testing.assert_close(augmented(STRONG), once, rtol=0, atol=0)
    assert not torch.equal(augmented(STRONG, seed=2), once)


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    augmented(STRONG)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("seed", range(3))
def test_values_stay_in_range_and_the_input_stays_as_it_was(seed: int) -> None:
    batch = images()
    changed = augmented(STRONG, seed, batch)
    assert changed.shape == batch.shape
    assert changed.dtype == torch.float32
    assert torch.isfinite(changed).all()
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert torch.equal(batch, images())


def test_nothing_asked_for_is_nothing_done() -> None:
    torch.testing.assert_close(augmented(STILL), images().float(), rtol=0, atol=0.01)


def test_half_of_the_images_are_mirrored() -> None:
    batch = images(200)
    changed = augmented(replace(STILL, flip=True), batch=batch)
    straight, mirrored = batch.float(), batch.flip(2).float()
    is_straight = (changed - straight).abs().amax(dim=(1, 2)) < 0.01
    is_mirrored = (changed - mirrored).abs().amax(dim=(1, 2)) < 0.01
    assert (is_straight ^ is_mirrored).all()
    assert 70 <= int(is_mirrored.sum()) <= 130


def test_a_shift_moves_by_no_more_than_its_share() -> None:
    dot = torch.zeros(50, 64, 64, dtype=torch.uint8)
    dot[:, 31:33, 31:33] = 255
    changed = augmented(replace(STILL, shift=0.1), batch=dot)
    weights = changed / changed.sum(dim=(1, 2), keepdim=True)
    places = torch.arange(64) + 0.5
    down = (weights.sum(dim=2) * places).sum(dim=1) - 32
    right = (weights.sum(dim=1) * places).sum(dim=1) - 32
    for moved in (down, right):
        assert moved.abs().max() <= 6.5
        assert moved.std() > 2


def test_every_image_is_changed_in_its_own_way() -> None:
    same = images(1).repeat(8, 1, 1)
    changed = augmented(STRONG, batch=same)
    for other in changed[1:]:
        assert not torch.allclose(other, changed[0])


def test_degrading_spares_some_images_and_covers_others() -> None:
    grey = torch.full((200, 64, 64), 128, dtype=torch.uint8)
    changed = augmented(replace(STILL, degrade=True), batch=grey)
    untouched = (changed - 128).abs().amax(dim=(1, 2)) < 0.01
    assert 0.1 < untouched.float().mean() < 0.7
    assert (changed == 255).flatten(1).any(1).float().mean() > 0.1
