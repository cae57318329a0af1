"""DICOM's run-length encoding (PS3.5 annex G), decoded within bounds.

Written here because of the plugins that pydicom has for it one aborts on damaged bytes in a way that no caller can
catch, and the other first unpacks whatever the bytes ask for: two of them can stand for 128.
"""

import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_HEADER: Final = struct.Struct("<16L")
_NOTHING: Final = 128


def decode_rle(frame: bytes, shape: tuple[int, int], samples: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Decode one frame.

    Args:
        shape: rows and columns.
        samples: 1 or 3 per pixel.
        dtype: integers of BitsAllocated bits; each of their bytes has a segment, the highest byte first.

    Returns:
        `(H, W)` or `(H, W, 3)` of `dtype`.

    Raises:
        ValueError: the segments are not what shape, samples and dtype demand.
        struct.error: no room for the header.
    """
    count, *starts = _HEADER.unpack_from(frame)
    wanted = samples * dtype.itemsize
    if count != wanted or wanted > len(starts):
        raise ValueError("RLE frame with another number of segments")
    ends = [*starts[1:count], len(frame)]
    size = shape[0] * shape[1]
    planes = np.empty((samples, dtype.itemsize, size), np.uint8)
    for segment, (start, end) in enumerate(zip(starts[:count], ends, strict=True)):
        unpacked = _unpacked(frame[start:end], size)
        planes[segment // dtype.itemsize, segment % dtype.itemsize] = np.frombuffer(unpacked, np.uint8)
    values = np.zeros((samples, size), f"u{dtype.itemsize}")
    for byte in range(dtype.itemsize):
        values |= planes[:, byte].astype(values.dtype) << (8 * (dtype.itemsize - 1 - byte))
    return _arranged(values.view(dtype), shape)


def _unpacked(segment: bytes, size: int) -> bytes:
    """Undo the runs of one segment until `size` bytes are there; what follows is padding."""
    out = bytearray()
    at, last = 0, len(segment) - 1
    while at < last and len(out) < size:
        control = segment[at]
        if control < _NOTHING:
            out += segment[at + 1 : at + 2 + control]
            at += 2 + control
        elif control > _NOTHING:
            out += segment[at + 1 : at + 2] * (257 - control)
            at += 2
        else:
            at += 1
    if len(out) < size:
        raise ValueError("RLE segment ends before its pixels do")
    return bytes(out[:size])


def _arranged(values: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """From one plane per sample to one sample after the other."""
    arranged: NDArray[Any] = np.ascontiguousarray(values.T).reshape(*shape, len(values))
    return arranged[..., 0] if len(values) == 1 else arranged
