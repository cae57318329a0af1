"""Whether a DICOM object is a chest radiograph, as far as it says so itself."""

import re
from typing import Final

from pydicom.dataset import Dataset

from lungassist.errors import DamagedImageError, NoPixelsError, NotARadiographError, UnsupportedFormatError
from lungassist.imaging.wording import shown

#: Projection radiography: computed, digital, its common misspelling, and radiographic imaging (PS3.3 C.7.3.1.1.1).
_RADIOGRAPHY: Final = frozenset({"CR", "DX", "RG", "DR"})
#: Captures of a screen or film: grey values may have been changed on the way, but the picture can be a chest X-ray.
_CAPTURES: Final = frozenset({"OT", "SC", "XC", "HC"})
#: Storage classes that tell the kind of an object that does not give its modality.
_RADIOGRAPHY_CLASSES: Final = (
    "1.2.840.10008.5.1.4.1.1.1",  # computed radiography
    "1.2.840.10008.5.1.4.1.1.1.1",  # digital X-ray, for presentation
    "1.2.840.10008.5.1.4.1.1.1.1.1",  # digital X-ray, for processing
    "1.2.840.10008.5.1.4.1.1.7",  # secondary capture
    "1.2.840.10008.5.1.4.1.1.7.1",
    "1.2.840.10008.5.1.4.1.1.7.2",
    "1.2.840.10008.5.1.4.1.1.7.3",
    "1.2.840.10008.5.1.4.1.1.7.4",
)
_FLOATS: Final = ("FloatPixelData", "DoubleFloatPixelData")
#: Of type 1 in PS3.3 section C.7.6.3: without them stored bytes are no values.
_NEEDED: Final = (
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "SamplesPerPixel",
    "PixelRepresentation",
    "PhotometricInterpretation",
)
_RAW_DIGITAL: Final = "1.2.840.10008.5.1.4.1.1.1.1.1"
_DICOMDIR: Final = "1.2.840.10008.1.3.10"
_ENCAPSULATED: Final = "1.2.840.10008.5.1.4.1.1.104."

_SPOKEN: Final = {
    "CT": "a CT slice",
    "MR": "an MR image",
    "US": "an ultrasound image",
    "PT": "a PET image",
    "NM": "a nuclear medicine image",
    "MG": "a mammogram",
    "XA": "an angiogram",
    "RF": "a fluoroscopy image",
    "IO": "a dental image",
    "PX": "a dental panorama",
    "SR": "a structured report",
    "PR": "a presentation state",
    "KO": "a key object selection",
    "SEG": "a segmentation",
    "DOC": "a document",
    "ECG": "an ECG",
    "ES": "an endoscopy image",
    "SM": "a microscopy slide",
    "RTIMAGE": "a radiotherapy image",
}

_CODE: Final = re.compile(r"[A-Z0-9]{1,16}")


def refuse_other_kinds(header: Dataset, name: str) -> None:
    """Let pass what may be a radiograph and has pixels.

    Raises:
        NotARadiographError: the modality or storage class says otherwise.
        NoPixelsError: there is no pixel data.
        UnsupportedFormatError: the pixels are floating-point numbers.
        DamagedImageError: an element is missing without which pixels mean nothing.
    """
    came = _other_kind(header)
    if came is not None:
        raise NotARadiographError(
            f"{shown(name)}: expected a radiograph (modality CR, DX or RG, or a secondary capture); this is {came}."
            " Choose the X-ray image of the study."
        )
    if not header.get("PixelData") and any(keyword in header for keyword in _FLOATS):
        raise UnsupportedFormatError(
            f"{shown(name)}: expected pixels that are whole numbers of 8 to 16 bits; these are floating-point numbers."
            " Export the image as CR, DX or a secondary capture."
        )
    if not header.get("PixelData"):
        raise NoPixelsError(
            f"{shown(name)}: expected a DICOM image; it holds no pixel data, being an object without image or cut"
            " short. Export the image again."
        )

    if missing := [keyword for keyword in _NEEDED if header.get(keyword) in (None, "")]:
        raise DamagedImageError(
            f"{shown(name)}: expected a DICOM image that says how its pixels are stored; it lacks"
            f" {' and '.join(missing)}. Have the sending system complete the header."
        )


def doubts_about_kind(header: Dataset) -> tuple[str, ...]:
    """Return sentences on what the header says that the models were not made for."""
    modality, found = _modality(header), []
    if modality in _CAPTURES:
        found.append("The image is a secondary capture: its grey values may differ from those of the detector.")
    elif not modality:
        found.append("The file does not say its modality; it was read as a radiograph.")
    if str(header.get("SOPClassUID") or "") == _RAW_DIGITAL:
        found.append("The image is meant for processing, not for presentation: its contrast may look unusual.")
    return tuple(found)


def _modality(header: Dataset) -> str:
    return str(header.get("Modality") or "").strip().upper()


def _other_kind(header: Dataset) -> str | None:
    """Say what the object is if it is no radiograph."""
    media = str(header.file_meta.get("MediaStorageSOPClassUID") or "")
    storage = str(header.get("SOPClassUID") or "") or media
    if _DICOMDIR in (media, storage):
        return "a DICOMDIR, the index of a disc; its images are files of their own"
    if storage.startswith(_ENCAPSULATED):
        return "a document (PDF or the like) in a DICOM envelope"
    modality = _modality(header)
    if modality in _RADIOGRAPHY | _CAPTURES:
        return None
    if modality:
        code = modality if _CODE.fullmatch(modality) else "unreadable"
        return f"{_SPOKEN.get(modality, 'another kind of object')} (modality {code})"
    if storage and storage not in _RADIOGRAPHY_CLASSES:
        return "an object of another storage class, without a modality"
    return None
