"""The one place where a decoder's failure becomes an error of ours, and where decoders are kept quiet."""

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from lungassist.errors import DamagedImageError
from lungassist.imaging.wording import shown

#: What Pillow, pydicom and its plugins raise on hostile bytes. `RuntimeError` covers RecursionError and
#: NotImplementedError, `LookupError` IndexError and KeyError, `ValueError` UnicodeError.
DECODER_ERRORS: Final[tuple[type[Exception], ...]] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


@contextmanager
def decoding(name: str, file_format: str, *more: type[Exception]) -> Iterator[None]:
    """Turn whatever a decoder raises inside the block into DamagedImageError.

    The library's own words are dropped, cause included: pydicom quotes element values, which may name the patient.

    Args:
        more: errors of the library's own that are none of `DECODER_ERRORS`.

    Raises:
        DamagedImageError: the block raised one of them.
    """
    hush()
    try:
        yield
    except (*DECODER_ERRORS, *more):
        raise DamagedImageError(
            f"{shown(name)}: expected a complete {file_format} file; it is truncated, damaged or of a kind that"
            " cannot be decoded. Export or copy the image again."
        ) from None


def hush() -> None:
    """Keep warnings and log records of decoders from being printed: they quote values of the file.

    Idempotent and cheap. A filter for good and not `warnings.catch_warnings`, which is not safe in threads.
    """
    for library in ("pydicom", "PIL", "openjpeg", "rle", "pylibjpeg"):
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"(PIL|pydicom|openjpeg|rle|jpeg_ls|lungassist\.imaging)(\.|$)")
