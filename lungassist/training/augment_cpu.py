"""The changes of a batch on the CPU: image by image while it is in the cache, in threads, moved as bytes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from lungassist.enhance import evened
from lungassist.preprocess import Preprocessing
from lungassist.training.changes import (
    LEAST_DETAIL,
    MOST_GAIN,
    TILES,
    Boxes,
    Changes,
    Degradation,
    Processing,
    places_a_side,
)

Floats = NDArray[np.float32]
Step = Callable[[int], None]

#: Of a batch, the least that is worth a thread of its own.
_IMAGES_A_THREAD: Final = 4

_WARP: Final = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


def change_on_cpu(
    images: NDArray[np.uint8], changes: Changes, out: Floats, preprocessing: Preprocessing | None = None
) -> None:
    """Apply `changes` to `(N, S, S)` images and write them to `out` `(N, C, S, S)`, the same in every channel.

    The values are grey levels in [0, 255], or z-scores where `preprocessing` is given. Nothing depends on the number
    of threads: an image is computed by one of them, in one order. `out` may have any order in memory; it is fastest
    with channels first or last.
    """
    side = images.shape[-1]
    matrices = pixel_matrices(changes.matrix.numpy().astype(np.float64), side)
    tables = _tables(changes.exposure, len(images))
    processed = None if changes.processing is None else _Processed(changes.processing, side)
    marks = None if changes.degradation is None else _Marks(changes.degradation, side)

    def one(i: int) -> None:
        # Beyond the film there is black, which is exposed like the rest.
        moved = cv2.warpAffine(images[i], matrices[i], (side, side), flags=_WARP, borderMode=cv2.BORDER_CONSTANT)
        grey = moved.astype(np.float32) if tables is None else cv2.LUT(moved, tables[i])
        if processed is not None:
            processed.apply(grey, i)
        if marks is not None:
            marks.apply(grey, i)
        if changes.evened:
            grey = evened(grey)
        _spread(grey, out[i], preprocessing)

    _in_threads(one, len(images))


def pixel_matrices(matrices: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Turn matrices `(N, 2, 3)` between places in [-1, 1] into ones between pixel indices of a square of `side`.

    The place of pixel `j` is `(2 j + 1) / side - 1`: -1 and 1 are the outer edges of the outer pixels.
    """
    result = matrices.copy()
    centre = (side - 1) / 2
    result[:, :, 2] = centre + matrices[:, :, 2] * (side / 2) - centre * (matrices[:, :, 0] + matrices[:, :, 1])
    return result


def _tables(exposure: torch.Tensor | None, count: int) -> Floats | None:
    """The grey level `(N, 256)` float32 that every byte is exposed to."""
    if exposure is None:
        return None
    gamma, contrast, brightness = exposure.numpy().astype(np.float64).reshape(count, 3, 1).swapaxes(0, 1)
    levels = np.clip(np.arange(256) / 255, 1e-4, 1)
    exposed = (levels**gamma - 0.5) * contrast + 0.5 + brightness
    return np.asarray(np.clip(exposed, 0, 1) * 255, dtype=np.float32)


class _Processed:
    """Local contrast, changed in one grey image at a time."""

    def __init__(self, processing: Processing, side: int) -> None:
        self.side = side
        self.chosen = processing.chosen.numpy()
        self.places = [places_a_side(index, side) for index in processing.places.tolist()]
        self.gain, self.evening, self.flattening = (
            each.numpy() for each in (processing.gain, processing.evening, processing.flattening)
        )
        self.equalised = processing.equalised.numpy()
        self.tiles = [TILES[index] for index in processing.tiles.tolist()]
        self.limit = processing.limit.tolist()

    def apply(self, grey: Floats, i: int) -> None:
        if not self.chosen[i]:
            return
        if self.equalised[i]:
            equaliser = cv2.createCLAHE(self.limit[i], (self.tiles[i], self.tiles[i]))
            grey[...] = equaliser.apply(np.asarray(np.rint(grey), dtype=np.uint8))
            return
        mean = _softened(grey, self.places[i])
        detail = grey - mean
        gain: Floats | np.float32 = self.gain[i]
        if self.evening[i]:
            spread = np.sqrt(np.maximum(_softened(detail * detail, self.places[i]), 0))
            least = np.float32(255 * LEAST_DETAIL)
            gain = gain * ((spread.mean() + least) / (spread + least)) ** self.evening[i]
        mean += self.flattening[i] * (grey.mean() - mean)
        np.clip(mean + np.minimum(gain, np.float32(MOST_GAIN)) * detail, 0, 255, out=grey)


