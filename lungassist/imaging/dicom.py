"""DICOM to P-values: the header is judged first, then one frame is decoded and displayed as the standard says."""

import math
import re
from typing import Final

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from lungassist.imaging.decoding import decoding
from lungassist.imaging.dicom_display import display
from lungassist.imaging.dicom_frame import first_frame, number_of_frames
from lungassist.imaging.dicom_header import read_header
from lungassist.imaging.dicom_kind import doubts_about_kind, refuse_other_kinds
from lungassist.imaging.dicom_view import contradictions
from lungassist.imaging.picture import Picture
from lungassist.settings import Settings

#: A code string (PS3.5 section 6.2); anything else in such a field may be a name, and is dropped.
_CODE: Final = re.compile(r"[A-Z0-9 _]{1,16}")


def read_dicom(data: bytes, name: str, settings: Settings) -> Picture:
    """Decode the first frame of a DICOM radiograph, with or without preamble.

    Only the elements that the image needs are ever parsed: nothing that names the patient is kept, logged or quoted.

    Raises:
        UnsupportedFormatError: a data set without preamble that is no DICOM after all.
        NotARadiographError: another modality, or an object that is no image.
        NoPixelsError: no pixel data.
        ImageTooLargeError: more pixels declared than `max_pixels`, or a deflated data set beyond `max_file_bytes`.
        DamagedImageError: the bytes are truncated or do not decode.
    """
    with decoding(name, "DICOM", BytesLengthException, InvalidDicomError):
        header = read_header(data, name, settings.max_file_bytes)
        refuse_other_kinds(header, name)
        stored = first_frame(header, name, settings.max_pixels)
        shown = display(stored, header)
        warnings = (*doubts_about_kind(header), *_frames(header), *shown.warnings)
        return Picture(
            pixels=shown.pixels,
            bit_depth=int(header.BitsStored),
            photometric_interpretation=_code(header, "PhotometricInterpretation") or "MONOCHROME2",
            pixel_spacing_mm=_spacing(header),
            view_position=_code(header, "ViewPosition"),
            colourfulness=shown.colourfulness,
            warnings=warnings,
            contradictions=contradictions(header),
        )


def _frames(header: Dataset) -> tuple[str, ...]:
    frames = number_of_frames(header)
    return (f"The file holds {frames} frames; only the first was read.",) if frames > 1 else ()


def _spacing(header: Dataset) -> tuple[float, float] | None:
    """Return row and column spacing in millimetres: PixelSpacing, else at the detector (PS3.3 section 10.7.1.3)."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        try:
            rows, columns = (float(number) for number in header.get(keyword) or ())
        except (TypeError, ValueError):
            continue
        if all(math.isfinite(number) and number > 0 for number in (rows, columns)):
            return rows, columns
    return None


def _code(header: Dataset, keyword: str) -> str | None:
    text = str(header.get(keyword) or "").strip().upper()
    return text if _CODE.fullmatch(text) else None
