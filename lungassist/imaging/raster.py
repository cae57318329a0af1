"""PNG, JPEG, TIFF and WebP to P-values, through Pillow."""

from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lungassist.errors import ImageTooLargeError, NoPixelsError, UnsupportedFormatError
from lungassist.imaging import formats
from lungassist.imaging.decoding import decoding
from lungassist.imaging.deep_colour import deep_colour
from lungassist.imaging.greys import colourfulness, luminance, repair, stretch
from lungassist.imaging.picture import Picture
from lungassist.imaging.tiff import TiffSamples, as_black_is_zero, samples_of
from lungassist.imaging.wording import megapixels, shown

_ORIENTATION: Final = 274
_TRANSPARENT: Final = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_GREY: Final = frozenset({"1", "L", "I", "F"})
_GREY_AND_TRANSPARENT: Final = frozenset({"LA", "La"})
_PNG_DEPTH: Final = 24
_PNG_COLOUR_TYPE: Final = 25
#: Samples a pixel by PNG's colour type: colour, grey with transparency, colour with transparency.
_PNG_SAMPLES: Final = {2: 3, 4: 2, 6: 4}


def _as_it_is(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels


#: How an array is turned upright for each EXIF orientation.
_UPRIGHT: Final[dict[int, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    2: np.fliplr,
    3: lambda pixels: pixels[::-1, ::-1],
    4: np.flipud,
    5: np.transpose,
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].T,
    8: np.rot90,
}

_PHOTOMETRIC: Final = {"P": "PALETTE COLOR", "PA": "PALETTE COLOR", "CMYK": "CMYK"}


def read_raster(data: bytes, name: str, file_format: str, max_pixels: int) -> Picture:
    """Decode the first frame of a PNG, JPEG, TIFF or WebP.

    8 bits and less are divided by their full range. Deeper greys and colours (16 bits, 32-bit integers, floats), and
    signed ones, are stretched from the lowest to the highest value used, as DICOM without a window is: such a file does
    not say how many of its bits the detector filled, and 12-bit data in 16 bits would be shown almost black.
    Transparency is laid on black.

    Raises:
        UnsupportedFormatError: a TIFF whose samples nothing here decodes exactly.
        ImageTooLargeError: more pixels declared than `max_pixels`; nothing was decoded.
        DamagedImageError: the bytes are truncated or do not decode.
        NoPixelsError: float pixels of which none is finite.
    """
    stored, white_is_zero = TiffSamples(), False
    if file_format == formats.TIFF:
        stored = samples_of(data)
        _refuse_samples(stored, name)
        data, white_is_zero = as_black_is_zero(data)
    elif file_format == formats.PNG and len(data) > _PNG_COLOUR_TYPE:
        stored = _samples_of_png(data)
    try:
        with decoding(name, file_format), Image.open(BytesIO(data), formats=[file_format]) as image:
            _refuse_bomb(image, name, max_pixels)
            return _picture(image, data, name, file_format, stored, white_is_zero)
    except Image.DecompressionBombError:
        raise _too_large(name, "more pixels than Pillow opens", max_pixels) from None


def _refuse_samples(stored: TiffSamples, name: str) -> None:
    if came := stored.why_not_read():
        raise UnsupportedFormatError(
            f"{shown(name)}: expected a TIFF of 8 or 16 bits, 32-bit integers or 32-bit float, colour of 8 or 16 bits;"
            f" it has {came}. Export it as grey with 16 bits."
        )


def _samples_of_png(data: bytes) -> TiffSamples:
    """The same of a PNG's header (PNG specification, section 11.2.1)."""
    return TiffSamples(
        bits=data[_PNG_DEPTH], per_pixel=_PNG_SAMPLES.get(data[_PNG_COLOUR_TYPE], 1), little_endian=False
    )


def _refuse_bomb(image: Image.Image, name: str, max_pixels: int) -> None:
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise _too_large(name, f"{image.width} x {image.height} ({megapixels(pixels)})", max_pixels)


def _too_large(name: str, came: str, max_pixels: int) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"{shown(name)}: expected at most {megapixels(max_pixels)}; it declares {came}. Export it at a smaller size."
    )


def _picture(
    image: Image.Image, data: bytes, name: str, file_format: str, stored: TiffSamples, white_is_zero: bool
) -> Picture:
    warnings: list[str] = []
    if getattr(image, "n_frames", 1) > 1:
        warnings.append("The file holds several images; only the first was read.")
    bits = stored.bits if file_format in {formats.PNG, formats.TIFF} else 8
    mode = image.mode
    orientation = image.getexif().get(_ORIENTATION, 1)
    upright = ImageOps.exif_transpose(image)
    if stored.is_deep_colour:
        pixels, colour = deep_colour(data)
        pixels = np.ascontiguousarray(_UPRIGHT.get(orientation, _as_it_is)(pixels))
    elif mode in _GREY or mode.startswith("I;"):
        # A transparent colour key in a grey image marks background at most, and is left as it is.
        pixels, colour = _grey(upright, name, stored, white_is_zero, warnings), 0.0
    else:
        pixels, colour = _colour(upright, white_is_zero)
    if mode in _GREY | _GREY_AND_TRANSPARENT or mode.startswith("I;") or stored.per_pixel == 2:
        photometric = "MONOCHROME1" if white_is_zero else "MONOCHROME2"
    else:
        photometric = _PHOTOMETRIC.get(mode, "RGB")
    return Picture(pixels, bits, photometric, colourfulness=colour, warnings=tuple(warnings))


def _grey(
    image: Image.Image, name: str, stored: TiffSamples, white_is_zero: bool, warnings: list[str]
) -> NDArray[np.float32]:
    is_signed = stored.kind == "signed"
    if image.mode in {"1", "L"} and not is_signed:
        grey = np.asarray(image.convert("L"))
        return np.asarray(255 - grey if white_is_zero else grey, np.float32) / np.float32(255)
    values = np.asarray(image)
    # Pillow has neither signed samples of 8 bits nor unsigned ones of 32: the same bytes, called by another name.
    if values.dtype == np.uint8 and is_signed:
        values = values.view(np.int8)
    elif values.dtype == np.int32 and stored.bits == 32 and stored.kind == "unsigned":
        values = values.view(np.uint32)
    if values.dtype.kind == "f":
        values, lost = repair(values)
        if lost == values.size:
            raise NoPixelsError(f"{shown(name)}: expected pixels with finite values; every pixel is NaN or infinite.")
        if lost:
            warnings.append(f"{lost / values.size:.2%} of the pixels had no finite value and are shown black or white.")
    pixels = stretch(values, float(values.min()), float(values.max()))
    return 1 - pixels if white_is_zero else pixels


def _colour(image: Image.Image, white_is_zero: bool) -> tuple[NDArray[np.float32], float]:
    """Return luminance and colourfulness of a colour, palette or transparent image."""
    if white_is_zero and image.mode in _GREY_AND_TRANSPARENT:
        grey, opacity = image.convert("LA").split()
        image = Image.merge("LA", (ImageOps.invert(grey), opacity))
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    samples: NDArray[np.uint8] = np.asarray(image.convert("RGB"))
    colour = colourfulness(samples, 255)
    return luminance(samples, 255), colour
