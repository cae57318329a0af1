"""The random numbers behind an augmented batch, drawn once for the whole batch, wherever its images are computed."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Final

import torch

from lungassist.training.recipe import Recipe

#: How much larger than an image the square of noise is that a batch's images take theirs from.
NOISE_MARGIN: Final = 64
#: Places a side that local means are taken over: from the lungs' fields down to the vessels' edges.
PLACES: Final = (4, 8, 16, 32, 64, 96)
_GAINS: Final = (0.6, 2.5)
#: Tiles a side, and contrast limits, of those that are equalised in tiles instead.
TILES: Final = (4, 8, 16)
_LIMITS: Final = (1.0, 4.0)
#: Detail is made no more than so many times as strong; and where there is less of it than this share of the range, it
#: counts as this much: what is evened out there is noise.
MOST_GAIN: Final = 4.0
LEAST_DETAIL: Final = 0.03


def places_a_side(index: int, side: int) -> int:
    """Of `PLACES`, but no smaller than two pixels of an image of `side`."""
    return min(PLACES[index], max(1, side // 2))


@dataclass(frozen=True, slots=True)
class Boxes:
    """A box an image, all in shares of the side: `left`, `top`, `width`, `height`, and `grey` in [0, 1], each `(N,)`.

    `painted` `(N,)` bool says on which images.
    """

    left: torch.Tensor
    top: torch.Tensor
    width: torch.Tensor
    height: torch.Tensor
    grey: torch.Tensor
    painted: torch.Tensor

    def rows(self, chosen: slice) -> Boxes:
        """Those of some images."""
        return Boxes(*(getattr(self, entry.name)[chosen] for entry in fields(self)))


@dataclass(frozen=True, slots=True)
class Degradation:
    """What scanners and archives do to some images of a batch.

    Attributes:
        coarse: `(N,)` bool, shown at a coarser resolution.
        coarseness: the share of the side that is left of those.
        spread: `(N,)` standard deviation of the noise, 0 where there is none.
        noise: `(S + margin, S + margin)` standard normal; an image takes the square at `down`, `right`, each `(N,)`.
        boxes: markers and covers.
    """

    coarse: torch.Tensor
    coarseness: float
    spread: torch.Tensor
    noise: torch.Tensor
    down: torch.Tensor
    right: torch.Tensor
    boxes: tuple[Boxes, ...]

    def coarse_side(self, side: int) -> int:
        """Pixels of a coarse image's side."""
        return max(1, int(side * self.coarseness))

    def rows(self, chosen: slice) -> Degradation:
        """Those of some images; the noise is everybody's."""
        each = {name: getattr(self, name)[chosen] for name in ("coarse", "spread", "down", "right")}
        return replace(self, **each, boxes=tuple(boxes.rows(chosen) for boxes in self.boxes))


@dataclass(frozen=True, slots=True)
class Processing:
    """How another maker's machine shows some images: local contrast raised, lowered or evened out.

    An image is its local mean, taken over places of a size that is drawn, and its detail. Unsharp masking and
    multiscale processing change how much there is of the two. Some images have their histograms equalised in tiles
    instead (CLAHE).

    Attributes:
        chosen: `(N,)` bool, processed at all.
        places: `(N,)` int64, an index into `PLACES`.
        gain: `(N,)`, what the detail is multiplied by.
        evening: `(N,)` in [0, 1]: 1 gives detail one strength everywhere, 0 leaves it as strong as it was there.
        flattening: `(N,)` in [0, 1]: the share of the way on which local means are moved to that of the image.
        equalised: `(N,)` bool, equalised in tiles, and then nothing else.
        tiles: `(N,)` int64, an index into `TILES`.
        limit: `(N,)`, what contrast is limited to there.
    """

    chosen: torch.Tensor
    places: torch.Tensor
    gain: torch.Tensor
    evening: torch.Tensor
    flattening: torch.Tensor
    equalised: torch.Tensor
    tiles: torch.Tensor
    limit: torch.Tensor

    def rows(self, chosen: slice) -> Processing:
        """Those of some images."""
        return Processing(*(getattr(self, entry.name)[chosen] for entry in fields(self)))


@dataclass(frozen=True, slots=True)
class Changes:
    """What happens to each of `N` images.

    Attributes:
        matrix: `(N, 2, 3)`, from places in the result to places in the image, both in [-1, 1] (torch's affine_grid).
        exposure: `(N, 3)` gamma, contrast and brightness, or None.
        processing: or None.
        degradation: or None.
        evened: detail gets its usual strength after all else (`lungassist.enhance.bands`).
    """

    matrix: torch.Tensor
    exposure: torch.Tensor | None
    processing: Processing | None
    degradation: Degradation | None
    evened: bool = False

    def rows(self, first: int, count: int) -> Changes:
        """Those of `count` images from `first` on."""
        chosen = slice(first, first + count)
        return Changes(
            self.matrix[chosen],
            None if self.exposure is None else self.exposure[chosen],
            None if self.processing is None else self.processing.rows(chosen),
            None if self.degradation is None else self.degradation.rows(chosen),
            self.evened,
        )


