"""Other surroundings: an image's chest in the picture of another, so that what lies around the lungs tells less.

What differs between hospitals and stands beside the lungs, such as markers, edges, shoulders and the posture of the
arms, goes along with the disease in a database that has each disease from other hospitals, and a network learns it
(DeGrave, Janizek and Lee, "AI for radiographic COVID-19 detection selects shortcuts over signal", Nature Machine
Intelligence 2021). Here the lungs are found (`lungassist.evaluation.lungfield`), and some images get the surroundings
of an image that is drawn from all training images, whatever its class, moved so that their lungs lie over one another
and toned so that the grey values meet where they border. The label stays that of the chest.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from lungassist.evaluation.lungfield import LungField, lung_fields
from lungassist.training.failures import StopRequest
from lungassist.training.pixels import Images, LabelledImages, taken
from lungassist.training.recipe import Recipe

#: Side of the planes that say where a chest is; its border is blurred more widely than that.
_SIDE: Final = 64
#: Fields of lungs that can be trusted: by their agreement, and by the share of the picture that they fill.
_AGREEMENT: Final = 0.7
_AREAS: Final = (0.08, 0.5)
#: Surroundings are enlarged and shrunk by at most so much, and so is their contrast.
_LARGEST: Final = 1.5
_GAIN: Final = 1.7
#: Pixels of a plane: around the lungs, what belongs to the chest, and the ring around it where the grey values meet.
_MARGIN: Final = 1
_RING: Final = 4
_FEWEST_IN_RING: Final = 16
_BATCH: Final = 32


@dataclass(frozen=True, slots=True, eq=False)
class Chests:
    """Where the chests of `N` images are.

    Attributes:
        planes: `(N, _SIDE * _SIDE / 8)` uint8, a bit a place: the convex hull of both lungs.
        boxes: `(N, 4)` float32: left, top, width and height of the hull, as shares of the side.
        usable: `(N,)` bool, where the lungs were found well enough.
    """

    planes: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    usable: NDArray[np.bool_]


def find_chests(
    images: Images,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    stop: StopRequest | None = None,
) -> Chests:
    """Find the chests in prepared images `(N, S, S)` uint8.

    Args:
        images: on the CPU or on the disk.
        workers: threads; they do not change the result.
        progress: called with (done, all).
        stop: becomes true when somebody wants the run to end.

    Raises:
        CancelledError: somebody did.
    """
    total, stop = len(images), stop or StopRequest()
    parts: list[list[tuple[NDArray[np.uint8], tuple[float, ...], bool]]] = []
    with ThreadPoolExecutor(workers) as pool:
        starts = range(0, total, _BATCH)
        for part in pool.map(partial(_chests_of, images), starts):
            parts.append(part)
            if progress:
                progress(min(len(parts) * _BATCH, total), total)
            if stop():
                pool.shutdown(cancel_futures=True)
                stop.end()
    planes, boxes, usable = zip(*(chest for part in parts for chest in part), strict=True)
    return Chests(np.stack(planes), np.asarray(boxes, np.float32), np.asarray(usable))


def chests_everywhere(count: int) -> Chests:
    """Chests that fill the whole of `count` pictures."""
    planes = np.full((count, _SIDE * _SIDE // 8), 255, np.uint8)
    boxes = np.tile(np.array([0, 0, 1, 1], np.float32), (count, 1))
    return Chests(planes, boxes, np.ones(count, np.bool_))


def _chests_of(images: Images, first: int) -> list[tuple[NDArray[np.uint8], tuple[float, ...], bool]]:
    batch = np.asarray(images[np.arange(first, min(first + _BATCH, len(images)))])
    return [_chest(field) for field in lung_fields(list(batch))]


def _chest(field: LungField) -> tuple[NDArray[np.uint8], tuple[float, ...], bool]:
    mask = field.mask.astype(np.uint8)
    share = float(mask.mean())
    points = cv2.findNonZero(mask) if mask.any() else np.array([[[0, 0]]], np.int32)
    hull = cv2.fillConvexPoly(np.zeros_like(mask), cv2.convexHull(points), 1)
    small = cv2.resize(hull.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) >= 0.5
    box = tuple(edge / len(mask) for edge in cv2.boundingRect(points))
    return np.packbits(small), box, field.agreement >= _AGREEMENT and _AREAS[0] <= share <= _AREAS[1]


class Surroundings:
    """Gives some images of a batch the surroundings of others."""

    def __init__(self, train: LabelledImages, chests: Chests, share: float) -> None:
        """Draw from `train`, whose chests are known; `share` of the images get other surroundings."""
        self._images, self._chests, self._share = train.images, chests, share
        self._donors = torch.from_numpy(np.flatnonzero(chests.usable))

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        train: LabelledImages,
        *,
        progress: Callable[[int, int], None] | None = None,
        stop: StopRequest | None = None,
    ) -> Surroundings | None:
        """Find the chests of the training images; None where the recipe leaves their surroundings alone.

        Args:
            recipe: says how many images get others, and how many threads search.
            train: on any device.
            progress, stop: as for `find_chests`.
        """
        if not recipe.surroundings:
            return None
        images = train.images.cpu().numpy() if isinstance(train.images, torch.Tensor) else train.images
        return cls(
            train, find_chests(images, workers=recipe.workers, progress=progress, stop=stop), recipe.surroundings
        )

    def exchanged(self, images: torch.Tensor, rows: torch.Tensor, seed: int, *, first: int = 0) -> torch.Tensor:
        """`images`, some of them with other surroundings; those whose chest was not found stay as they are.

        Processes that share a batch give the same `rows` and `seed`: each then sees what one alone would see.

        Args:
            images: `(n, S, S)` uint8, the images `first` to `first + n` of a batch, on any device.
            rows: `(N,)` int64, which training images the whole batch has.
            seed: of what is drawn.
            first: see `images`.

        Returns:
            `(n, S, S)` uint8, a new tensor where anything changed.
        """
        generator = torch.Generator().manual_seed(seed)
        lot = torch.rand(len(rows), generator=generator)
        if not len(self._donors):
            return images
        donors = self._donors[torch.randint(len(self._donors), (len(rows),), generator=generator)]
        own = slice(first, first + len(images))
        rows, donors = rows.cpu()[own], donors[own]
        wanted = lot[own] < self._share
        places = torch.from_numpy(np.flatnonzero(wanted.numpy() & self.fits(rows.numpy(), donors.numpy())))
        if not len(places):
            return images
        there = places.to(images.device)
        result = images.clone()
        result[there] = self.of_donors(images[there], rows[places].numpy(), donors[places].numpy())
        return result

    def fits(self, rows: NDArray[np.int64], donors: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether an image can get a donor's surroundings, `(n,)`: both chests were found and are of about one size.

        Args:
            rows, donors: `(n,)`, which training images.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self._chests.boxes[donors, 2:] / self._chests.boxes[rows, 2:]
            alike = (np.maximum(ratio, 1 / ratio) <= _LARGEST).all(axis=1)
        return np.asarray(alike & self._chests.usable[rows] & self._chests.usable[donors])

    def of_donors(self, images: torch.Tensor, rows: NDArray[np.int64], donors: NDArray[np.int64]) -> torch.Tensor:
        """Every image with the surroundings of its donor, which must fit.

        Args:
            images: `(n, S, S)` uint8, on any device.
            rows, donors: `(n,)`, which training images those and their donors are.

        Returns:
            `(n, S, S)` uint8.
        """
        device = images.device
        own = images.float().unsqueeze(1)
        other = taken(self._images, torch.from_numpy(donors), device).float().unsqueeze(1)
        matrix = torch.from_numpy(_onto(self._chests.boxes[rows], self._chests.boxes[donors])).to(device)
        grid = functional.affine_grid(matrix, list(own.shape), align_corners=False)
        other = functional.grid_sample(other, grid, padding_mode="zeros", align_corners=False)
        grid = functional.affine_grid(matrix, [len(own), 1, _SIDE, _SIDE], align_corners=False)
        planes = torch.stack([self._planes(donors, device), torch.ones(len(own), _SIDE, _SIDE, device=device)], dim=1)
        moved = functional.grid_sample(planes, grid, align_corners=False)
        chest, filmed = moved[:, :1], moved[:, 1:]
        chest = torch.maximum(self._planes(rows, device).unsqueeze(1), (chest > 0.5).float())
        chest = _grown(chest, _MARGIN)
        ring = (_grown(chest, _RING) - chest) * (filmed > 0.5)
        kept = _upsampled(_softened(chest), own.shape[-1])
        # Beyond the other's film there is black, which stays black.
        other = _toned(other, own, ring) * (_upsampled(filmed, own.shape[-1]) > 0.5)
        return (kept * own + (1 - kept) * other).round().clamp(0, 255).to(torch.uint8).squeeze(1)

    def _planes(self, rows: NDArray[np.int64], device: torch.device) -> torch.Tensor:
        bits = np.unpackbits(self._chests.planes[rows], axis=1).reshape(-1, _SIDE, _SIDE)
        return torch.from_numpy(bits).to(device).float()


def _onto(own: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """From places in the one's picture to the other's, so that their boxes meet: `(n, 2, 3)`, as in `Changes`."""
    scale = other[:, 2:] / own[:, 2:]
    moved = scale * (1 - 2 * own[:, :2]) + 2 * other[:, :2] - 1
    matrix = np.zeros((len(own), 2, 3), np.float32)
    matrix[:, 0, 0], matrix[:, 1, 1] = scale.T
    matrix[:, :, 2] = moved
    return matrix


def _toned(other: torch.Tensor, own: torch.Tensor, ring: torch.Tensor) -> torch.Tensor:
    """`other` with the mean and the contrast that `own` has in the ring; unchanged where the ring is too small."""
    count = ring.sum(dim=(2, 3), keepdim=True)
    (own_mean, own_spread), (mean, spread) = (_moments(_downsampled(one), ring, count) for one in (own, other))
    gain = (own_spread / (spread + 1)).clamp(1 / _GAIN, _GAIN)
    toned = ((other - mean) * gain + own_mean).clamp(0, 255)
    return torch.where(count >= _FEWEST_IN_RING, toned, other)


def _moments(image: torch.Tensor, where: torch.Tensor, count: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    count = count.clamp(min=1)
    mean = (image * where).sum(dim=(2, 3), keepdim=True) / count
    return mean, (((image - mean) ** 2 * where).sum(dim=(2, 3), keepdim=True) / count).sqrt()


def _grown(plane: torch.Tensor, by: int) -> torch.Tensor:
    side = 2 * by + 1
    return functional.max_pool2d(plane, side, stride=1, padding=by)


def _softened(plane: torch.Tensor) -> torch.Tensor:
    for _ in range(2):
        plane = functional.avg_pool2d(plane, 3, stride=1, padding=1, count_include_pad=False)
    return plane


def _upsampled(plane: torch.Tensor, side: int) -> torch.Tensor:
    return functional.interpolate(plane, size=(side, side), mode="bilinear", align_corners=False)


def _downsampled(image: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(image, size=(_SIDE, _SIDE), mode="area")
