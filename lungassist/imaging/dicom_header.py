"""The elements of a DICOM file that an image needs, and no others."""

import zlib
from io import BytesIO
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset, read_partial, read_preamble
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from lungassist.errors import ImageTooLargeError, UnsupportedFormatError
from lungassist.imaging import formats
from lungassist.imaging.wording import megabytes, shown

#: Kind, geometry, greys and pixels. Whatever is not listed (names, dates, private elements) is skipped unparsed.
_ELEMENTS: Final[list[BaseTag | int]] = [
    Tag(keyword)
    for keyword in (
        "SOPClassUID",
        "Modality",
        "BodyPartExamined",
        "AnatomicRegionSequence",
        "ViewPosition",
        "ViewCodeSequence",
        "CodeValue",
        "PatientOrientation",
        "ImagerPixelSpacing",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "PixelSpacing",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "PixelPaddingValue",
        "PixelPaddingRangeLimit",
        "WindowCenter",
        "WindowWidth",
        "RescaleIntercept",
        "RescaleSlope",
        "VOILUTFunction",
        "ModalityLUTSequence",
        "VOILUTSequence",
        "LUTDescriptor",
        "LUTData",
        "PresentationLUTShape",
        "RedPaletteColorLookupTableDescriptor",
        "GreenPaletteColorLookupTableDescriptor",
        "BluePaletteColorLookupTableDescriptor",
        "RedPaletteColorLookupTableData",
        "GreenPaletteColorLookupTableData",
        "BluePaletteColorLookupTableData",
        "ExtendedOffsetTable",
        "ExtendedOffsetTableLengths",
        "FloatPixelData",
        "DoubleFloatPixelData",
        "PixelData",
    )
]


def read_header(data: bytes, name: str, max_bytes: int) -> Dataset:
    """Parse a DICOM file to a data set with a known transfer syntax; pixel data is held encoded.

    Args:
        max_bytes: what a deflated data set may inflate to.

    Raises:
        UnsupportedFormatError: no preamble, and neither a modality nor a SOP class.
        ImageTooLargeError: a deflated data set inflates beyond `max_bytes`.
        Exception: those of `DECODER_ERRORS`, for the caller to translate.
    """
    header: Dataset
    if DeflatedExplicitVRLittleEndian.encode() in data:
        # Only here, because pydicom would inflate a bomb to the end: so the data set is inflated first, bounded.
        data = _inflated(data, name, max_bytes)
    header = read_partial(BytesIO(data), force=True, specific_tags=_ELEMENTS)
    if data[128:132] != b"DICM" and not (header.get("Modality") or header.get("SOPClassUID")):
        raise UnsupportedFormatError(
            f"{shown(name)}: expected {formats.EXPECTED}; this is {formats.describe(data)}. Export the image itself."
        )
    _settle_transfer_syntax(header)
    if interpretation := header.get("PhotometricInterpretation"):
        header.PhotometricInterpretation = str(interpretation).strip().upper()
    return header


def _settle_transfer_syntax(header: Dataset) -> None:
    """Name the encoding that pydicom found by looking, where the file meta information does not name it."""
    if getattr(header, "file_meta", None) is None:
        header.file_meta = FileMetaDataset()
    if header.file_meta.get("TransferSyntaxUID"):
        return
    implicit, little = header.original_encoding
    native = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else native


def _inflated(data: bytes, name: str, max_bytes: int) -> bytes:
    """Return the file as explicit little endian if its data set is deflated (PS3.5 annex A.5), else as it is."""
    stream = BytesIO(data)
    read_preamble(stream, force=True)
    meta = read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=_after_file_meta)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return data
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    body = inflater.decompress(data[stream.tell() :], max_bytes + 1)
    if len(body) > max_bytes:
        raise ImageTooLargeError(
            f"{shown(name)}: expected at most {megabytes(max_bytes)}; the deflated data set inflates to more."
            " Export it uncompressed."
        )
    if not inflater.eof:
        raise EOFError("deflated data set cut short")
    return _EXPLICIT_LITTLE_ENDIAN + body


def _after_file_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != 2


def _file_meta() -> bytes:
    uid = ExplicitVRLittleEndian.encode() + b"\0" * (len(ExplicitVRLittleEndian) % 2)
    element = b"\x02\0\x10\0UI" + len(uid).to_bytes(2, "little") + uid
    return b"\0" * 128 + b"DICM" + b"\x02\0\0\0UL\x04\0" + len(element).to_bytes(4, "little") + element


_EXPLICIT_LITTLE_ENDIAN: Final = _file_meta()
