"""Random changes to a whole batch at once, on the training device, from a seeded generator.

They stand for what differs between hospitals and not between diseases: how the patient stood (rotation, shift,
scale), how the film was exposed, windowed and processed, how it was scanned and stored, what was printed on it.

On the CPU images are moved one by one as bytes, in threads; elsewhere the whole batch at once as floats. The two agree
to within the rounding of a grey level, which exposure may stretch.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional

from lungassist.preprocess import Preprocessing, to_batch
from lungassist.training.augment_cpu import change_on_cpu
from lungassist.training.changes import (
    LEAST_DETAIL,
    MOST_GAIN,
    PLACES,
    TILES,
    Boxes,
    Changes,
    Degradation,
    Processing,
    draw_changes,
    places_a_side,
)
from lungassist.training.evened import evened_batch
from lungassist.training.recipe import Recipe


def augment(
    images: torch.Tensor, recipe: Recipe, generator: torch.Generator, *, first: int = 0, whole: int | None = None
) -> torch.Tensor:
    """Change every image of a batch in its own random way.

    Processes that share a batch give the same `whole` and generators of the same state: each then sees what one
    process alone would see of its images, and all generators go on from the same state.

    Args:
        images: `(N, S, S)` uint8, the images `first` to `first + N` of a batch of `whole` (default: just these).
        recipe: says how strongly.
        generator: on the images' device; the same state gives the same result, whatever the number of threads.

    Returns:
        `(N, S, S)` float32 in [0, 255].
    """
    changes = _drawn(images, recipe, generator, first, whole)
    if images.device.type != "cpu":
        return change_on_device(images, changes)
    result = torch.empty(images.shape, dtype=torch.float32)
    change_on_cpu(images.numpy(), changes, result.unsqueeze(1).numpy())
    return result


def augment_batch(
    images: torch.Tensor,
    recipe: Recipe,
    generator: torch.Generator,
    *,
    preprocessing: Preprocessing | None = None,
    first: int = 0,
    whole: int | None = None,
    out: torch.Tensor | None = None,
    processed: bool = True,
) -> torch.Tensor:
    """`to_batch(augment(...), preprocessing)` in one go, which spares the CPU several passes through memory.

    Args:
        preprocessing: the recipe's unless given.
        out: `(N, 3, S, S)` float32 on the CPU to write to, channels first or last; a fresh tensor of that size costs
            as much time as filling it.
        processed: False leaves local contrast alone and changes all else as it would be changed with it.

    Returns:
        `(N, 3, S, S)` float32, a network's input.
    """
    preprocessing = preprocessing or recipe.preprocessing
    changes = _drawn(images, recipe, generator, first, whole)
    if not processed:
        changes = replace(changes, processing=None)
    if images.device.type != "cpu":
        return to_batch(change_on_device(images, changes), preprocessing)
    n, side, _ = images.shape
    result = torch.empty(n, 3, side, side) if out is None else out
    change_on_cpu(images.numpy(), changes, result.numpy(), preprocessing)
    return result


def unchanged_batch(images: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Images to train on as a reader would send them: as `augment_batch`, but nothing happens to them."""
    grey = evened_batch(images.float()) if recipe.enhance_changed else images
    return to_batch(grey, recipe.preprocessing)


def _drawn(images: torch.Tensor, recipe: Recipe, generator: torch.Generator, first: int, whole: int | None) -> Changes:
    total = len(images) if whole is None else whole
    if not 0 <= first <= first + len(images) <= total:
        raise ValueError(f"images {first} to {first + len(images)} are not within a batch of {total}")
    return draw_changes(recipe, total, images.shape[-1], generator).rows(first, len(images))


def change_on_device(images: torch.Tensor, changes: Changes) -> torch.Tensor:
    """Apply `changes`, which are on the same device, to `(N, S, S)` uint8; returns `(N, S, S)` float32 in [0, 255]."""
    batch = images.float().unsqueeze(1) / 255
    grid = functional.affine_grid(changes.matrix, list(batch.shape), align_corners=False)
    batch = functional.grid_sample(batch, grid, padding_mode="zeros", align_corners=False)
    if changes.exposure is not None:
        gamma, contrast, brightness = changes.exposure.view(-1, 3, 1, 1, 1).unbind(1)
        batch = ((batch.clamp(1e-4, 1) ** gamma - 0.5) * contrast + 0.5 + brightness).clamp(0, 1)
    if changes.processing is not None:
        batch = _processed(batch, changes.processing)
    if changes.degradation is not None:
        batch = _degrade(batch, changes.degradation)
    grey = (batch.clamp(0, 1) * 255).squeeze(1)
    return evened_batch(grey) if changes.evened else grey


