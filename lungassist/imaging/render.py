"""Pixels to what a browser shows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_uint8(pixels: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Round P-values `(H, W)` in [0, 1] to `(H, W)` uint8; values beyond are clipped, NaN is black."""
    grey = np.clip(np.nan_to_num(pixels, nan=0.0), 0, 1)
    return np.asarray(np.rint(grey * 255), np.uint8)


def png_bytes(array: NDArray[np.uint8]) -> bytes:
    """Encode `(H, W)` grey or `(H, W, 3)` RGB uint8 as PNG, written for speed rather than size.

    Raises:
        ValueError: another shape or dtype.
    """
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise ValueError(f"expected (H, W) or (H, W, 3) of uint8; came {array.shape} of {array.dtype}")
    import cv2

    ordered = array if array.ndim == 2 else np.ascontiguousarray(array[..., ::-1])  # OpenCV counts blue first
    done, encoded = cv2.imencode(".png", ordered, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise ValueError("the image could not be encoded as PNG")
    return bytes(encoded)
