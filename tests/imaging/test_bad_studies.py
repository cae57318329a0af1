"""What nobody can read: the right error, on one line, naming the file, and nothing else out of any decoder."""

import logging
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_files import SECRETS, data_set, dicom, file_of
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian
from test_raster import png_header, saved

from lungassist.errors import (
    ArchiveError,
    DamagedImageError,
    EmptyFileError,
    ImageTooLargeError,
    MissingFileError,
    NoPixelsError,
    NotARadiographError,
    StudyError,
    UnsupportedFormatError,
)
from lungassist.imaging import Radiograph, doubts, read_file, read_radiograph
from lungassist.settings import Settings

Read = Callable[..., Radiograph]
Ramp = NDArray[np.uint16]


@pytest.mark.parametrize(
    ("data", "came"),
    [
        (b"%PDF-1.7 and so on", "a PDF document"),
        (b"<!DOCTYPE html><html></html>", "an HTML page"),
        (b"Findings: none.\n", "plain text"),
        ("Befund: unauffällig, keine Ergüsse.".encode(), "plain text"),
        (b"GIF89a" + b"\0" * 50, "a GIF image"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 50, "a HEIC photograph"),
        (b"\0" * 500, "only zero bytes"),
        (bytes(np.random.default_rng(1).integers(0, 256, 5000, dtype=np.uint8)), "no known image format"),
    ],
)
def test_other_formats_are_named(read: Read, data: bytes, came: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=came) as caught:
        read(data, "folder/what.png")
    assert str(caught.value).startswith("folder/what.png: expected a chest X-ray as PNG")


def test_an_empty_file(read: Read) -> None:
    with pytest.raises(EmptyFileError, match="empty"):
        read(b"")


def test_a_zip_where_one_study_is_expected(read: Read) -> None:
    with pytest.raises(ArchiveError, match="ZIP"):
        read(b"PK\x03\x04" + b"\0" * 100)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_truncated_images(read: Read, ramp: Ramp, file_format: str) -> None:
    whole = saved(Image.fromarray((ramp >> 4).astype(np.uint8)), file_format)
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(DamagedImageError, match="truncated"):
            read(whole[: int(len(whole) * share)])


