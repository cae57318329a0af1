"""Random changes are the same for the same generator, and stay what a radiograph can be."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from lungassist.enhance import bands, evened
from lungassist.preprocess import to_batch
from lungassist.training.augment import (
    augment,
    augment_batch,
    change_on_device,
    equalised_in_tiles,
    unchanged_batch,
)
from lungassist.training.changes import TILES, Processing, draw_changes
from lungassist.training.evened import evened_batch
from lungassist.training.recipe import Recipe

STRONG = Recipe(
    architecture="resnet18", size=64, rotation=20, shift=0.1, scale=0.2, crop=0.2, exposure=0.5, processing=0.5
)
STILL = replace(STRONG, flip=False, rotation=0, shift=0, scale=0, crop=0, exposure=0, processing=0, degrade=False)


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


def test_half_of_the_images_are_cut_as_a_close_film_is() -> None:
    """A ramp's first and last value in a row or column say where the window begins and how wide it is."""
    side, cut = 64, 0.3
    ramp = torch.arange(side).mul(3).to(torch.uint8)
    for batch, other in (((ramp.repeat(400, side, 1)), 1), (ramp.view(-1, 1).repeat(400, 1, side), 2)):
        seen = augmented(replace(STILL, crop=cut), batch=batch).mean(dim=other) / 3  # places in the image
        width = (seen[:, -2] - seen[:, 1]) / (side - 3)
        begins, ends = seen[:, 1] - 1, side - 2 - seen[:, -2]
        whole = (width - 1).abs() < 1e-3
        assert 0.4 < whole.float().mean() < 0.6
        assert 1 - cut - 0.01 <= width.min() < 1 - 0.9 * cut
        assert min(begins.min(), ends.min()) > -0.7, "nothing from beyond the edge comes in"
        begins, ends = begins[~whole], ends[~whole]
        assert begins.mean() == pytest.approx(float(ends.mean()), abs=1)
        assert min(begins.std(), ends.std()) > 2, "the window lies anywhere"


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


@pytest.mark.parametrize("share", [0.0, 0.4, 0.7, 1.0])
def test_so_many_of_the_images_get_noise(share: float) -> None:
    grey = torch.full((400, 32, 32), 128, dtype=torch.uint8)
    changed = augmented(replace(STILL, degrade=True, noise=share), batch=grey)
    uneven = (changed - changed.flatten(1).median(dim=1).values.view(-1, 1, 1)).abs() > 0.01
    noisy = uneven.flatten(1).float().mean(dim=1) > 0.5  # a box covers less, and a coarse image of one grey stays it
    assert noisy.float().mean() == pytest.approx(share, abs=0.08)


def ripples(count: int, *, pixels: float = 8, depth: float = 20) -> torch.Tensor:
    """Grey images with a wave of so many pixels from crest to crest, twice as deep in the right half."""
    place = torch.arange(64)
    wave = (place.view(-1, 1) + place) * (2 * torch.pi / pixels)
    deep = depth * (1 + (place >= 32))
    return (128 + deep * wave.sin()).round().to(torch.uint8).repeat(count, 1, 1)


