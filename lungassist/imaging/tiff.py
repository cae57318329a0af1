"""TIFF's WhiteIsZero, which Pillow turns round for some depths and byte orders, leaves for others, and refuses for one.

So the file is given to Pillow as BlackIsZero, and the greys are turned round afterwards, the same way for all.
"""

import struct
from typing import Final

_PHOTOMETRIC: Final = 262
_WHITE_IS_ZERO: Final = 0
_BLACK_IS_ZERO: Final = 1
_SHORT: Final = 3


def as_black_is_zero(data: bytes) -> tuple[bytes, bool]:
    """Return a TIFF with its first image declared BlackIsZero, and whether it was WhiteIsZero (TIFF 6.0, page 37).

    A file that is not WhiteIsZero, or whose directory cannot be followed, comes back as it is.
    """
    order = "<" if data[:2] == b"II" else ">"
    try:
        at = _photometric_value(data, order)
        if at is None or struct.unpack_from(f"{order}H", data, at)[0] != _WHITE_IS_ZERO:
            return data, False
    except struct.error:
        return data, False
    return data[:at] + struct.pack(f"{order}H", _BLACK_IS_ZERO) + data[at + 2 :], True


def _photometric_value(data: bytes, order: str) -> int | None:
    """Find where the value is stored, in classic TIFF and in BigTIFF (magic number 43)."""
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    start = struct.unpack_from(f"{order}Q", data, 8)[0] if big else struct.unpack_from(f"{order}L", data, 4)[0]
    count = struct.unpack_from(f"{order}{'Q' if big else 'H'}", data, start)[0]
    first, size, value = (start + 8, 20, 12) if big else (start + 2, 12, 8)
    for entry in range(first, min(first + count * size, len(data)), size):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if tag == _PHOTOMETRIC:
            # A LONG in a big-endian file has its low half behind.
            return entry + value + (0 if kind == _SHORT or order == "<" else 2)
    return None
