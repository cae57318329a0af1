"""A heat map painted over its radiograph, for files; the viewer in the browser paints by the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lungassist.errors import UsageError

COLOUR_MAPS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "inferno": cv2.COLORMAP_INFERNO,
        "viridis": cv2.COLORMAP_VIRIDIS,
        "magma": cv2.COLORMAP_MAGMA,
        "jet": cv2.COLORMAP_JET,
    }
)

#: Evidence below this share of the scale fades towards transparent; above it, colour alone tells the value.
FADE_BELOW: Final = 0.5


def overlay(
    radiograph: NDArray[np.uint8],
    heat_map: NDArray[np.float32],
    scale: float,
    *,
    colour_map: str = "inferno",
    opacity: float = 0.5,
) -> NDArray[np.uint8]:
    """Paint the evidence for one class over a radiograph.

    Opacity rises with the evidence and no evidence is not painted at all, so that an image without any stays grey.

    Args:
        radiograph: `(H, W)` uint8.
        heat_map: `(h, w)` float32, at least 0, covering the whole image; interpolated bilinearly.
        scale: the evidence that gets the full colour: the same for all classes of one image.
        colour_map: one of `COLOUR_MAPS`.
        opacity: of the full colour, in [0, 1].

    Returns:
        `(H, W, 3)` uint8 RGB.

    Raises:
        UsageError: there is no such colour map.
    """
    if colour_map not in COLOUR_MAPS:
        raise UsageError(f"There is no colour map {colour_map!r}. Known: {', '.join(COLOUR_MAPS)}.")
    grey = cv2.cvtColor(radiograph, cv2.COLOR_GRAY2RGB)
    if scale <= 0:
        return np.asarray(grey, dtype=np.uint8)
    rows, columns = radiograph.shape
    share = np.clip(cv2.resize(heat_map, (columns, rows), interpolation=cv2.INTER_LINEAR) / np.float32(scale), 0, 1)
    levels = np.rint(share * 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, COLOUR_MAPS[colour_map]), cv2.COLOR_BGR2RGB)
    alpha = (opacity * opacity_of(share))[..., None]
    return np.asarray(np.rint(grey * (1 - alpha) + colours * alpha), dtype=np.uint8)


def opacity_of(share: NDArray[np.float32]) -> NDArray[np.float32]:
    """How opaque evidence is at `share` in [0, 1] of the scale: from nothing at 0 to full from `FADE_BELOW` on."""
    return np.asarray(np.minimum(share / np.float32(FADE_BELOW), 1), dtype=np.float32)
