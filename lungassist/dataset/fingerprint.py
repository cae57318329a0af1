"""What stands for an image when it is compared with thousands of others: 64 bits, and a thumbnail."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

#: Pixels of a thumbnail's side.
THUMBNAIL: Final = 32

#: Rows and columns of low frequencies that the hash looks at, the mean and the slopes among them.
_FREQUENCIES: Final = 8

#: Of the full range, contrast below which a film counts as blank: what is left is rounding.
_BLANK: Final = 1e-3


def thumbnail(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Shrink `(H, W)` float32 pixels in [0, 1] to `(32, 32)` uint8, from black to white; one grey for a blank film.

    Made of the image as it was read, not as it was prepared, so that it is the same under every enhancement.
    """
    small = cv2.resize(pixels, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    low, high = float(small.min()), float(small.max())
    if high - low < _BLANK:
        return np.zeros(small.shape, np.uint8)
    return np.asarray(np.rint((small - low) * (255 / (high - low))), dtype=np.uint8)


def perceptual_hash(small: NDArray[np.uint8]) -> int:
    """64 bits that stay almost the same when an image is scaled, compressed or exposed in another way.

    Of the lowest 8 x 8 coefficients of the cosine transform of a thumbnail, which are above their median (the pHash of
    Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, section 3.2.1). The mean is taken
    for 0: it says how bright the film is and nothing else.
    """
    low = cv2.dct(small.astype(np.float32))[:_FREQUENCIES, :_FREQUENCIES].ravel()
    low[0] = 0
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")