def _processed(batch: torch.Tensor, processing: Processing) -> torch.Tensor:
    gain, evening, flattening = (
        each.view(-1, 1, 1, 1) for each in (processing.gain, processing.evening, processing.flattening)
    )
    mean = _local_means(batch, processing)
    detail = batch - mean
    spread = _local_means(detail.square(), processing).clamp(min=0).sqrt()
    usual = spread.mean(dim=(1, 2, 3), keepdim=True)
    gain = (gain * ((usual + LEAST_DETAIL) / (spread + LEAST_DETAIL)) ** evening).clamp(max=MOST_GAIN)
    mean = mean + flattening * (batch.mean(dim=(1, 2, 3), keepdim=True) - mean)
    result = (mean + gain * detail).clamp(0, 1)
    for index, tiles in enumerate(TILES):
        here = (processing.equalised & (processing.tiles == index)).view(-1, 1, 1, 1)
        result = torch.where(here, equalised_in_tiles(batch, tiles, processing.limit), result)
    return torch.where(processing.chosen.view(-1, 1, 1, 1), result, batch)


def equalised_in_tiles(batch: torch.Tensor, tiles: int, limit: torch.Tensor) -> torch.Tensor:
    """Contrast-limited adaptive histogram equalisation of a whole batch, with OpenCV's rounding.

    Zuiderveld, Graphics Gems IV, 1994. No histogram leaves the device.

    Args:
        batch: `(N, 1, S, S)` in [0, 1].
        tiles: a side.
        limit: `(N,)`, how many times the usual count a bin may hold; what is above is dealt to all.

    Returns:
        `(N, 1, S, S)`, multiples of 1/255.
    """
    n, side = len(batch), batch.shape[-1]
    levels = (batch.squeeze(1) * 255).round().long()
    missing = -side % tiles
    whole = functional.pad(levels.float().unsqueeze(1), (0, missing, 0, missing), mode="reflect").long().squeeze(1)
    tile = (side + missing) // tiles
    pixels = whole.view(n, tiles, tile, tiles, tile).transpose(2, 3).reshape(n * tiles * tiles, tile * tile)
    counts = torch.zeros(len(pixels), 256, dtype=torch.int64, device=batch.device)
    counts.scatter_add_(1, pixels, torch.ones_like(pixels))
    most = (limit.double() * (tile * tile / 256)).floor().clamp(min=1).long().repeat_interleave(tiles * tiles)
    excess = (counts - most.unsqueeze(1)).clamp(min=0).sum(1, keepdim=True)
    # An equal share for every bin, and what is left one by one in even steps from the darkest on.
    left = excess % 256
    step = 256 // left.clamp(min=1)
    bins = torch.arange(256, device=batch.device)
    counts = counts.minimum(most.unsqueeze(1)) + excess // 256
    counts = counts + ((bins % step == 0) & (bins // step < left)).long()
    table = (counts.cumsum(1).float() * (255 / (tile * tile))).round().clamp(max=255).view(n, tiles, tiles, 256)
    place = torch.arange(side, device=batch.device) / tile - 0.5
    before = place.floor()
    share = place - before
    first, second = before.long().clamp(min=0), (before.long() + 1).clamp(max=tiles - 1)
    image = torch.arange(n, device=batch.device).view(-1, 1, 1)

    def looked_up(down: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return table[image, down.view(1, -1, 1), right.view(1, 1, -1), levels]

    upper = looked_up(first, first) * (1 - share) + looked_up(first, second) * share
    lower = looked_up(second, first) * (1 - share) + looked_up(second, second) * share
    below = share.view(1, -1, 1)
    return ((upper * (1 - below) + lower * below).round() / 255).unsqueeze(1)


def _local_means(batch: torch.Tensor, processing: Processing) -> torch.Tensor:
    """Over places of each image's own size; all are computed, as which are wanted is known on the device alone."""
    side, result = batch.shape[-1], batch
    for index in range(len(PLACES)):
        small = (places_a_side(index, side),) * 2
        means = functional.interpolate(batch, size=small, mode="bilinear", antialias=True)
        means = functional.interpolate(means, size=(side, side), mode="bilinear")
        result = torch.where((processing.places == index).view(-1, 1, 1, 1), means, result)
    return result


def _degrade(batch: torch.Tensor, degradation: Degradation) -> torch.Tensor:
    side = batch.shape[-1]
    small = degradation.coarse_side(side)
    coarse = functional.interpolate(batch, size=(small, small), mode="bilinear", antialias=True)
    coarse = functional.interpolate(coarse, size=(side, side), mode="bilinear")
    batch = torch.where(degradation.coarse.view(-1, 1, 1, 1), coarse, batch)
    squares = degradation.noise.unfold(0, side, 1).unfold(1, side, 1)
    noise = squares[degradation.down, degradation.right]
    batch = batch + (noise * degradation.spread.view(-1, 1, 1)).unsqueeze(1)
    for boxes in degradation.boxes:
        batch = torch.where(_inside(boxes, side), boxes.grey.view(-1, 1, 1, 1), batch)
    return batch


def _inside(boxes: Boxes, side: int) -> torch.Tensor:
    axis = torch.arange(side, device=boxes.left.device) / side
    left, top, width, height = (t.view(-1, 1) for t in (boxes.left, boxes.top, boxes.width, boxes.height))
    across = (axis >= left) & (axis < left + width)
    down = (axis >= top) & (axis < top + height)
    return (down.unsqueeze(2) & across.unsqueeze(1) & boxes.painted.view(-1, 1, 1)).unsqueeze(1)
