"""JPEG that only GDCM decodes (lossless, and lossy with 12 bits), in a process that may fail without harm."""

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_dtype

_CHILD: Final = Path(__file__).with_name("gdcm_child.py")
#: Seconds. The largest detectors take about one.
_PATIENCE: Final = 60


def decode_with_gdcm(frame: bytes, header: Dataset, bits: int) -> NDArray[Any]:
    """Decode one frame whose declared size was checked before.

    Starting the process costs about as long as decoding a small image; a damaged file would end this one otherwise.

    Args:
        frame: the encoded bytes.
        header: of the file.
        bits: of a sample that are to be kept, from the lowest on; GDCM blanks the others.

    Returns:
        `(H, W)` or `(H, W, 3)` integers of the file's signedness.

    Raises:
        ValueError: GDCM failed, ended, or gave another number of bytes.
    """
    dtype = pixel_dtype(header).newbyteorder("<")
    shape = (int(header.Rows), int(header.Columns), int(header.SamplesPerPixel))
    numbers = (*shape, int(header.BitsAllocated), bits, int(header.PixelRepresentation))
    names = (str(header.PhotometricInterpretation), str(header.file_meta.TransferSyntaxUID))
    # -I: neither the working folder nor PYTHON* variables choose what is imported.
    command = [sys.executable, "-I", str(_CHILD), *map(str, numbers), *names]
    try:
        done = subprocess.run(command, input=frame, capture_output=True, timeout=_PATIENCE, check=True)
    except subprocess.SubprocessError:
        raise ValueError("GDCM did not decode the frame") from None
    pixels = np.frombuffer(done.stdout, dtype).reshape(shape)
    return pixels[..., 0] if shape[2] == 1 else pixels
