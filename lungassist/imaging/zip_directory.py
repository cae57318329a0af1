"""How large a ZIP's directory is, read from its last record.

Python's zipfile parses the whole directory on opening. An archive of some hundred megabytes can list millions of empty
members, which become gigabytes of objects: so the size is looked at first.
"""

import struct
from io import SEEK_END
from typing import BinaryIO, Final

_END: Final = struct.Struct("<4s4H2LH")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64: Final = struct.Struct("<4sLQL")
_LONGEST_COMMENT: Final = 65535


def directory_bytes(stream: BinaryIO) -> int:
    """Return the size in bytes of the central directory (APPNOTE.TXT sections 4.3.14 to 4.3.16).

    Raises:
        ValueError: no end record.
    """
    size = stream.seek(0, SEEK_END)
    start = max(0, size - _END.size - _LONGEST_COMMENT - _LOCATOR_64.size)
    stream.seek(start)
    tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise ValueError("no end of central directory")
    declared: int = _END.unpack_from(tail, at)[5]
    return max(_directory_bytes_64(stream, tail, at), 0 if declared == 0xFFFFFFFF else declared)


def _directory_bytes_64(stream: BinaryIO, tail: bytes, end_at: int) -> int:
    """The same from the ZIP64 record, 0 where there is none."""
    at = end_at - _LOCATOR_64.size
    if at < 0 or tail[at : at + 4] != b"PK\x06\x07":
        return 0
    stream.seek(_LOCATOR_64.unpack_from(tail, at)[2])
    record = stream.read(_END_64.size)
    if len(record) < _END_64.size or not record.startswith(b"PK\x06\x06"):
        return 0
    declared: int = _END_64.unpack(record)[8]
    return declared
