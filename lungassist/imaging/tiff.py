"""What the first directory of a TIFF says, where Pillow gets it wrong or does not tell.

Pillow turns WhiteIsZero round for some depths and byte orders, leaves it for others, and refuses it for one. So the
file is given to Pillow as BlackIsZero, and the greys are turned round afterwards, the same way for all.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_BITS: Final = 258
_PHOTOMETRIC: Final = 262
_ORIENTATION: Final = 274
_SAMPLES: Final = 277
_PLANAR: Final = 284
_SAMPLE_FORMAT: Final = 339
_UNSIGNED: Final = 1
#: Of SampleFormat; 4 is "undefined", which writers use for whole numbers.
_KINDS: Final = {_UNSIGNED: "unsigned", 2: "signed", 3: "float", 4: "unsigned"}
_WHITE_IS_ZERO: Final = 0
_BLACK_IS_ZERO: Final = 1
_UPRIGHT: Final = 1
#: Bytes and the letter of struct of the field types that whole numbers come in.
_WHOLE: Final = {1: (1, "B"), 3: (2, "H"), 4: (4, "L"), 16: (8, "Q")}
#: More values than any tag read here has.
_FEW: Final = 64


@dataclass(frozen=True, slots=True)
class TiffSamples:
    """How the first image's samples are stored (TIFF 6.0).

    Attributes:
        bits: of the deepest sample.
        kind: `unsigned`, `signed`, `float`, or `other`.
        per_pixel: samples a pixel, transparency included.
        is_planar: each sample in a plane of its own.
        little_endian: the byte order.
    """

    bits: int = 1
    kind: str = "unsigned"
    per_pixel: int = 1
    is_planar: bool = False
    little_endian: bool = True

    @property
    def is_deep_colour(self) -> bool:
        """Several samples of which one is deeper than 8 bits."""
        return self.per_pixel > 1 and self.bits > 8

    def why_not_read(self) -> str | None:
        """Words for what nothing here decodes exactly, None for the rest."""
        what = f"{self.kind + ' ' if self.kind in {'signed', 'float'} else ''}samples of {self.bits} bits"
        if self.is_deep_colour:
            three_or_four = self.bits == 16 and self.kind == "unsigned" and self.per_pixel in {3, 4}
            return None if three_or_four and not self.is_planar else f"{self.per_pixel} {what} a pixel"
        if self.bits == 32:
            big_unsigned = self.kind == "unsigned" and not self.little_endian
            return f"{what}, the high byte first" if big_unsigned else what if self.kind == "other" else None
        return what if self.bits > 16 or self.kind == "other" or (self.kind == "float" and self.bits != 32) else None


def samples_of(data: bytes) -> TiffSamples:
    """Read how samples are stored; what cannot be followed is taken as TIFF's defaults."""
    order = _order(data)
    try:
        tags = {tag: _values(data, order, at, kind, count) for tag, kind, count, at in _entries(data, order)}
    except struct.error:
        return TiffSamples()
    kinds = set(tags.get(_SAMPLE_FORMAT) or (_UNSIGNED,))
    return TiffSamples(
        bits=max(tags.get(_BITS) or (1,)),
        kind=_KINDS.get(kinds.pop(), "other") if len(kinds) == 1 else "other",
        per_pixel=max(tags.get(_SAMPLES) or (1,)),
        is_planar=(tags.get(_PLANAR) or (1,))[0] == 2,
        little_endian=order == "<",
    )


def as_black_is_zero(data: bytes) -> tuple[bytes, bool]:
    """Return a TIFF with its first image declared BlackIsZero, and whether it was WhiteIsZero (TIFF 6.0, page 37).

    A file that is not WhiteIsZero, or whose directory cannot be followed, comes back as it is.
    """
    order = _order(data)
    try:
        at = _value_at(data, order, _PHOTOMETRIC)
        if at is None or struct.unpack_from(f"{order}H", data, at)[0] != _WHITE_IS_ZERO:
            return data, False
    except struct.error:
        return data, False
    return _with_short(data, order, at, _BLACK_IS_ZERO), True


def not_turned(data: bytes) -> bytes:
    """Return a TIFF with its first image declared upright, for a decoder that would turn it halfway."""
    order = _order(data)
    try:
        at = _value_at(data, order, _ORIENTATION)
    except struct.error:
        return data
    return data if at is None else _with_short(data, order, at, _UPRIGHT)


def _order(data: bytes) -> str:
    return "<" if data[:2] == b"II" else ">"


def _with_short(data: bytes, order: str, at: int, value: int) -> bytes:
    return data[:at] + struct.pack(f"{order}H", value) + data[at + 2 :]


def _value_at(data: bytes, order: str, wanted: int) -> int | None:
    """Find where a tag's value is stored."""
    for tag, kind, _, at in _entries(data, order):
        if tag == wanted:
            # A LONG in a big-endian file has its low half behind.
            return at + (2 if _WHOLE.get(kind, (2,))[0] == 4 and order == ">" else 0)
    return None


def _entries(data: bytes, order: str) -> Iterator[tuple[int, int, int, int]]:
    """Yield tag, type, count and where the values lie, in classic TIFF and in BigTIFF (magic number 43)."""
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    pointer = "Q" if big else "L"
    start = struct.unpack_from(f"{order}{pointer}", data, 8 if big else 4)[0]
    count = struct.unpack_from(f"{order}{'Q' if big else 'H'}", data, start)[0]
    first, size, value, room = (start + 8, 20, 12, 8) if big else (start + 2, 12, 8, 4)
    for entry in range(first, min(first + count * size, len(data)), size):
        tag, kind, number = struct.unpack_from(f"{order}HH{pointer}", data, entry)
        at = entry + value
        if _WHOLE.get(kind, (1,))[0] * number > room:
            at = struct.unpack_from(f"{order}{pointer}", data, at)[0]
        yield tag, kind, number, at


def _values(data: bytes, order: str, at: int, kind: int, count: int) -> tuple[int, ...]:
    """Return whole numbers; none where a tag holds something else, or more than any that matters has."""
    if kind not in _WHOLE or count > _FEW:
        return ()
    try:
        return struct.unpack_from(f"{order}{count}{_WHOLE[kind][1]}", data, at)
    except struct.error:
        return ()
