"""The same picture in every encoding: lossless ones must give exactly what the uncompressed file gives."""

import struct
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from dicom_files import ENCODERS, bare, by_pillow, data_set, dicom, file_of
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    RLELossless,
)

from lungassist.errors import DamagedImageError, ImageTooLargeError, UnsupportedFormatError
from lungassist.imaging import Radiograph, read_radiograph
from lungassist.settings import Settings

Read = Callable[..., Radiograph]
Ramp = NDArray[np.uint16]
LOSSLESS = [syntax for syntax in ENCODERS if syntax != JPEGExtended12Bit]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_native_encodings(read: Read, ramp: Ramp, syntax: UID) -> None:
    np.testing.assert_array_equal(read(dicom(ramp, syntax=syntax)).pixels, read(dicom(ramp)).pixels)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda s: s.name)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_lossless_encodings(read: Read, ramp: Ramp, syntax: UID, bits: int, tmp_path: Path) -> None:
    stored = {8: (ramp >> 4).astype(np.uint8), 12: ramp, 16: ramp << 4}[bits]
    packed = ENCODERS[syntax](data_set(stored, bits), tmp_path)
    found = read(packed)
    np.testing.assert_array_equal(found.pixels, read(dicom(stored, bits)).pixels)
    assert found.bit_depth == bits


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless], ids=lambda s: s.name)
def test_signed_values_survive_compression(read: Read, ramp: Ramp, syntax: UID, tmp_path: Path) -> None:
    stored = ramp.astype(np.int16) - 2048
    packed = ENCODERS[syntax](data_set(stored), tmp_path)
    np.testing.assert_array_equal(read(packed).pixels, read(dicom(stored)).pixels)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.name)
def test_what_stands_above_or_below_the_value_in_a_compressed_word(
    read: Read, ramp: Ramp, tmp_path: Path, syntax: UID
) -> None:
    def compressed(words: Ramp, high_bit: int) -> bytes:
        ds = dcmread(BytesIO(ENCODERS[syntax](data_set(words, 16), tmp_path)))
        ds.BitsStored, ds.HighBit = 12, high_bit
        return file_of(ds)

    expected = read(dicom(ramp)).pixels
    overlay = np.random.default_rng(1).integers(0, 2, ramp.shape).astype(np.uint16) << 15
    np.testing.assert_array_equal(read(compressed(ramp | overlay, 11)).pixels, expected)
    np.testing.assert_array_equal(read(compressed(ramp << 4 | 0xF, 15)).pixels, expected)


def test_jpeg_baseline(read: Read, ramp: Ramp, tmp_path: Path) -> None:
    stored = (ramp >> 4).astype(np.uint8)
    found = read(by_pillow(data_set(stored, 8), tmp_path))
    assert np.abs(found.pixels - read(dicom(stored, 8)).pixels).max() < 0.02


def test_jpeg_baseline_in_colour(read: Read, ramp: Ramp, tmp_path: Path) -> None:
    stored = np.repeat((ramp >> 4).astype(np.uint8)[..., None], 3, axis=2)
    found = read(by_pillow(data_set(stored, 8), tmp_path))
    assert np.abs(found.pixels - stored[..., 0] / 255).max() < 0.02


def test_jpeg_extended_with_12_bits(read: Read, ramp: Ramp, tmp_path: Path) -> None:
    packed = ENCODERS[JPEGExtended12Bit](data_set(ramp), tmp_path)
    assert np.abs(read(packed).pixels - read(dicom(ramp)).pixels).max() < 0.01


@pytest.mark.parametrize(("implicit", "little"), [(True, True), (False, True), (False, False)])
def test_a_data_set_without_preamble(read: Read, ramp: Ramp, implicit: bool, little: bool) -> None:
    ds = data_set(ramp, syntax=ExplicitVRBigEndian) if not little else data_set(ramp)
    np.testing.assert_array_equal(read(bare(ds, implicit, little)).pixels, read(dicom(ramp)).pixels)


def test_a_preamble_that_is_a_tiff_is_still_dicom(read: Read, ramp: Ramp) -> None:
    assert read(b"II*\0" + dicom(ramp)[4:]).file_format == "DICOM"


def test_a_syntax_for_films_is_named_as_unsupported(read: Read, ramp: Ramp) -> None:
    ds = data_set(ramp)
    ds.PixelData = encapsulate([b"film"])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = MPEG2MPML
    with pytest.raises(UnsupportedFormatError, match="transfer syntax"):
        read(file_of(ds))


def test_only_the_first_frame_is_decoded(read: Read, ramp: Ramp) -> None:
    frames = np.stack([ramp, np.zeros_like(ramp)])
    ds = data_set(ramp, NumberOfFrames=2, PixelData=frames.astype("<u2").tobytes())
    found = read(file_of(ds))
    np.testing.assert_array_equal(found.pixels, read(dicom(ramp)).pixels)
    assert "2 frames" in found.warnings[0]


def test_a_broken_second_frame_does_no_harm(read: Read, ramp: Ramp, tmp_path: Path) -> None:
    ds = data_set(ramp)
    ds.compress(RLELossless, generate_instance_uid=False)
    first = get_frame(ds.PixelData, 0, number_of_frames=1)
    ds.PixelData = encapsulate([first, b"broken"])
    ds.NumberOfFrames = 2
    assert read(file_of(ds)).pixels.max() == 1


def test_a_frame_larger_than_the_data_set_says_is_refused(ramp: Ramp, settings: Settings, tmp_path: Path) -> None:
    packed = ENCODERS[JPEG2000Lossless](data_set(ramp), tmp_path)
    at = packed.index(b"\xff\x4f\xff\x51") + 8
    bomb = packed[:at] + struct.pack(">II", 60_000, 60_000) + packed[at + 8 :]
    with pytest.raises(ImageTooLargeError):
        read_radiograph(bomb, "bomb", settings)


def test_a_frame_of_another_size_than_the_data_set_says_is_refused(read: Read, ramp: Ramp, tmp_path: Path) -> None:
    ds = data_set(ramp)
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    ds.Rows, ds.Columns = ds.Columns, ds.Rows
    with pytest.raises(DamagedImageError):
        read(file_of(ds))


def test_run_lengths_are_unpacked_no_further_than_the_pixels(read: Read, ramp: Ramp) -> None:
    ds = data_set(ramp)
    header = struct.pack("<16L", 2, 64, 2_000_064, *[0] * 13)
    ds.PixelData = encapsulate([header + b"\x81\0" * 2_000_000])  # would be 256 MB
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = RLELossless
    data = file_of(ds)
    tracemalloc.start()
    assert read(data).shape == ramp.shape
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * len(data)


def test_run_lengths_in_colour(read: Read, ramp: Ramp) -> None:
    stored = np.stack([ramp >> 4, ramp >> 5, ramp >> 6], axis=2).astype(np.uint8)
    ds = data_set(stored, 8)
    ds.compress(RLELossless, generate_instance_uid=False)
    np.testing.assert_array_equal(read(file_of(ds)).pixels, read(dicom(stored, 8)).pixels)


def test_a_decoder_that_dies_takes_nothing_with_it(read: Read, ramp: Ramp, tmp_path: Path) -> None:
    packed = ENCODERS[JPEGLossless](data_set(ramp), tmp_path)
    at = packed.index(b"\xff\xc4")
    with pytest.raises(DamagedImageError):  # without its Huffman table GDCM ends the process that it runs in
        read(packed[:at] + b"\xf7" + packed[at + 1 :])