def depths(batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the waves in the left and in the right half, away from edges."""
    middle = batch.float()[:, 8:-8]
    return middle[:, :, 6:26].std(dim=(1, 2)), middle[:, :, 38:58].std(dim=(1, 2))


def processing_of(recipe: Recipe, batch: torch.Tensor) -> Processing:
    """What `augmented` draws for it."""
    changes = draw_changes(recipe, len(batch), batch.shape[-1], torch.Generator().manual_seed(1))
    assert changes.processing is not None
    return changes.processing


def processed_in_detail(batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Those that are not equalised in tiles, as they come out and as they were."""
    recipe = replace(STILL, processing=1)
    others = ~processing_of(recipe, batch).equalised
    return augmented(recipe, batch=batch)[others], batch[others]


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_so_many_of_the_images_are_processed_otherwise(share: float) -> None:
    batch = ripples(300)
    changed = augmented(replace(STILL, processing=share), batch=batch)
    other = (changed - batch).abs().amax(dim=(1, 2)) > 0.5
    assert other.float().mean() == pytest.approx(share, abs=0.08)


def test_processing_changes_detail_and_not_what_lies_under_it() -> None:
    changed, batch = processed_in_detail(ripples(600, depth=10))
    left, right = (new / old for new, old in zip(depths(changed), depths(batch), strict=True))
    assert left.min() < 0.75, "some are flatter"
    assert left.max() > 2, "some have far more detail"
    assert max(left.max(), right.max()) < 4.1, "none has more than detail is ever raised by"
    assert (changed.mean(dim=(1, 2)) - 128).abs().max() < 3
    evened = right / left
    assert evened.max() < 1.1, "what is deep is raised no more than what is shallow"
    assert (evened > 0.97).float().mean() > 0.4, "half are not evened out"
    assert (evened < 0.85).float().mean() > 0.1


def test_processing_flattens_wide_shadows_of_some() -> None:
    ramp = torch.arange(64).mul(2).add(60).to(torch.uint8).repeat(300, 64, 1)
    changed, _ = processed_in_detail(ramp)
    fall = (changed[:, 20:44, 44] - changed[:, 20:44, 20]).mean(dim=1) / 48
    assert fall.min() < 0.6
    assert fall.max() < 2.6
    assert (fall > 0.9).float().mean() > 0.4


def test_noise_in_the_dark_is_not_raised_to_be_seen() -> None:
    dark = torch.randint(0, 3, (100, 64, 64), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    dark[:, :, 32:] = ripples(100)[:, :, 32:]
    changed = processed_in_detail(dark)[0][:, 8:-8, 4:24]
    grain = changed.diff(dim=1).flatten(1).std(dim=1)
    assert grain.max() < 5 * dark[:, 8:-8, 4:24].float().diff(dim=1).std()


FLIP_AND_ROTATE = replace(STILL, flip=True, rotation=15)


def smooth(count: int = 16, side: int = 64) -> torch.Tensor:
    """Images without single-pixel detail and with dark edges: places may differ by a small part of a pixel."""
    noise = torch.rand(count, 1, 9, 9, generator=torch.Generator().manual_seed(3))
    large = torch.nn.functional.interpolate(noise, size=(side, side), mode="bicubic").clamp(0, 1)
    fade = torch.hann_window(side, periodic=False).sqrt()
    return (large.squeeze(1) * fade * fade.unsqueeze(1) * 255).to(torch.uint8)


@pytest.mark.parametrize(
    "recipe",
    [FLIP_AND_ROTATE, replace(STRONG, exposure=0, processing=0), replace(STRONG, processing=0)],
    ids=["paper", "flat", "all"],
)
def test_the_cpu_agrees_with_the_batch_arithmetic_of_other_devices(recipe: Recipe) -> None:
    batch = smooth()
    changes = draw_changes(recipe, len(batch), 64, torch.Generator().manual_seed(1))
    difference = (augmented(recipe, batch=batch) - change_on_device(batch, changes)).abs()
    # Half a level of rounding; contrast and gamma of up to 1.5 and e**0.5 stretch it, most in the dark.
    assert difference.mean() < 0.6
    assert difference.quantile(0.999) < (1.1 if not recipe.exposure else 8)


@pytest.mark.parametrize("side", [64, 224])
def test_the_cpu_processes_as_other_devices_do(side: int) -> None:
    recipe = replace(STILL, processing=1, size=side)
    batch = torch.cat([smooth(32, side), images(32) if side == 64 else smooth(32, side)])
    changes = draw_changes(recipe, len(batch), side, torch.Generator().manual_seed(1))
    difference = (augmented(recipe, batch=batch) - change_on_device(batch, changes)).abs().amax(dim=(1, 2))
    equalised = processing_of(recipe, batch).equalised
    assert difference[~equalised].max() < 0.05
    assert difference[equalised].max() <= 1, "grey levels are whole there, and a half may be rounded up or down"


def test_some_are_equalised_in_tiles_and_nothing_else() -> None:
    recipe, batch = replace(STILL, processing=0.5), images(300)
    drawn, changed = processing_of(recipe, batch), augmented(recipe, batch=batch)
    equalised = drawn.chosen & drawn.equalised
    assert equalised.float().mean() == pytest.approx(0.2, abs=0.05)
    assert {TILES[index] for index in drawn.tiles[equalised]} == set(TILES)
    assert drawn.limit[equalised].min() < 1.5
    assert drawn.limit[equalised].max() > 3.5
    for i in equalised.nonzero().flatten()[:12].tolist():
        tiles = TILES[int(drawn.tiles[i])]
        expected = cv2.createCLAHE(float(drawn.limit[i]), (tiles, tiles)).apply(batch[i].numpy())
        np.testing.assert_array_equal(changed[i].numpy(), expected)


def test_where_none_is_equalised_nothing_is_drawn_for_it() -> None:
    batch, recipe = images(100), replace(STRONG, equalising=0.0)
    assert not processing_of(recipe, batch).equalised.any()
    without = draw_changes(recipe, 100, 64, random := torch.Generator().manual_seed(1))
    as_before = torch.Generator().manual_seed(1)
    draw_changes(replace(recipe, processing=0, degrade=False), 100, 64, as_before)
    torch.rand(7 * 100, generator=as_before)  # chosen, places, gain, evening and flattening twice each
    assert without.degradation is not None
    draw_changes(replace(recipe, degrade=False), 100, 64, only := torch.Generator().manual_seed(1))
    assert torch.equal(only.get_state(), as_before.get_state())
    assert not torch.equal(random.get_state(), only.get_state())


@pytest.mark.parametrize("side", [64, 96, 100, 224])
@pytest.mark.parametrize("tiles", TILES)
def test_equalisation_on_other_devices_is_opencvs(tiles: int, side: int) -> None:
    batch, limits = torch.cat([smooth(4, side), 255 - smooth(4, side) // 3]), torch.linspace(1, 4, 8)
    found = equalised_in_tiles(batch.unsqueeze(1) / 255, tiles, limits).squeeze(1).numpy() * 255
    each = zip(limits.tolist(), batch.numpy(), strict=True)
    expected = np.stack([cv2.createCLAHE(limit, (tiles, tiles)).apply(image) for limit, image in each])
    assert np.abs(found - expected).max() <= 1.001, "a level, where a half is rounded"
    assert (np.abs(found - expected) > 0.5).mean() < 0.05


@pytest.mark.parametrize("side", [64, 224, 320])
def test_bands_on_other_devices_are_those_of_triage(side: int) -> None:
    sharp = torch.rand(4, side, side, generator=torch.Generator().manual_seed(1)) * 60 + smooth(4, side) * 0.7
    batch = torch.cat([smooth(4, side).float(), sharp, torch.full((1, side, side), 90.0)])
    expected = np.stack([evened(image.numpy()) for image in batch])
    found = evened_batch(batch).numpy()
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert np.ptp(found[:8], axis=(1, 2)).min() > 200, "the range is stretched, and that of an empty film is not"
    assert np.ptp(found[8]) < 1


EVENED = replace(STRONG, enhancement="bands", enhance_changed=True)


@pytest.mark.parametrize("recipe", [EVENED, replace(EVENED, exposure=0, processing=0, degrade=False)])
def test_bands_are_evened_out_after_all_other_changes(recipe: Recipe) -> None:
    before = augmented(replace(recipe, enhance_changed=False))
    expected = torch.from_numpy(np.stack([evened(image.numpy()) for image in before]))
    assert (expected - before).abs().mean() > 5
    torch.testing.assert_close(augmented(recipe), expected, rtol=0, atol=0.01)
    changes = draw_changes(recipe, 16, 64, torch.Generator().manual_seed(1))
    elsewhere = change_on_device(images(), replace(changes, evened=False))
    torch.testing.assert_close(change_on_device(images(), changes), evened_batch(elsewhere))


def test_so_are_those_of_images_that_nothing_happens_to() -> None:
    evens = replace(STILL, enhancement="bands", enhance_changed=True)
    expected = to_batch(torch.from_numpy(np.stack([bands(image.numpy()) for image in images()])), evens.preprocessing)
    found = unchanged_batch(images(), evens)
    assert (found - expected).abs().max() < 0.6 / 255 / min(evens.preprocessing.std), (
        "half a level, which triage rounds"
    )
    before = replace(evens, enhance_changed=False)
    assert torch.equal(unchanged_batch(images(), before), to_batch(images(), before.preprocessing)), "enhanced before"


@pytest.mark.parametrize("enhancement", ["none", "clahe", "bands"])
def test_what_is_enhanced_before_is_not_enhanced_again(enhancement: str) -> None:
    assert torch.equal(augmented(replace(STRONG, enhancement=enhancement)), augmented(STRONG))


@pytest.mark.parametrize("recipe", [STRONG, EVENED])
def test_processes_that_share_a_batch_see_what_one_would(recipe: Recipe) -> None:
    batch = images(21)
    together = torch.Generator().manual_seed(4)
    whole = augment(batch, recipe, together)
    for bounds in ((0, 7), (7, 8), (8, 21)):
        alone = torch.Generator().manual_seed(4)
        part = augment(batch[slice(*bounds)], recipe, alone, first=bounds[0], whole=21)
        assert torch.equal(part, whole[slice(*bounds)])
        assert torch.equal(alone.get_state(), together.get_state())


def test_a_part_must_lie_within_its_batch() -> None:
    with pytest.raises(ValueError, match="images 10 to 26 are not within a batch of 20"):
        augment(images(16), STRONG, torch.Generator(), first=10, whole=20)


def test_the_number_of_threads_does_not_matter() -> None:
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(augment_batch(images(33), STRONG, torch.Generator().manual_seed(1)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("normalisation", ["radiograph", "imagenet"])
def test_in_one_go_is_the_same_as_step_by_step(normalisation: str, layout: torch.memory_format) -> None:
    recipe = replace(STRONG, normalisation=normalisation)
    expected = to_batch(augmented(recipe), recipe.preprocessing)
    generator = torch.Generator().manual_seed(1)
    out = torch.full((16, 3, 64, 64), torch.nan).to(memory_format=layout)
    assert augment_batch(images(), recipe, generator, out=out) is out
    assert out.is_contiguous(memory_format=layout)
    assert torch.equal(out, expected)
    assert torch.equal(augment_batch(images(), recipe, torch.Generator().manual_seed(1)), expected)
