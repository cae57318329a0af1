"""From bytes or a path to one Radiograph, whatever the format."""

import hashlib
from pathlib import Path

import numpy as np

from lungassist.errors import (
    ArchiveError,
    EmptyFileError,
    ImageTooLargeError,
    MissingFileError,
    NoPixelsError,
    UnsupportedFormatError,
)
from lungassist.imaging import formats
from lungassist.imaging.picture import Picture
from lungassist.imaging.radiograph import Radiograph
from lungassist.imaging.wording import megabytes, shown
from lungassist.settings import Settings


def read_radiograph(data: bytes, name: str, settings: Settings) -> Radiograph:
    """Read one study from its bytes; the format is told from the content, never from the name.

    Args:
        data: a whole file.
        name: what the user calls it; kept as it is, and shown in messages.
        settings: `max_pixels` and `max_file_bytes` are applied before anything is decoded.

    Raises:
        EmptyFileError, UnsupportedFormatError, DamagedImageError, ImageTooLargeError, NoPixelsError,
        NotARadiographError, ArchiveError: see `lungassist.errors`; nothing else comes out, whatever the bytes.
    """
    file_format = _checked_format(data, name, settings)
    picture = _decode(data, name, file_format, settings)
    if picture.pixels.size == 0:
        raise NoPixelsError(f"{shown(name)}: expected an image; it has no rows or no columns.")
    pixels = np.ascontiguousarray(picture.pixels, np.float32)
    pixels.flags.writeable = False
    return Radiograph(
        name=name,
        sha256=hashlib.sha256(data).hexdigest(),
        pixels=pixels,
        bit_depth=picture.bit_depth,
        photometric_interpretation=picture.photometric_interpretation,
        file_format=file_format,
        pixel_spacing_mm=picture.pixel_spacing_mm,
        view_position=picture.view_position,
        colourfulness=picture.colourfulness,
        warnings=picture.warnings,
        contradictions=picture.contradictions,
    )


def read_file(path: str | Path, settings: Settings) -> Radiograph:
    """Read one study from a file, named by its last path component.

    Raises:
        MissingFileError: no such file, not a regular file, or not readable.
        StudyError: as `read_radiograph`.
    """
    path = Path(path)
    return read_radiograph(read_bounded(path, path.name, settings.max_file_bytes), path.name, settings)


def read_bounded(path: Path, name: str, limit: int) -> bytes:
    """Return a regular file's bytes, at most `limit` of them.

    Raises:
        MissingFileError: no such file, not a regular file (a pipe would block for ever), or not readable.
        ImageTooLargeError: the file is larger than `limit`.
    """
    try:
        if not path.is_file():
            raise MissingFileError(f"{shown(name)}: expected a file; there is none of that name. Check the path.")
        with path.open("rb") as stream:
            data = stream.read(limit + 1) if path.stat().st_size <= limit else None
    except (OSError, ValueError) as error:
        raise MissingFileError(
            f"{shown(name)}: the file cannot be read. Check the path and its permissions."
        ) from error
    if data is None or len(data) > limit:
        raise _too_many_bytes(name, limit)
    return data


def _checked_format(data: bytes, name: str, settings: Settings) -> str:
    if not data:
        raise EmptyFileError(f"{shown(name)}: expected {formats.EXPECTED}; the file is empty. Copy it again.")
    if len(data) > settings.max_file_bytes:
        raise _too_many_bytes(name, settings.max_file_bytes)
    file_format = formats.sniff(data)
    if file_format is None:
        raise UnsupportedFormatError(
            f"{shown(name)}: expected {formats.EXPECTED}; this is {formats.describe(data)}. Export the image itself."
        )
    if file_format == formats.ZIP:
        raise ArchiveError(f"{shown(name)}: expected {formats.EXPECTED}; this is a ZIP archive. Unpack it first.")
    return file_format


def _too_many_bytes(name: str, limit: int) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"{shown(name)}: expected at most {megabytes(limit)}; the file is larger. Export it compressed or smaller."
    )


def _decode(data: bytes, name: str, file_format: str, settings: Settings) -> Picture:
    # Pillow and pydicom are imported on first use: importing lungassist.imaging stays light.
    if file_format == formats.DICOM:
        from lungassist.imaging.dicom import read_dicom

        return read_dicom(data, name, settings)
    from lungassist.imaging.raster import read_raster

    return read_raster(data, name, file_format, settings.max_pixels)
