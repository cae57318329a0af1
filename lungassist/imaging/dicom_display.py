"""Stored values to P-values in the standard's order: modality, values of interest, presentation (PS3.4 section N.2).

Every step maps one stored value to one displayed value. So the steps are worked out once for all values that
BitsStored allows, at most 65,536 of them, and the image is looked up in that table: exact, and the same work for a
small image as for the largest detector.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from lungassist.imaging.dicom_voi import Curve, modality_values, values_of_interest
from lungassist.imaging.greys import colourfulness, luminance, stretch

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Displayed:
    """P-values `(H, W)` float32 in [0, 1], the colourfulness, and sentences for the reader."""

    pixels: NDArray[np.float32]
    colourfulness: float = 0.0
    warnings: tuple[str, ...] = ()


def display(stored: NDArray[Any], header: Dataset) -> Displayed:
    """Turn stored values `(H, W)` or RGB samples `(H, W, 3)` into what a screen shows."""
    if stored.ndim == 3:
        full = (1 << int(header.BitsStored)) - 1
        return Displayed(luminance(stored, full), colourfulness(stored, full))
    if header.PhotometricInterpretation == "PALETTE COLOR":
        samples = apply_color_lut(stored, header)
        full = _full_scale(samples, header)
        return Displayed(luminance(samples, full), colourfulness(samples, full))
    return _grey(stored, header)


def _grey(stored: NDArray[Any], header: Dataset) -> Displayed:
    domain = _domain(header)
    position = _Positions(stored, int(domain[0]), domain.size)
    padding = _padding(domain, header)
    values, passed_over = modality_values(domain, header)
    curve, warnings = values_of_interest(values, header)
    if curve is None:
        curve = _full_range(values, position.present(), padding)
    shown = 1 - curve if _is_inverted(header) else curve
    # Padding surrounds the picture and belongs to the dark room, whichever way round the greys run.
    table = np.where(padding, 0, shown).astype(np.float32)
    return Displayed(position.look_up(table), warnings=(*passed_over, *warnings))


def _full_scale(samples: NDArray[Any], header: Dataset) -> int:
    """What is full intensity of a palette's samples: 8-bit entries may come in 16-bit words (PS3.3 C.7.6.3.1.6)."""
    bits = int(header.RedPaletteColorLookupTableDescriptor[2])
    if bits <= 8 and samples.max() <= 255:
        return 255
    return (1 << int(samples.dtype.itemsize * 8)) - 1


def _domain(header: Dataset) -> NDArray[np.int64]:
    """All values that the file can store, in order."""
    levels = 1 << int(header.BitsStored)
    lowest = -(levels // 2) if header.get("PixelRepresentation", 0) == 1 else 0
    return np.arange(lowest, lowest + levels, dtype=np.int64)


def _full_range(values: Curve, present: NDArray[np.bool_], padding: NDArray[np.bool_]) -> Curve:
    """No window: from the lowest to the highest value in the picture, padding left out."""
    used = present & ~padding
    chosen = values[used if used.any() else present]
    return stretch(values, float(chosen.min()), float(chosen.max())).astype(np.float64)


def _padding(domain: NDArray[np.int64], header: Dataset) -> NDArray[np.bool_]:
    """Which stored values are Pixel Padding (PS3.3 section C.7.5.1.1.2), alone or as a range."""
    first = header.get("PixelPaddingValue")
    if not isinstance(first, int):
        return np.zeros(domain.shape, np.bool_)
    limit = header.get("PixelPaddingRangeLimit")
    last = limit if isinstance(limit, int) else first
    first, last = (_with_sign_of(domain, value, int(header.BitsAllocated)) for value in (first, last))
    return (domain >= min(first, last)) & (domain <= max(first, last))


def _with_sign_of(domain: NDArray[np.int64], value: int, allocated: int) -> int:
    """The same bits as one of the domain's values: some writers give them with the other sign."""
    for meant in (value, value - (1 << allocated), value + (1 << allocated)):
        if domain[0] <= meant <= domain[-1]:
            return meant
    return value


def _is_inverted(header: Dataset) -> bool:
    """MONOCHROME1 shows the lowest value white; DX files say it again as INVERSE, which does not turn it back.

    See PS3.3 sections C.7.6.3.1.2 and C.8.11.3.1.2.
    """
    shape = str(header.get("PresentationLUTShape") or "").strip().upper()
    return bool(header.PhotometricInterpretation == "MONOCHROME1" or shape == "INVERSE")


class _Positions:
    """Stored values as positions in the domain, block by block: numpy widens an index to 8 bytes a pixel."""

    def __init__(self, stored: NDArray[Any], lowest: int, levels: int) -> None:
        self._shape = stored.shape
        self._flat = stored.reshape(-1)
        self._lowest = lowest
        self._levels = levels

    def _blocks(self) -> Any:
        for start in range(0, self._flat.size, _BLOCK):
            block = self._flat[start : start + _BLOCK].astype(np.intp)
            # A lossy decoder may overshoot BitsStored.
            yield start, np.clip(block - self._lowest, 0, self._levels - 1)

    def present(self) -> NDArray[np.bool_]:
        found = np.zeros(self._levels, np.bool_)
        for _, block in self._blocks():
            found[block] = True
        return found

    def look_up(self, table: NDArray[np.float32]) -> NDArray[np.float32]:
        out = np.empty(self._flat.size, np.float32)
        for start, block in self._blocks():
            out[start : start + block.size] = table[block]
        return out.reshape(self._shape)
