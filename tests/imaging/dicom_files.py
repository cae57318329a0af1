"""Small DICOM files with a patient whose name must never come out again."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

SECRETS = ("SECRETNAME", "ID4711", "19010203", "HIDDENHOSPITAL")


def data_set(
    stored: NDArray[Any] | None, bits: int = 12, syntax: UID = ExplicitVRLittleEndian, **elements: Any
) -> Dataset:
    """Return an uncompressed DX of `stored` `(H, W)` or `(H, W, 3)`; `elements` are set last, None removes one."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID = generate_uid(entropy_srcs=["test"])
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = f"{SECRETS[0]}^JANE", SECRETS[1], SECRETS[2]
    ds.InstitutionName = SECRETS[3]
    ds.Modality = "DX"
    if stored is not None:
        _add_pixels(ds, stored, bits, big_endian=syntax == ExplicitVRBigEndian)
    for keyword, value in elements.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def _add_pixels(ds: Dataset, stored: NDArray[Any], bits: int, big_endian: bool) -> None:
    ds.Rows, ds.Columns = stored.shape[:2]
    ds.SamplesPerPixel = 3 if stored.ndim == 3 else 1
    ds.PhotometricInterpretation = "RGB" if stored.ndim == 3 else "MONOCHROME2"
    if stored.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = stored.dtype.itemsize * 8
    ds.BitsStored, ds.HighBit = bits, bits - 1
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    packed = stored.astype(stored.dtype.newbyteorder(">" if big_endian else "<")).tobytes()
    ds.PixelData = packed + b"\0" * (len(packed) % 2)
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"


def file_of(ds: Dataset) -> bytes:
    """Return a data set as a file with preamble."""
    stream = BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def dicom(stored: NDArray[Any] | None, bits: int = 12, syntax: UID = ExplicitVRLittleEndian, **elements: Any) -> bytes:
    """Return `file_of(data_set(...))`."""
    return file_of(data_set(stored, bits, syntax, **elements))


def bare(ds: Dataset, implicit: bool, little: bool = True) -> bytes:
    """Return a data set alone: no preamble, no file meta information."""
    stream = BytesIO()
    del ds.file_meta
    ds.save_as(stream, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
    return stream.getvalue()


def lut(entries: list[int], first: int, bits: int) -> Dataset:
    """Return the item of a modality or VOI LUT sequence."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "US", entries)
    return item


def by_pydicom(syntax: UID) -> Callable[[Dataset, Path], bytes]:
    """Return an encoder through pydicom's own plugins."""

    def encode(ds: Dataset, folder: Path) -> bytes:
        ds.compress(syntax, generate_instance_uid=False)
        return file_of(ds)

    return encode


def by_gdcm(name: str, lossless: bool = True) -> Callable[[Dataset, Path], bytes]:
    """Return an encoder through GDCM, which is the only one here for lossless and 12-bit JPEG."""

    def encode(ds: Dataset, folder: Path) -> bytes:
        import gdcm

        plain, packed = folder / "plain.dcm", folder / "packed.dcm"
        plain.write_bytes(file_of(ds))
        reader, writer, change = gdcm.ImageReader(), gdcm.ImageWriter(), gdcm.ImageChangeTransferSyntax()
        reader.SetFileName(str(plain))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
        change.SetInput(reader.GetImage())
        codec = gdcm.JPEGCodec()
        codec.SetLossless(lossless)
        codec.SetQuality(100)
        change.SetUserCodec(codec)
        assert change.Change()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(packed))
        assert writer.Write()
        return packed.read_bytes()

    return encode


def by_pillow(ds: Dataset, folder: Path) -> bytes:
    """Encapsulate a baseline JPEG."""
    pixels = np.frombuffer(ds.PixelData, np.uint8)
    shape = (ds.Rows, ds.Columns, 3) if ds.SamplesPerPixel == 3 else (ds.Rows, ds.Columns)
    stream = BytesIO()
    Image.fromarray(pixels.reshape(shape)).save(stream, "JPEG", quality=100, subsampling=0)
    ds.PixelData = encapsulate([stream.getvalue()])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    if ds.SamplesPerPixel == 3:
        ds.PhotometricInterpretation = "YBR_FULL"
    return file_of(ds)


ENCODERS: dict[UID, Callable[[Dataset, Path], bytes]] = {
    JPEG2000Lossless: by_pydicom(JPEG2000Lossless),
    JPEGLSLossless: by_pydicom(JPEGLSLossless),
    RLELossless: by_pydicom(RLELossless),
    JPEGLossless: by_gdcm("JPEGLosslessProcess14"),
    JPEGLosslessSV1: by_gdcm("JPEGLosslessProcess14_1"),
    JPEGExtended12Bit: by_gdcm("JPEGExtendedProcess2_4", lossless=False),
}