def test_truncated_dicom(read: Read, ramp: Ramp) -> None:
    whole = dicom(ramp)
    with pytest.raises((DamagedImageError, NoPixelsError)):
        read(whole[: len(whole) // 2])
    with pytest.raises(DamagedImageError):
        read(dicom(ramp, PixelData=b"\0" * 100))


def test_messages_stay_on_one_line_whatever_the_name(read: Read) -> None:
    with pytest.raises(StudyError) as caught:
        read(b"text", "a\nb\x1b[31m" + "x" * 5000)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_missing_files_and_folders(tmp_path: Path, settings: Settings) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(MissingFileError):
            read_file(path, settings)


def test_bombs_are_refused_before_anything_is_decoded(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg = _patched_jpeg(60_000)
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr("lungassist.imaging.dicom_frame.pixel_array", lambda *_, **__: pytest.fail("decoded"))
    big = np.zeros((8, 8), np.uint16)
    bombs = [
        png_header(2000, 2000),
        png_header(60_000, 60_000),
        dicom(big, Rows=60_000, Columns=60_000),
        jpeg,
    ]
    for bomb in bombs:
        with pytest.raises(ImageTooLargeError, match="declares"):
            read(bomb)


def _patched_jpeg(side: int) -> bytes:
    data = bytearray(saved(Image.new("L", (16, 16)), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", side, side)
    return bytes(data)


def test_a_deflated_bomb_is_stopped_while_it_inflates(settings: Settings, ramp: Ramp) -> None:
    plain = dicom(ramp, syntax=DeflatedExplicitVRLittleEndian)
    at = plain.index(DeflatedExplicitVRLittleEndian.encode()) + len(DeflatedExplicitVRLittleEndian)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = b"".join(deflater.compress(b"\0" * 1_000_000) for _ in range(300)) + deflater.flush()
    tracemalloc.start()
    with pytest.raises(ImageTooLargeError, match="inflates"):
        read_radiograph(plain[: at + at % 2] + body, "bomb", settings)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60_000_000


def test_a_file_beyond_the_limit_is_not_even_read(tmp_path: Path, settings: Settings) -> None:
    small = replace(settings, max_file_bytes=2000)
    path = tmp_path / "big.png"
    path.write_bytes(b"\x89PNG" + b"\0" * 5000)
    with pytest.raises(ImageTooLargeError):
        read_file(path, small)
    with pytest.raises(ImageTooLargeError):
        read_radiograph(path.read_bytes(), "big", small)


@pytest.mark.parametrize("modality", ["CT", "MR", "US", "PT", "MG", "SR", "PR", "KO", "ZZ"])
def test_other_modalities_are_named(read: Read, ramp: Ramp, modality: str) -> None:
    with pytest.raises(NotARadiographError, match=rf"expected a radiograph .* \(modality {modality}\)"):
        read(dicom(ramp, Modality=modality))


def test_other_objects_in_a_dicom_envelope(read: Read) -> None:
    for storage, words in (("1.2.840.10008.1.3.10", "DICOMDIR"), ("1.2.840.10008.5.1.4.1.1.104.1", "document")):
        with pytest.raises(NotARadiographError, match=words):
            read(dicom(None, SOPClassUID=storage, Modality=None))
    with pytest.raises(NotARadiographError, match="storage class"):
        read(dicom(None, SOPClassUID="1.2.840.10008.5.1.4.1.1.2", Modality=None))


def test_dicom_without_pixels(read: Read) -> None:
    with pytest.raises(NoPixelsError):
        read(dicom(None))


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"Modality": "OT"}, "secondary capture"),
        ({"Modality": None}, "modality"),
    ],
)
def test_what_the_header_says_becomes_a_warning(read: Read, ramp: Ramp, elements: dict[str, str], words: str) -> None:
    assert words in " ".join(read(dicom(ramp, **elements)).warnings)


def code(value: str) -> list[Dataset]:
    """A code sequence of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", SECRETS[0]
    return [item]


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"BodyPartExamined": "HAND"}, "HAND"),
        ({"BodyPartExamined": "LHAND"}, "HAND"),
        ({"BodyPartExamined": "KNEES"}, "KNEE"),
        ({"BodyPartExamined": "LOWER EXTREMITY"}, "EXTREMITY"),
        ({"AnatomicRegionSequence": code("56459004")}, "the foot"),
        ({"AnatomicRegionSequence": code("T-D9700")}, "the foot"),
        ({"ViewPosition": "LL"}, "frontal"),
        ({"ViewPosition": "LEFT LATERAL"}, "frontal"),
        ({"ViewCodeSequence": code("399067008")}, "lateral"),
        ({"ViewCodeSequence": code("R-10220")}, "oblique"),
        ({"PatientOrientation": ["H", "L"]}, "on its side"),
        ({"PatientOrientation": ["R", "H"]}, "on its head"),
        ({"PatientOrientation": ["A", "F"]}, "from the side"),
    ],
)
def test_a_header_that_says_it_is_no_frontal_chest_makes_the_image_doubtful(
    read: Read, ramp: Ramp, elements: dict[str, Any], words: str
) -> None:
    assert words in doubts(read(dicom(ramp, **elements)))[0]


@pytest.mark.parametrize("keyword", ["BitsStored", "PixelRepresentation", "PhotometricInterpretation", "Rows"])
def test_a_header_that_lacks_what_pixels_need_names_it(read: Read, ramp: Ramp, keyword: str) -> None:
    with pytest.raises(DamagedImageError, match=f"it lacks {keyword}. Have the sending system"):
        read(dicom(ramp, **{keyword: None}))


def test_pixels_that_are_floating_point_numbers(read: Read, ramp: Ramp) -> None:
    ds = data_set(None, FloatPixelData=ramp.astype("<f4").tobytes())
    with pytest.raises(UnsupportedFormatError, match="floating-point"):
        read(file_of(ds))


def test_a_chest_from_the_front_gives_no_warning(read: Read, ramp: Ramp) -> None:
    said: dict[str, Any] = {"PatientOrientation": ["L", "F"], "PixelSpacing": [0.2, 0.3]}
    said |= {"AnatomicRegionSequence": code("816094009"), "ViewCodeSequence": code("272479007")}
    for part in ("CHEST", "THORAX", "PORT CHEST", "CHEST AND ABDOMEN", "RIBS", ""):
        found = read(dicom(ramp, BodyPartExamined=part, ViewPosition="PA", **said))
        assert found.warnings == found.contradictions == ()
        assert (found.view_position, found.pixel_spacing_mm) == ("PA", (0.2, 0.3))


def test_spacing_at_the_detector_stands_in(read: Read, ramp: Ramp) -> None:
    assert read(dicom(ramp, ImagerPixelSpacing=[0.14, 0.14])).pixel_spacing_mm == (0.14, 0.14)
    assert read(dicom(ramp, PixelSpacing=[0, 0])).pixel_spacing_mm is None


def test_the_patient_never_comes_out(
    read: Read, ramp: Ramp, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    said = [repr(read(dicom(ramp)))]
    wrong = {
        "WindowCenter": "1\\2",
        "PatientAge": f"{SECRETS[0]}",
        "StudyDate": SECRETS[0],
        "ViewPosition": SECRETS[0] + "^J",
    }
    ds = data_set(ramp)
    for keyword, value in wrong.items():
        ds.add_new(
            keyword, {"PatientAge": "AS", "StudyDate": "DA", "ViewPosition": "CS", "WindowCenter": "DS"}[keyword], value
        )
    said.append(repr(read(file_of(ds))))
    with caplog.at_level(logging.DEBUG):
        for broken in (file_of(ds)[:-900], dicom(ramp, Modality=f"{SECRETS[0]}^"), dicom(ramp, Rows=None)):
            with pytest.raises(StudyError) as caught:
                read(broken)
            said.append(f"{caught.value} {caught.value.__cause__}")
    everything = " ".join([*said, caplog.text, *capfd.readouterr()])
    assert not [secret for secret in SECRETS if secret in everything]


def test_dimensions_of_zero(read: Read, ramp: Ramp) -> None:
    with pytest.raises(StudyError):
        read(dicom(ramp, Rows=0))
