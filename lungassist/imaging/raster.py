"""PNG, JPEG, TIFF and WebP to P-values, through Pillow."""

from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lungassist.errors import ImageTooLargeError, NoPixelsError
from lungassist.imaging import formats
from lungassist.imaging.decoding import decoding
from lungassist.imaging.greys import colourfulness, luminance, repair, stretch
from lungassist.imaging.picture import Picture
from lungassist.imaging.tiff import as_black_is_zero
from lungassist.imaging.wording import megapixels, shown

_TIFF_BITS: Final = 258
_TRANSPARENT: Final = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_GREY: Final = frozenset({"1", "L", "I", "F"})

_PHOTOMETRIC: Final = {"P": "PALETTE COLOR", "PA": "PALETTE COLOR", "CMYK": "CMYK"}


def read_raster(data: bytes, name: str, file_format: str, max_pixels: int) -> Picture:
    """Decode the first frame of a PNG, JPEG, TIFF or WebP.

    8 bits and less are divided by their full range. Deeper greys (16-bit integers, floats) are stretched from the
    lowest to the highest value used, as DICOM without a window is: such a file does not say how many of its bits the
    detector filled, and 12-bit data in 16 bits would be shown almost black. Transparency is laid on black.

    Raises:
        ImageTooLargeError: more pixels declared than `max_pixels`; nothing was decoded.
        DamagedImageError: the bytes are truncated or do not decode.
        NoPixelsError: float pixels of which none is finite.
    """
    white_is_zero = False
    if file_format == formats.TIFF:
        data, white_is_zero = as_black_is_zero(data)
    try:
        with decoding(name, file_format), Image.open(BytesIO(data), formats=[file_format]) as image:
            _refuse_bomb(image, name, max_pixels)
            return _picture(image, data, name, file_format, white_is_zero)
    except Image.DecompressionBombError:
        raise _too_large(name, "more pixels than Pillow opens", max_pixels) from None


def _refuse_bomb(image: Image.Image, name: str, max_pixels: int) -> None:
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise _too_large(name, f"{image.width} x {image.height} ({megapixels(pixels)})", max_pixels)


def _too_large(name: str, came: str, max_pixels: int) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"{shown(name)}: expected at most {megapixels(max_pixels)}; it declares {came}. Export it at a smaller size."
    )


def _picture(image: Image.Image, data: bytes, name: str, file_format: str, white_is_zero: bool) -> Picture:
    warnings: list[str] = []
    if getattr(image, "n_frames", 1) > 1:
        warnings.append("The file holds several images; only the first was read.")
    bits = _bit_depth(image, data, file_format)
    mode = image.mode
    upright = ImageOps.exif_transpose(image)
    if mode in _GREY or mode.startswith("I;"):
        # A transparent colour key in a grey image marks background at most, and is left as it is.
        pixels, colour = _grey(upright, name, white_is_zero, warnings), 0.0
        photometric = "MONOCHROME1" if white_is_zero else "MONOCHROME2"
    else:
        pixels, colour = _colour(upright)
        photometric = "MONOCHROME2" if mode in {"LA", "La"} else _PHOTOMETRIC.get(mode, "RGB")
    return Picture(pixels, bits, photometric, colourfulness=colour, warnings=tuple(warnings))


def _grey(image: Image.Image, name: str, white_is_zero: bool, warnings: list[str]) -> NDArray[np.float32]:
    if image.mode in {"1", "L"}:
        grey = np.asarray(image.convert("L"))
        return np.asarray(255 - grey if white_is_zero else grey, np.float32) / np.float32(255)
    values = np.asarray(image)
    if values.dtype.kind == "f":
        values, lost = repair(values)
        if lost == values.size:
            raise NoPixelsError(f"{shown(name)}: expected pixels with finite values; every pixel is NaN or infinite.")
        if lost:
            warnings.append(f"{lost / values.size:.2%} of the pixels had no finite value and are shown black or white.")
    pixels = stretch(values, float(values.min()), float(values.max()))
    return 1 - pixels if white_is_zero else pixels


def _colour(image: Image.Image) -> tuple[NDArray[np.float32], float]:
    """Return luminance and colourfulness of a colour, palette or transparent image."""
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    samples: NDArray[np.uint8] = np.asarray(image.convert("RGB"))
    colour = colourfulness(samples, 255)
    return luminance(samples, 255), colour


def _bit_depth(image: Image.Image, data: bytes, file_format: str) -> int:
    """Bits per sample as the file says; Pillow's mode would call a 4-bit PNG 8 bits deep."""
    if file_format == formats.PNG:
        return data[24]
    if file_format == formats.TIFF:
        return _tiff_tag(image, _TIFF_BITS, 1)
    return 8


def _tiff_tag(image: Image.Image, tag: int, default: int) -> int:
    value = getattr(image, "tag_v2", {}).get(tag, default)
    return int(value[0] if isinstance(value, tuple) else value)