def draw_changes(recipe: Recipe, count: int, side: int, generator: torch.Generator) -> Changes:
    """Draw what happens to a batch of `count` images of `side` pixels; everything is on the generator's device.

    What depends on a number that was drawn is computed here, for all images at once: sines of a part of the batch may
    differ in the last bit from those of the whole.
    """
    draw = _Draw(count, generator)
    matrix = _matrix(recipe, draw)
    strength = recipe.exposure
    exposure = None
    if strength:
        gamma, contrast, brightness = (draw.uniform(-strength, strength) for _ in range(3))
        exposure = torch.stack([gamma.exp(), contrast + 1, brightness / 2], dim=1)
    processing = _processing(draw, recipe.processing, recipe.equalising) if recipe.processing else None
    degradation = _degradation(side, draw, recipe.noise) if recipe.degrade else None
    return Changes(matrix, exposure, processing, degradation, recipe.enhance_changed)


class _Draw:
    """Draws a number an image."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count, self.generator = count, generator

    def uniform(self, low: float, high: float) -> torch.Tensor:
        return torch.rand(self.count, generator=self.generator, device=self.generator.device) * (high - low) + low

    def chance(self, share: float) -> torch.Tensor:
        return self.uniform(0, 1) < share

    def offset(self, stop: int) -> torch.Tensor:
        return torch.randint(stop, (self.count,), generator=self.generator, device=self.generator.device)


def _matrix(recipe: Recipe, draw: _Draw) -> torch.Tensor:
    angle = draw.uniform(-recipe.rotation, recipe.rotation) * (math.pi / 180)
    width = 1 + draw.uniform(-recipe.scale, recipe.scale)
    # Height follows width but for a little: the squash to a square makes aspect ratio a property of the scanner.
    height = width * (1 + draw.uniform(-recipe.scale, recipe.scale) / 2)
    if recipe.flip:
        width = torch.where(draw.chance(0.5), -width, width)
    right, down = (draw.uniform(-2 * recipe.shift, 2 * recipe.shift) for _ in range(2))
    first = torch.stack([angle.cos() / width, -angle.sin() / height, right], dim=1)
    second = torch.stack([angle.sin() / width, angle.cos() / height, down], dim=1)
    matrix = torch.stack([first, second], dim=1)
    return _cropped(matrix, recipe.crop, draw) if recipe.crop else matrix


def _cropped(matrix: torch.Tensor, most: float, draw: _Draw) -> torch.Tensor:
    """`matrix`, seen through a window that lies anywhere within the result."""
    cut = draw.uniform(0, most) * draw.chance(0.5)
    right, down = (cut * draw.uniform(-1, 1) for _ in range(2))
    turned, moved = matrix[:, :, :2], matrix[:, :, 2]
    # Written out: a product of matrices may round a part of the batch otherwise than the whole.
    moved = turned[:, :, 0] * right.unsqueeze(1) + turned[:, :, 1] * down.unsqueeze(1) + moved
    return torch.cat([turned * (1 - cut).view(-1, 1, 1), moved.unsqueeze(2)], dim=2)


def _processing(draw: _Draw, share: float, equalising: float) -> Processing:
    chosen, places = draw.chance(share), draw.offset(len(PLACES))
    # Flattened over small places, the lungs themselves would vanish.
    most = 0.9 * (PLACES[1] / torch.tensor(PLACES, device=places.device)[places]).clamp(max=1)
    return Processing(
        chosen=chosen,
        places=places,
        gain=draw.uniform(*(math.log(gain) for gain in _GAINS)).exp(),
        evening=draw.uniform(0, 1) * draw.chance(0.5),
        flattening=most * draw.uniform(0, 1) * draw.chance(0.5),
        # Where none is equalised nothing is drawn for it: what follows is as it was before any could be.
        equalised=draw.chance(equalising) if equalising else torch.zeros_like(chosen),
        tiles=draw.offset(len(TILES)) if equalising else torch.zeros_like(places),
        limit=draw.uniform(*_LIMITS) if equalising else torch.ones_like(most),
    )


def _degradation(side: int, draw: _Draw, noisy: float) -> Degradation:
    pick = draw.uniform(0, 1)
    larger = side + NOISE_MARGIN
    return Degradation(
        coarse=pick < 0.3,
        coarseness=float(torch.rand(1, generator=draw.generator, device=draw.generator.device)) * 0.5 + 0.4,
        spread=draw.uniform(0, 0.06) * (pick >= 1 - noisy),
        noise=torch.randn(larger, larger, generator=draw.generator, device=draw.generator.device),
        down=draw.offset(NOISE_MARGIN + 1),
        right=draw.offset(NOISE_MARGIN + 1),
        boxes=(
            # White like a burned-in marker, then of any one grey like a device.
            _boxes(draw, share=0.3, smallest=0.02, largest=0.12, brightness=1.0),
            _boxes(draw, share=0.25, smallest=0.1, largest=0.35, brightness=None),
        ),
    )


def _boxes(draw: _Draw, *, share: float, smallest: float, largest: float, brightness: float | None) -> Boxes:
    left, top = (draw.uniform(-0.05, 0.95) for _ in range(2))
    width, height = (draw.uniform(smallest, largest) for _ in range(2))
    grey = draw.uniform(0, 1)
    if brightness is not None:
        grey = torch.full_like(grey, brightness)
    return Boxes(left, top, width, height, grey, draw.chance(share))
