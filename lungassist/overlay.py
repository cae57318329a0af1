"""A heat map painted over its radiograph, for files; the viewer in the browser paints by the same rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

#: Of a line below a picture: its letters' size as a share of the width, and the smallest that is still read, in pixels.
_LETTERS: Final = 0.014
_SMALLEST: Final = 11

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


def with_line(picture: NDArray[np.uint8], words: str) -> NDArray[np.uint8]:
    """Set a line of small print on a white strip below a picture, which stays as it is; a narrow one gets several.

    Args:
        picture: `(H, W, 3)` uint8 RGB.
        words: what the line says.

    Returns:
        `(H + h, W, 3)` uint8 RGB.
    """
    from PIL import Image, ImageDraw, ImageFont

    columns = picture.shape[1]
    size = max(_SMALLEST, round(columns * _LETTERS))
    font, margin = ImageFont.load_default(size), size // 2
    text = "\n".join(_wrapped(words, columns - 2 * margin, font.getlength))
    _, top, _, bottom = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox((0, 0), text, font=font)
    strip = Image.new("RGB", (columns, int(np.ceil(bottom - top)) + 2 * margin), "white")
    ImageDraw.Draw(strip).multiline_text((margin, margin - top), text, fill="#111111", font=font)
    return np.concatenate([picture, np.asarray(strip, np.uint8)])


def _wrapped(words: str, width: int, length: Callable[[str], float]) -> list[str]:
    """Break words into lines that `length` finds no longer than `width`; a longer word has a line of its own."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and length(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