def _softened(grey: Floats, small: int) -> Floats:
    """At `small` pixels a side, and back at its own size."""
    size = grey.shape[::-1]
    coarse = Image.fromarray(grey).resize((small, small), Image.Resampling.BILINEAR)
    return np.array(coarse.resize(size, Image.Resampling.BILINEAR))


class _Marks:
    """Coarse resolution, noise and boxes, applied to one grey image at a time."""

    def __init__(self, degradation: Degradation, side: int) -> None:
        self.side = side
        self.small = degradation.coarse_side(side)
        self.coarse = degradation.coarse.numpy()
        self.spread = degradation.spread.numpy() * np.float32(255)
        self.noise = degradation.noise.numpy()
        self.down, self.right = degradation.down.tolist(), degradation.right.tolist()
        self.boxes = [_edges(boxes, side) for boxes in degradation.boxes]

    def apply(self, grey: Floats, i: int) -> None:
        if self.coarse[i]:
            grey[...] = _softened(grey, self.small)
        if self.spread[i]:
            down, right = self.down[i], self.right[i]
            grey += self.noise[down : down + self.side, right : right + self.side] * self.spread[i]
        for edges, greys in self.boxes:
            top, bottom, left, end = edges[i]
            grey[top:bottom, left:end] = greys[i]
        np.clip(grey, 0, 255, out=grey)


def _edges(boxes: Boxes, side: int) -> tuple[list[tuple[int, ...]], Floats]:
    """First and last row and column of every box, none where it is not painted, and its grey level."""
    axis = np.arange(side, dtype=np.float32) / np.float32(side)
    left, top = boxes.left.numpy(), boxes.top.numpy()
    ends = [np.searchsorted(axis, v) for v in (top, top + boxes.height.numpy(), left, left + boxes.width.numpy())]
    rows = np.stack(ends, axis=1) * boxes.painted.numpy()[:, None]
    return [tuple(row) for row in rows.tolist()], boxes.grey.numpy() * np.float32(255)


def _spread(grey: Floats, image: Floats, preprocessing: Preprocessing | None) -> None:
    """Write a grey image to every channel of `(C, S, S)`, standardised with the arithmetic of `to_batch`."""
    if preprocessing is None:
        image[...] = grey
        return
    grey /= np.float32(255)
    pixels = image.transpose(1, 2, 0)
    if len(set(zip(preprocessing.mean, preprocessing.std, strict=True))) == 1:
        grey -= np.float32(preprocessing.mean[0])
        grey /= np.float32(preprocessing.std[0])
        if len(image) == 3 and pixels.flags.c_contiguous:
            cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB, pixels)  # what numpy does pixel by pixel, in one sweep
        else:
            image[...] = grey
        return
    for channel, mean, std in zip(image, preprocessing.mean, preprocessing.std, strict=True):
        np.subtract(grey, np.float32(mean), out=channel)
        np.divide(channel, np.float32(std), out=channel)


def _in_threads(step: Step, count: int) -> None:
    threads = max(1, min(torch.get_num_threads(), count // _IMAGES_A_THREAD))
    if threads == 1:
        for i in range(count):
            step(i)
        return
    bounds = np.linspace(0, count, threads + 1).astype(int).tolist()

    def part(number: int) -> None:
        for i in range(bounds[number], bounds[number + 1]):
            step(i)

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(part, range(threads)):
            pass
