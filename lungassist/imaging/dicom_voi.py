"""The two grey-scale transformations of DICOM that a file may carry: modality, and values of interest."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

#: One value per entry of a domain, float64.
Curve = NDArray[np.float64]

_BAD_WINDOW: Final = "The window stored in the file is not valid; the full range of grey values is shown."


def modality_values(domain: NDArray[np.int64], header: Dataset) -> Curve:
    """Apply the modality LUT, else rescale slope and intercept, else nothing (PS3.3 section C.11.1)."""
    item = _first(header, "ModalityLUTSequence")
    if item is not None:
        return look_up(domain, item, header)[0]
    slope, intercept = _number(header, "RescaleSlope"), _number(header, "RescaleIntercept")
    if slope is None or intercept is None or slope == 0:
        return domain.astype(np.float64)
    return np.asarray(domain * slope + intercept, np.float64)


def values_of_interest(values: Curve, header: Dataset) -> tuple[Curve | None, tuple[str, ...]]:
    """Apply the VOI LUT, else the first window (PS3.3 section C.11.2).

    Where both are present they are alternatives. The table is taken: it can say what a window cannot, the film-like
    curve that the vendor intended.

    Returns:
        Values in [0, 1], None where the file has neither; and warnings.
    """
    item = _first(header, "VOILUTSequence")
    if item is not None:
        entries, bits = look_up(np.rint(values), item, header)
        return np.clip(entries / ((1 << bits) - 1), 0, 1), ()
    centre, width = _number(header, "WindowCenter"), _number(header, "WindowWidth")
    if centre is None or width is None:
        return None, ()
    function = str(header.get("VOILUTFunction") or "LINEAR").strip().upper()
    if width <= 0 or (width < 1 and function not in {"LINEAR_EXACT", "SIGMOID"}):
        return None, (_BAD_WINDOW,)
    return window(values, centre, width, function), ()


def window(values: Curve, centre: float, width: float, function: str) -> Curve:
    """Return values in [0, 1] through a window (PS3.3 sections C.11.2.1.2.1 and C.11.2.1.3).

    Args:
        function: `LINEAR_EXACT`, `SIGMOID`, anything else is `LINEAR`, the default of the standard.
        width: above 0; at least 1 for `LINEAR`.
    """
    if function == "SIGMOID":
        # The exponent is bounded: beyond 500 the result is 0 anyway, and exp would overflow.
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -500, 500)))
    if function != "LINEAR_EXACT":
        centre, width = centre - 0.5, width - 1
    if width == 0:
        return (values > centre).astype(np.float64)
    return np.clip((values - centre) / width + 0.5, 0, 1)


def look_up(values: NDArray[Any], item: Dataset, header: Dataset) -> tuple[Curve, int]:
    """Map whole numbers through a LUT item (PS3.3 section C.11.1.1.1); beyond its ends the end entries hold.

    pydicom's own functions are not used: they index in the type of the entries, which wraps an 8-bit table of 4,096
    entries, and subtract a negative first value in the pixels' unsigned type.

    Returns:
        The entries, and their nominal bits (8 to 16).
    """
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    count = count % 65536 or 65536
    entries = _entries(item, count, header)
    if not 1 <= bits <= 16 or entries.size == 0:
        raise ValueError("LUT without entries or of impossible depth")
    position = np.clip(values - first, 0, min(count, entries.size) - 1).astype(np.intp)
    return entries[position].astype(np.float64), bits


def _entries(item: Dataset, count: int, header: Dataset) -> NDArray[np.int64]:
    data = item.LUTData
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data, np.int64)) & 0xFFFF
    if len(data) in (count, count + count % 2) and count > 1:
        return np.frombuffer(data, np.uint8).astype(np.int64)  # 8-bit entries packed, which C.11.1.1.1 tells of
    order = "<u2" if header.original_encoding[1] is not False else ">u2"
    return np.frombuffer(data[: len(data) // 2 * 2], order).astype(np.int64)


def _first(header: Dataset, keyword: str) -> Dataset | None:
    items = header.get(keyword)
    if not items or items[0].get("LUTDescriptor") is None or items[0].get("LUTData") is None:
        return None
    item: Dataset = items[0]
    return item


def _number(header: Dataset, keyword: str) -> float | None:
    """The first number of an element, None where it is absent, empty or not finite."""
    value = header.get(keyword)
    if isinstance(value, (MultiValue, list, tuple)):
        value = value[0] if len(value) else None
    if value is None or value == "":
        return None
    number = float(value)
    return number if math.isfinite(number) else None
