"""`lungassist.enhance.evened` for a whole batch, on the device that it is on."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch

from lungassist.enhance import (
    BAND_BORDER,
    BAND_CLIPPED_PERCENT,
    BAND_EDGES,
    BAND_ENERGIES,
    BAND_GAINS,
    BANDS_SIDE,
    LEAST_ENERGY,
)


def evened_batch(images: torch.Tensor) -> torch.Tensor:
    """Give every band of detail the energy that it usually has, then stretch the range again.

    Args:
        images: `(N, S, S)` float32, grey levels of any range.

    Returns:
        `(N, S, S)` float32 in [0, 255]; as `lungassist.enhance.evened` to within a small part of a grey level.
    """
    parts = _parts(images)
    usual = images.new_tensor(BAND_ENERGIES)
    gains = (usual / _energies(parts).clamp(min=LEAST_ENERGY)).clamp(*BAND_GAINS)
    rest = parts[-1]
    mean = rest.mean(dim=(1, 2), keepdim=True)
    result = mean + (rest - mean) * gains[:, -1].view(-1, 1, 1)
    for place, detail in enumerate(parts[:-1]):
        result = result + detail * gains[:, place].view(-1, 1, 1)
    low, high = _percentiles(result, BAND_CLIPPED_PERCENT, 100 - BAND_CLIPPED_PERCENT)
    return ((result - low) * (255 / (high - low).clamp(min=1))).clamp(0, 255)


def _parts(images: torch.Tensor) -> list[torch.Tensor]:
    smooth, parts = images, []
    for number in range(len(BAND_EDGES)):
        blur = _blur(images.shape[-1], number).to(images.device)
        coarser = blur @ smooth @ blur.T
        parts.append(smooth - coarser)
        smooth = coarser
    return [*parts, smooth]


@lru_cache(maxsize=64)
def _blur(side: int, number: int) -> torch.Tensor:
    """The matrix `(S, S)` that blurs a column from one edge of the bands to the next, mirrored at its ends.

    A Gaussian of many pixels is so one product, whose cost does not grow with its width.
    """
    edge, before = BAND_EDGES[number], BAND_EDGES[number - 1] if number else 0.0
    step = (edge**2 - before**2) ** 0.5 * side / BANDS_SIDE
    width = round(step * 8 + 1) | 1  # what OpenCV takes for floats
    kernel = cv2.getGaussianKernel(width, step, cv2.CV_32F)
    columns = np.eye(side, dtype=np.float32)
    blurred = cv2.sepFilter2D(columns, -1, np.ones(1, np.float32), kernel, borderType=cv2.BORDER_REFLECT_101)
    return torch.from_numpy(np.asarray(blurred, dtype=np.float32))


def _energies(parts: list[torch.Tensor]) -> torch.Tensor:
    """`(N, bands)`."""
    edge = round(parts[0].shape[-1] * BAND_BORDER)
    energies = []
    for part in parts:
        inner = part[:, edge : part.shape[1] - edge, edge : part.shape[2] - edge]
        energies.append((inner - inner.mean(dim=(1, 2), keepdim=True)).abs().mean(dim=(1, 2)))
    return torch.stack(energies, dim=1)


def _percentiles(images: torch.Tensor, *percents: float) -> list[torch.Tensor]:
    """Of each image, `(N, 1, 1)`, between neighbours where they fall there (torch's quantile has a limit of size)."""
    ordered = images.flatten(1).sort(dim=1).values
    found = []
    for percent in percents:
        place = percent / 100 * (ordered.shape[1] - 1)
        before = int(place)
        after = min(before + 1, ordered.shape[1] - 1)
        found.append(torch.lerp(ordered[:, before], ordered[:, after], place - before).view(-1, 1, 1))
    return found
