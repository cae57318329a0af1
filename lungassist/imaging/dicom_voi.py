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
_BAD_TABLE: Final = "The grey-scale table stored in the file is not valid and was passed over."
_BAD_RESCALE: Final = "The rescale slope or intercept stored in the file is not valid and was passed over."


def modality_values(domain: NDArray[np.int64], header: Dataset) -> tuple[Curve, tuple[str, ...]]:
    """Apply the modality LUT, else rescale slope and intercept, else nothing (PS3.3 section C.11.1); and warnings."""
    item = _first(header, "ModalityLUTSequence")
    found: tuple[str, ...] = ()
    if item is not None:
        entries = _looked_up(domain, item, header)
        if entries is not None:
            return entries[0], ()
        found = (_BAD_TABLE,)
    try:
        slope, intercept = _number(header, "RescaleSlope"), _number(header, "RescaleIntercept")
    except ValueError:
        return domain.astype(np.float64), (*found, _BAD_RESCALE)
    if slope is None or intercept is None or slope == 0:
        return domain.astype(np.float64), found
    return np.asarray(domain * slope + intercept, np.float64), found


def values_of_interest(values: Curve, header: Dataset) -> tuple[Curve | None, tuple[str, ...]]:
    """Apply the VOI LUT, else the first window (PS3.3 section C.11.2).

    Where both are present they are alternatives. The table is taken: it can say what a window cannot, the film-like
    curve that the vendor intended.

    Returns:
        Values in [0, 1], None where the file has neither; and warnings.
    """
    item = _first(header, "VOILUTSequence")
    found: tuple[str, ...] = ()
    if item is not None:
        looked_up = _looked_up(np.rint(values), item, header)
        if looked_up is not None:
            entries, bits = looked_up
            return np.clip(entries / ((1 << bits) - 1), 0, 1), ()
        found = (_BAD_TABLE,)
    try:
        centre, width = _number(header, "WindowCenter"), _number(header, "WindowWidth")
    except ValueError:
        return None, (*found, _BAD_WINDOW)
    if centre is None or width is None:
        return None, found
    function = str(header.get("VOILUTFunction") or "LINEAR").strip().upper()
    if width <= 0 or (width < 1 and function not in {"LINEAR_EXACT", "SIGMOID"}):
        return None, (*found, _BAD_WINDOW)
    return window(values, centre, width, function), found


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

    Args:
        values: every value that may come, ascending or descending.

    Returns:
        The entries, and their nominal bits (8 to 16).

    Raises:
        ValueError: a table that says nothing.
    """
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    count = count % 65536 or 65536
    entries = _entries(item, count, header)
    if not 1 <= bits <= 16 or entries.size == 0:
        raise ValueError("LUT without entries or of impossible depth")
    first = _first_mapped(first, count, float(values.min()), float(values.max()))
    position = np.clip(values - first, 0, min(count, entries.size) - 1).astype(np.intp)
    return entries[position].astype(np.float64), bits


def _first_mapped(first: int, count: int, lowest: float, highest: float) -> int:
    """Settle the sign of the first value mapped, which has 16 bits and is signed if what it maps is.

    With implicit VR nothing says so, and a reader of the file goes by the stored pixels' sign, which the rescale may
    have changed (PS3.3 section C.11.2.1.1). Of the readings that are possible, the one is right whose table covers more
    of the values; as read where that is level.
    """

    def covered(start: int) -> float:
        return max(0.0, min(highest, start + count - 1) - max(lowest, start) + 1)

    return max((first, first - 65536, first + 65536), key=covered)


def _looked_up(values: NDArray[Any], item: Dataset, header: Dataset) -> tuple[Curve, int] | None:
    try:
        return look_up(values, item, header)
    except (TypeError, ValueError):
        return None


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
    """The first number of an element, None where it is absent, empty or not finite.

    Raises:
        ValueError: it is no number, such as one with a decimal comma, which might part thousands too.
    """
    try:
        value = header.get(keyword)
    except TypeError as error:
        raise ValueError(keyword) from error
    if isinstance(value, (MultiValue, list, tuple)):
        value = value[0] if len(value) else None
    if value is None or value == "":
        return None
    number = float(value)
    return number if math.isfinite(number) else None
