"""Contrast enhancements of a prepared image: the paper's, and two that take back what makers and archives did.

All take `(S, S)` uint8 and give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

#: The B3 spline, the scaling function of the a trous transform (Starck et al. 2003, section II).
_B3_SPLINE: Final = np.array([1, 4, 6, 4, 1], np.float32) / 16

#: Standard deviation of the transform's scales for white noise of deviation 1 (Starck and Murtagh, Astronomical Image
#: and Data Analysis, 2006, table 2.1).
_NOISE: Final = (0.889, 0.200, 0.086)

#: Grey levels from which a detail is as strong as it should be, and the power by which weaker ones are raised.
_STRONG: Final = 30.0
_POWER: Final = 0.5

_LAPLACE: Final = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], np.float32)

#: Standard deviations of the Gaussians that part the bands, in pixels of an image of so many a side.
BAND_EDGES: Final = (1, 2, 4, 8, 16, 32)
BANDS_SIDE: Final = 224

#: Energies of the bands, from the finest to what is left, in grey levels: the medians of the training images as
#: `python -m train.normalisation --data DIR` measures them.
BAND_ENERGIES: Final = (1.30, 1.88, 3.61, 6.24, 10.88, 13.13, 27.09)

#: What a band is multiplied by, at least and at most: an empty film stays empty, and noise is not made into vessels.
BAND_GAINS: Final = (0.25, 2.0)

#: What an empty band counts as, in grey levels.
LEAST_ENERGY: Final = 1e-6

#: Share of the side that is left out at every edge of what is measured, and of pixels clipped when the range is
#: stretched again.
BAND_BORDER: Final = 1 / 14
BAND_CLIPPED_PERCENT: Final = 0.5


def clahe(image: Image) -> Image:
    """Equalise the histogram of each of 8 x 8 tiles, contrast limited to 2 (Zuiderveld, Graphics Gems IV, 1994)."""
    return np.asarray(cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(image), dtype=np.uint8)


def smqt(image: Image) -> Image:
    """Successive mean quantization transform with 8 levels (Nilsson, Dahl and Claesson, ICASSP 2005).

    The values are split at their mean, each half again at its own, eight times; the answers are the bits of the
    result. Gain and offset of the image are thereby lost, its structure is kept. A part is always a range of grey
    levels, so that the whole transform is a table.
    """
    histogram = np.bincount(image.ravel(), minlength=256)
    table = np.zeros(256, np.uint8)
    parts = [(0, 256)]
    for bit in (128, 64, 32, 16, 8, 4, 2, 1):
        halves = []
        for start, stop in parts:
            middle = _above_mean(histogram, start, stop)
            table[middle:stop] += bit
            halves += [(start, middle), (middle, stop)]
        parts = halves
    return table[image]


def _above_mean(histogram: NDArray[np.int64], start: int, stop: int) -> int:
    """The first grey level above the mean of the pixels from `start` to before `stop`."""
    counts = histogram[start:stop]
    total = int(counts.sum())
    if not total:
        return stop
    return start + int((counts * np.arange(len(counts))).sum()) // total + 1


def wavelet(image: Image) -> Image:
    """Raise weak details above the noise in three scales of the a trous wavelet transform.

    The gain is that of Starck, Murtagh, Candes and Donoho, IEEE Transactions on Image Processing 12 (2003), equation 9
    (after Velde 1999): 1 below the noise, most just above it, falling to 1 for details that are strong already.
    """
    smooth = image.astype(np.float32)
    details = []
    for scale in range(len(_NOISE)):
        coarser = _smoothed(smooth, 2**scale)
        details.append(smooth - coarser)
        smooth = coarser
    # The median of absolute values is 0.6745 of the deviation of normal noise, and details are rare.
    sigma = max(float(np.median(np.abs(details[0]))) / 0.6745 / _NOISE[0], 0.5)
    for detail, share in zip(details, _NOISE, strict=True):
        smooth = smooth + detail * _gain(np.abs(detail), 3 * sigma * share)
    return np.asarray(np.rint(np.clip(smooth, 0, 255)), dtype=np.uint8)


def _smoothed(image: Floats, step: int) -> Floats:
    kernel = np.zeros(4 * step + 1, np.float32)
    kernel[::step] = _B3_SPLINE
    return np.asarray(cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101), dtype=np.float32)


def _gain(size: Floats, noise: float) -> Floats:
    strong = max(_STRONG, 2 * noise)
    raised = (strong / np.clip(size, 2 * noise, strong)) ** _POWER
    between = (size / noise - 1) * (strong / noise) ** _POWER + (2 - size / noise)
    gain = np.where(size < noise, 1, np.where(size < 2 * noise, np.minimum(between, raised), raised))
    return gain.astype(np.float32)


def laplace(image: Image) -> Image:
    """Sharpen by taking away the Laplacian of 4 neighbours (Gonzalez and Woods, Digital Image Processing, 3.6.2)."""
    return np.asarray(cv2.filter2D(image, -1, _LAPLACE, borderType=cv2.BORDER_REFLECT_101), dtype=np.uint8)


def bands(image: Image) -> Image:
    """Give every band of detail the energy that it usually has, then stretch the range again.

    How much there is of fine and of coarse detail is a choice of the machine's maker, and a network that learnt from
    few makers takes another's for disease. After Philipsen et al., "Localized energy-based normalization of medical
    images: application to chest radiography", IEEE Transactions on Medical Imaging 34 (2015); here over the image as a
    whole, which keeps where in it the detail is.
    """
    return np.asarray(np.rint(evened(image)), dtype=np.uint8)


def evened(image: Image | Floats) -> Floats:
    """`bands` before it is rounded: `(S, S)` grey levels of any range become ones in [0, 255]."""
    parts = _bands_of(image)
    result = _with_gains(parts, list(map(band_gain, BAND_ENERGIES, map(_energy, parts))))
    low, high = np.percentile(result, (BAND_CLIPPED_PERCENT, 100 - BAND_CLIPPED_PERCENT))
    stretched = (result - np.float32(low)) * np.float32(255 / max(float(high - low), 1))
    return np.clip(stretched, 0, 255, out=stretched)


def band_gain(usual: float, own: float) -> float:
    """What a band of energy `own` is multiplied by so that it gets the `usual` one, within `BAND_GAINS`."""
    least, most = BAND_GAINS
    return min(max(usual / max(own, LEAST_ENERGY), least), most)


def with_band_gains(image: Image, gains: Sequence[float]) -> Floats:
    """`(H, W)` with its bands, from the finest to what is left, so many times as strong; grey levels of any range."""
    return _with_gains(_bands_of(image), gains)


def _with_gains(parts: Sequence[Floats], gains: Sequence[float]) -> Floats:
    *details, rest = parts
    mean = rest.mean()
    result = mean + (rest - mean) * np.float32(gains[-1])
    for detail, gain in zip(details, gains[:-1], strict=True):
        result += detail * np.float32(gain)
    return np.asarray(result, np.float32)


def band_energies(image: Image) -> list[float]:
    """Energies of the bands of `(S, S)`, from the finest to what is left, in grey levels."""
    return [_energy(band) for band in _bands_of(image)]


def _bands_of(image: Image | Floats) -> list[Floats]:
    """From the finest to what is left; their sum is the image."""
    smooth = image.astype(np.float32)
    details = []
    done = 0.0
    for edge in BAND_EDGES:
        sigma = edge * image.shape[0] / BANDS_SIDE
        # Gaussians add up in their squares, so that each goes on from the one before.
        step = (sigma**2 - done**2) ** 0.5
        coarser = np.asarray(cv2.GaussianBlur(smooth, (0, 0), step, borderType=cv2.BORDER_REFLECT_101), np.float32)
        details.append(smooth - coarser)
        smooth, done = coarser, sigma
    return [*details, smooth]


def _energy(band: Floats) -> float:
    # Absolute and not squared: a burned-in marker has few pixels, but its edges are steep.
    edge = round(len(band) * BAND_BORDER)
    inner = band[edge : len(band) - edge, edge : len(band) - edge]
    return float(np.abs(inner - inner.mean()).mean())


def _undo_clahe(image: Image) -> Image:
    from lungassist.undo_clahe import undo_clahe  # needs torch, which no other does

    return undo_clahe(image)


def learnt_by(enhancement: str) -> bytes:
    """What an enhancement was taught, if anything: images that were enhanced before it was taught anew are others."""
    if enhancement != "undo-clahe":
        return b""
    from lungassist.undo_clahe import WEIGHTS

    return WEIGHTS.read_bytes()


def says_what_it_did(enhancement: str, before: Image, after: Image) -> str:
    """A sentence for whoever reads the study, where an enhancement took back something of the film; else empty."""
    if enhancement != "undo-clahe" or np.array_equal(before, after):
        return ""
    return (
        "The film seems to have been equalised in tiles (CLAHE). The model saw it with that taken back, which is not "
        "exact: send films as they left the detector, if you can."
    )


ENHANCERS: Final[Mapping[str, Callable[[Image], Image]]] = MappingProxyType(
    {
        "none": lambda image: image,
        "clahe": clahe,
        "smqt": smqt,
        "wavelet": wavelet,
        "laplace": laplace,
        "bands": bands,
        "undo-clahe": _undo_clahe,
    }
)
