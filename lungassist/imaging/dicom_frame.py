"""The stored values of a DICOM image's first frame, with every limit applied before a decoder runs."""

from typing import Any, Final

from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.processing import convert_color_space
from pydicom.pixels.utils import pixel_array, pixel_dtype
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from lungassist.errors import ImageTooLargeError, UnsupportedFormatError
from lungassist.imaging.codestream import declared
from lungassist.imaging.dicom_gdcm import decode_with_gdcm
from lungassist.imaging.dicom_rle import decode_rle
from lungassist.imaging.wording import megapixels, shown

#: One decoder per syntax, the most robust one: pydicom alone would try the others on bytes that the first refused.
_DECODER: Final = {
    JPEGBaseline8Bit: "pillow",
    JPEGExtended12Bit: "pillow",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    JPEG2000Lossless: "pylibjpeg",
    JPEG2000: "pylibjpeg",
    HTJ2KLossless: "pylibjpeg",
    HTJ2KLosslessRPCL: "pylibjpeg",
    HTJ2K: "pylibjpeg",
}
_BY_GDCM: Final = frozenset({JPEGLossless, JPEGLosslessSV1})
_LOSSY: Final = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K})
_DEEPEST: Final = 16


def number_of_frames(header: Dataset) -> int:
    """Return NumberOfFrames, 1 where it is absent or senseless."""
    try:
        return max(1, int(header.get("NumberOfFrames") or 1))
    except (TypeError, ValueError):
        return 1


def first_frame(header: Dataset, name: str, max_pixels: int) -> NDArray[Any]:
    """Decode the first frame; further frames are never touched.

    Returns:
        `(H, W)` stored values, or `(H, W, 3)` RGB samples where there are three; integers of the file's signedness.

    Raises:
        ImageTooLargeError: Rows times Columns, or what the frame declares itself, is beyond `max_pixels`.
        UnsupportedFormatError: more than 16 bits, or a transfer syntax that nobody here decodes.
        Exception: those of `DECODER_ERRORS`, for the caller to translate.
    """
    _check_size(int(header.Rows), int(header.Columns), name, max_pixels)
    _check_depth(header, name)
    syntax = header.file_meta.TransferSyntaxUID
    if syntax == RLELossless:
        return _significant_bits(_run_lengths(header), header)
    if syntax in _BY_GDCM or syntax in _DECODER:
        return _compressed(header, name, max_pixels)
    if syntax.is_encapsulated or header["PixelData"].is_undefined_length:
        raise UnsupportedFormatError(
            f"{shown(name)}: expected a DICOM transfer syntax for still images; the pixels are compressed in"
            " another way. Export it uncompressed."
        )
    return _significant_bits(pixel_array(header, index=0, correct_unused_bits=False), header)


def _compressed(header: Dataset, name: str, max_pixels: int) -> NDArray[Any]:
    syntax = header.file_meta.TransferSyntaxUID
    frame = _first_encoded(header)
    _check_codestream(frame, header, name, max_pixels)
    whole = _carries_more_than_bits_stored(frame, header)
    if syntax in _BY_GDCM or (syntax == JPEGExtended12Bit and header.BitsStored > 8):
        bits = int(header.BitsAllocated if whole else header.BitsStored)
        decoded = _as_rgb(decode_with_gdcm(frame, header, bits), header)
    else:
        decoded = pixel_array(header, index=0, decoding_plugin=_DECODER[syntax])
    return _significant_bits(decoded, header) if whole else decoded


def _carries_more_than_bits_stored(frame: bytes, header: Dataset) -> bool:
    """Whether a frame holds what stands above or below BitsStored too, such as an overlay, as an uncompressed one does.

    That is so where it is as deep as a whole word. A lossy one may merely overshoot BitsStored, unless HighBit says
    that its values stand elsewhere; and GDCM calls 12-bit JPEG 16 bits deep.
    """
    if declared(frame).precision != header.BitsAllocated:
        return False
    syntax = header.file_meta.TransferSyntaxUID
    shifted = int(header.get("HighBit", header.BitsStored - 1)) != header.BitsStored - 1
    return syntax not in _LOSSY or (shifted and syntax in {JPEG2000, HTJ2K, JPEGLSNearLossless})


def _run_lengths(header: Dataset) -> NDArray[Any]:
    samples = int(header.SamplesPerPixel)
    decoded = decode_rle(_first_encoded(header), (header.Rows, header.Columns), samples, pixel_dtype(header))
    return _as_rgb(decoded, header)


def _as_rgb(decoded: NDArray[Any], header: Dataset) -> NDArray[Any]:
    """Do for the two decoders of our own what pydicom does for its own."""
    if header.PhotometricInterpretation == "YBR_FULL":
        return convert_color_space(decoded, "YBR_FULL", "RGB")
    return decoded


def _first_encoded(header: Dataset) -> bytes:
    return get_frame(header.PixelData, 0, number_of_frames=number_of_frames(header))


def _check_size(rows: int, columns: int, name: str, max_pixels: int) -> None:
    if rows * columns > max_pixels:
        raise ImageTooLargeError(
            f"{shown(name)}: expected at most {megapixels(max_pixels)}; it declares {columns} x {rows}"
            f" ({megapixels(rows * columns)}). Export it at a smaller size."
        )
    if rows < 1 or columns < 1:
        raise ValueError("no rows or no columns")


def _check_depth(header: Dataset, name: str) -> None:
    allocated, stored = int(header.BitsAllocated), int(header.BitsStored)
    if allocated > _DEEPEST:
        raise UnsupportedFormatError(
            f"{shown(name)}: expected 8 to 16 bits per sample; the file has {allocated}. Export it with 16 bits."
        )
    if not 1 <= stored <= allocated:
        raise ValueError("BitsStored out of range")


def _check_codestream(frame: bytes, header: Dataset, name: str, max_pixels: int) -> None:
    """Demand that a compressed frame has the size that the data set declares."""
    own = declared(frame)
    _check_size(own.rows, own.columns, name, max_pixels)
    if (own.rows, own.columns, own.samples) != (header.Rows, header.Columns, header.SamplesPerPixel):
        raise ValueError("frame and data set disagree about the size")
    if own.precision > header.BitsAllocated:
        raise ValueError("frame is deeper than BitsAllocated")


def _significant_bits(stored: NDArray[Any], header: Dataset) -> NDArray[Any]:
    """Keep BitsStored bits below HighBit and the sign: the other bits may hold anything (PS3.5 section 8.1.1)."""
    allocated, bits = stored.dtype.itemsize * 8, int(header.BitsStored)
    high = int(header.get("HighBit", bits - 1))
    if not bits - 1 <= high < allocated:
        high = bits - 1
    if bits == allocated:
        return stored
    # Left until the top bit is the sign bit, then right, which repeats the sign for a signed type only.
    return (stored << (allocated - 1 - high)) >> (allocated - bits)
