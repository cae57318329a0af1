"""PNG and TIFF with several samples of 16 bits a pixel, of which Pillow keeps the upper 8 bits alone.

A viewer that exports 12 bits of grey as 48-bit colour leaves little in those: 16 levels, almost black.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lungassist.imaging import formats
from lungassist.imaging.greys import colourfulness, luminance, stretch
from lungassist.imaging.tiff import not_turned

_FULL: Final = 65535


def deep_colour(data: bytes) -> tuple[NDArray[np.float32], float]:
    """Decode 16-bit colour, or grey with transparency, which is laid on black.

    Like a deep grey image it is stretched from the lowest to the highest value used.

    Args:
        data: a PNG, or a TIFF whose samples lie side by side, that another decoder has read to its end: this one
            gives part of a truncated file.

    Returns:
        `(H, W)` float32 in [0, 1], not turned by EXIF's orientation; and the colourfulness, relative to the highest
        value used.

    Raises:
        ValueError: OpenCV does not decode it to 16 bits.
    """
    import cv2

    # OpenCV mirrors a TIFF that is to be turned, but does not turn it, and leaves a PNG alone.
    upright = not_turned(data) if formats.sniff(data) == formats.TIFF else data
    decoded: NDArray[Any] | None = cv2.imdecode(np.frombuffer(upright, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 3:
        raise ValueError("no 16-bit colour")
    samples = decoded[..., 2::-1]
    if decoded.shape[2] == 4:
        samples = (samples.astype(np.uint32) * decoded[..., 3:] // _FULL).astype(np.uint16)
    grey = luminance(samples, _FULL)
    return stretch(grey, float(grey.min()), float(grey.max())), colourfulness(samples, max(int(samples.max()), 1))
