"""Arithmetic on pixel values that every reader needs."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: Luma of red, green and blue (Rec. ITU-R BT.601-7, section 2.5.1), as JPEG and DICOM's YBR_FULL use it.
_RED: Final = np.float32(0.299)
_GREEN: Final = np.float32(0.587)
_BLUE: Final = np.float32(0.114)


def stretch(values: NDArray[Any], lowest: float, highest: float) -> NDArray[np.float32]:
    """Map `lowest` to 0 and `highest` to 1, linearly and clipped; equal limits give zeros.

    Args:
        values: `(H, W)`, any real dtype, finite.

    Returns:
        `(H, W)` float32 in [0, 1].
    """
    if highest <= lowest:
        return np.zeros(values.shape, np.float32)
    # A float64 can be wider than float32 holds, so only the quotient is narrowed.
    scaled = (values.astype(np.float64, copy=False) - lowest) / (highest - lowest)
    return np.clip(scaled, 0, 1).astype(np.float32)


def repair(values: NDArray[Any]) -> tuple[NDArray[np.float64], int]:
    """Replace NaN and minus infinity by the lowest finite value, plus infinity by the highest.

    Args:
        values: `(H, W)` floating.

    Returns:
        The values, and how many were replaced (all of them where none is finite: the values are then zeros).
    """
    finite = np.isfinite(values)
    lost = int(values.size - np.count_nonzero(finite))
    if lost == values.size:
        return np.zeros(values.shape), lost
    if lost == 0:
        return values.astype(np.float64, copy=False), 0
    lowest, highest = float(values[finite].min()), float(values[finite].max())
    return np.nan_to_num(values.astype(np.float64), nan=lowest, posinf=highest, neginf=lowest), lost


def luminance(samples: NDArray[Any], full: int) -> NDArray[np.float32]:
    """Return the grey of `(H, W, 3)` RGB samples in [0, `full`] as `(H, W)` float32 in [0, 1].

    Equal samples keep their value exactly. One channel after another: three floats a pixel would be 1.2 GB for the
    largest image allowed.
    """
    red, green, blue = samples[..., 0], samples[..., 1], samples[..., 2]
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return red.astype(np.float32) / np.float32(full)
    grey: NDArray[np.float32] = red * _RED
    grey += green * _GREEN
    grey += blue * _BLUE
    grey /= np.float32(full)
    return np.clip(grey, 0, 1, out=grey)


def colourfulness(samples: NDArray[Any], full: int) -> float:
    """Return the mean of (max - min) over RGB samples `(H, W, 3)` in [0, `full`]: 0 for grey, up to 1."""
    red, green, blue = samples[..., 0], samples[..., 1], samples[..., 2]
    highest = np.maximum(np.maximum(red, green), blue)
    lowest = np.minimum(np.minimum(red, green), blue)
    return float(np.mean(highest - lowest, dtype=np.float64)) / full
