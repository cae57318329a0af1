"""What a compressed frame declares about itself, read without decoding it.

DICOM says Rows and Columns twice for a compressed image: in the data set, and inside the frame. Decoders believe the
frame, so a limit that is only applied to the data set can be walked around.
"""

from dataclasses import dataclass
from typing import Final

_SOI: Final = b"\xff\xd8"
_SOC_SIZ: Final = b"\xff\x4f\xff\x51"
#: Start-of-frame markers of JPEG (ITU-T T.81 table B.1) and JPEG-LS (T.87): 0xC4, C8 and CC are no frames.
_START_OF_FRAME: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
#: Markers without a length: stuffing, TEM, restarts, SOI.
_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})


@dataclass(frozen=True, slots=True)
class Codestream:
    """Rows, columns, samples per pixel and bits per sample that a frame declares."""

    rows: int
    columns: int
    samples: int
    precision: int


def declared(frame: bytes) -> Codestream:
    """Read the frame header of JPEG (all processes), JPEG-LS, JPEG 2000 or HTJ2K.

    Raises:
        ValueError: no frame header was found.
    """
    if frame.startswith(_SOI):
        return _jpeg(frame)
    # Some writers wrap the codestream into a JP2 file, against PS3.5 section 8.2.4; decoders accept it.
    start = frame.find(_SOC_SIZ, 0, 4096)
    if start < 0:
        raise ValueError("no JPEG or JPEG 2000 header")
    return _jpeg_2000(frame[start + 4 :])


def _jpeg(frame: bytes) -> Codestream:
    at = 2
    while at + 10 <= len(frame):
        marker = frame[at + 1]
        if frame[at] != 0xFF:
            raise ValueError("lost between JPEG markers")
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _BARE:
            at += 2
        elif marker in _START_OF_FRAME:
            rows, columns = _unsigned(frame, at + 5, 2), _unsigned(frame, at + 7, 2)
            return Codestream(rows, columns, samples=frame[at + 9], precision=frame[at + 4])
        else:
            at += 2 + max(2, _unsigned(frame, at + 2, 2))
    raise ValueError("no JPEG frame header")


def _jpeg_2000(size_segment: bytes) -> Codestream:
    """Read a SIZ segment from its length field on (ITU-T T.800 section A.5.1)."""
    if len(size_segment) < 39:
        raise ValueError("JPEG 2000 header cut short")
    right, bottom, left, top = (_unsigned(size_segment, at, 4) for at in (4, 8, 12, 16))
    samples = _unsigned(size_segment, 36, 2)
    return Codestream(bottom - top, right - left, samples, precision=(size_segment[38] & 0x7F) + 1)


def _unsigned(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
