"""Golden values: what a stored value must look like on a screen, worked out by hand or by pydicom."""

from collections.abc import Callable

import numpy as np
import pytest
from dicom_files import data_set, dicom, file_of, lut
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from lungassist.imaging import Radiograph

Read = Callable[..., Radiograph]

FOUR = np.array([[0, 1000], [2000, 4000]], np.uint16)


def row(read: Read, values: list[int], dtype: type = np.uint16, bits: int = 12, **elements: object) -> list[float]:
    """Return the P-values of a one-row image."""
    pixels = read(dicom(np.array([values], dtype), bits, **elements)).pixels
    return [round(float(value), 4) for value in pixels[0]]


def test_without_a_window_the_values_used_span_black_to_white(read: Read) -> None:
    assert row(read, [100, 600, 1100]) == [0, 0.5, 1]


def test_monochrome1_shows_the_lowest_value_white(read: Read) -> None:
    assert row(read, [100, 600, 1100], PhotometricInterpretation="MONOCHROME1") == [1, 0.5, 0]


def test_monochrome1_said_twice_is_turned_once(read: Read) -> None:
    said = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}
    assert row(read, [100, 1100], **said) == [1, 0]
    assert row(read, [100, 1100], PresentationLUTShape="INVERSE") == [1, 0]


@pytest.mark.parametrize(
    ("values", "dtype", "bits"),
    [
        ([0, 128, 255], np.uint8, 8),
        ([0, 512, 1023], np.uint16, 10),
        ([0, 2048, 4095], np.uint16, 12),
        ([0, 32768, 65535], np.uint16, 16),
        ([-2048, 0, 2047], np.int16, 12),
        ([-32768, 0, 32767], np.int16, 16),
        ([-128, 0, 127], np.int8, 8),
    ],
)
def test_every_depth_and_sign(read: Read, values: list[int], dtype: type, bits: int) -> None:
    black, middle, white = row(read, values, dtype, bits)
    assert (black, white) == (0, 1)
    assert middle == pytest.approx(0.5, abs=0.003)


def test_bits_above_bits_stored_are_ignored(read: Read) -> None:
    junk = [0xF000 | 100, 0x3000 | 600, 1100]
    assert row(read, junk) == [0, 0.5, 1]


def test_negative_values_keep_their_sign_below_junk(read: Read) -> None:
    stored = np.array([[-100, 0, 100]], np.int16) & 0x0FFF
    assert row(read, stored[0].tolist(), np.int16) == [0, 0.5, 1]


def test_high_bit_says_where_the_value_lies(read: Read) -> None:
    assert row(read, [100 << 4, 600 << 4, 1100 << 4 | 0xF], HighBit=15) == [0, 0.5, 1]


def test_linear_window_by_the_standards_formula(read: Read) -> None:
    # PS3.3 C.11.2.1.2.1 with c=2048, w=1000: black up to 1548, white above 2547.
    shown = row(read, [0, 1548, 2048, 2547, 4000], WindowCenter=2048, WindowWidth=1000)
    assert shown == [0, 0, round((2048 - 2047.5) / 999 + 0.5, 4), 1, 1]


def test_linear_exact_window(read: Read) -> None:
    window = {"WindowCenter": 2000, "WindowWidth": 1000, "VOILUTFunction": "LINEAR_EXACT"}
    assert row(read, [1500, 1750, 2000, 2500], **window) == [0, 0.25, 0.5, 1]


def test_sigmoid_window(read: Read) -> None:
    window = {"WindowCenter": 2000, "WindowWidth": 1000, "VOILUTFunction": "SIGMOID"}
    assert row(read, [1500, 2000, 2500], **window) == [
        round(1 / (1 + np.exp(2)), 4),
        0.5,
        round(1 / (1 + np.exp(-2)), 4),
    ]


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (2, -1024), (-1, 4095), (0.25, 0)])
def test_windows_agree_with_pydicom(read: Read, function: str, slope: float, intercept: float) -> None:
    stored = np.arange(0, 4096, 7, dtype=np.uint16)[None, :]
    elements = {"WindowCenter": 900.5, "WindowWidth": 731.25, "VOILUTFunction": function}
    ds = data_set(stored, RescaleSlope=slope, RescaleIntercept=intercept, **elements)
    values = stored.astype(float) * slope + intercept
    theirs = apply_windowing(values, ds)
    black, white = intercept, 4095 * slope + intercept
    ours = read(dicom(stored, RescaleSlope=slope, RescaleIntercept=intercept, **elements)).pixels
    np.testing.assert_allclose(ours, (theirs - black) / (white - black), atol=1e-6)


def test_window_applies_after_rescale(read: Read) -> None:
    window = {"WindowCenter": 0, "WindowWidth": 200, "VOILUTFunction": "LINEAR_EXACT"}
    assert row(read, [924, 1024, 1124], RescaleSlope=1, RescaleIntercept=-1024, **window) == [0, 0.5, 1]


def test_first_of_several_windows(read: Read) -> None:
    window = {"WindowCenter": [2000, 100], "WindowWidth": [1000, 10], "VOILUTFunction": "LINEAR_EXACT"}
    assert row(read, [1500, 2000, 2500], **window) == [0, 0.5, 1]


def test_an_invalid_window_is_left_out_with_a_warning(read: Read) -> None:
    found = read(dicom(FOUR, WindowCenter=100, WindowWidth=0))
    assert found.pixels.max() == 1
    assert "window" in found.warnings[0]


def test_voi_lut_comes_before_the_window(read: Read) -> None:
    item = lut([0, 51, 255], first=100, bits=8)
    shown = row(read, [0, 100, 101, 102, 4000], VOILUTSequence=[item], WindowCenter=1, WindowWidth=2)
    assert shown == [0, 0, 0.2, 1, 1]


def test_a_long_table_of_8_bit_entries_does_not_wrap(read: Read) -> None:
    item = lut([value // 16 for value in range(4096)], first=0, bits=8)
    assert row(read, [0, 2048, 4095], VOILUTSequence=[item]) == [0, round(128 / 255, 4), 1]


def test_voi_lut_with_a_negative_first_value(read: Read) -> None:
    item = lut([0, 100, 200, 255], first=-2, bits=8)
    shown = row(read, [-5, -1, 0, 1], np.int16, VOILUTSequence=[item])
    assert shown == [0, round(100 / 255, 4), round(200 / 255, 4), 1]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize(
    ("dtype", "stored", "bits", "intercept", "first"),
    [
        (np.uint16, [0, 1000, 2000, 4095], 12, -1024, -1024),
        (np.int16, [8000, 9000, 10000, 12095], 16, 32768, 40768),
        (np.uint16, [1000, 2000, 3000, 5095], 16, 0, 1000),
        (np.int16, [-2048, -1048, -48, 2047], 12, 0, -2048),
    ],
)
def test_the_first_value_of_a_voi_lut_has_the_sign_of_the_rescaled_values(
    read: Read, syntax: UID, dtype: type, stored: list[int], bits: int, intercept: int, first: int
) -> None:
    # With implicit VR a reader goes by the stored pixels' sign: pydicom gives 64512 for -1024, and all is black.
    item = lut(list(range(4096)), first=first, bits=12)
    elements = {"RescaleSlope": 1, "RescaleIntercept": intercept, "VOILUTSequence": [item]}
    found = read(dicom(np.array([stored], dtype), bits, syntax, **elements)).pixels[0]
    np.testing.assert_allclose(found, np.array([0, 1000, 2000, 4095]) / 4095, atol=1e-6)


def with_text(ds: Dataset, keyword: str, text: str) -> bytes:
    """A file whose element holds `text`, which pydicom would refuse to write."""
    setattr(ds, keyword, "1" * len(text))
    tag = ds[keyword].tag
    head = tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little") + b"DS"
    length = (len(text) + len(text) % 2).to_bytes(2, "little")
    data = file_of(ds)
    at = data.index(head + length) + 8
    return data[:at] + text.encode() + data[at + len(text) :]


@pytest.mark.parametrize(
    ("keyword", "other", "word"),
    [
        ("WindowCenter", {"WindowWidth": 1000}, "window"),
        ("RescaleSlope", {"RescaleIntercept": 0}, "rescale"),
    ],
)
def test_a_number_with_a_decimal_comma_is_passed_over_with_a_warning(
    read: Read, keyword: str, other: dict[str, int], word: str
) -> None:
    found = read(with_text(data_set(FOUR, 12, **other), keyword, "600,5"))
    np.testing.assert_allclose(found.pixels.ravel(), [0, 0.25, 0.5, 1], atol=1e-6)
    assert word in found.warnings[0]


def test_a_table_that_says_nothing_is_passed_over_for_the_window(read: Read) -> None:
    item = lut([0, 51, 255], first=100, bits=0)
    window = {"WindowCenter": 2000, "WindowWidth": 4000, "VOILUTFunction": "LINEAR_EXACT"}
    found = read(dicom(FOUR, 12, VOILUTSequence=[item], ModalityLUTSequence=[item], **window))
    np.testing.assert_allclose(found.pixels.ravel(), [0, 0.25, 0.5, 1], atol=1e-6)
    assert all("table" in warning for warning in found.warnings)


def test_modality_lut_comes_before_everything(read: Read) -> None:
    item = lut([1000, 500, 0], first=10, bits=16)
    assert row(read, [10, 11, 12], ModalityLUTSequence=[item]) == [1, 0.5, 0]


def test_padding_is_left_out_of_the_range_and_shown_black(read: Read) -> None:
    assert row(read, [0, 100, 600, 1100], PixelPaddingValue=0) == [0, 0, 0.5, 1]
    inverted = {"PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 0}
    assert row(read, [0, 100, 600, 1100], **inverted) == [0, 1, 0.5, 0]


def test_padding_as_a_range(read: Read) -> None:
    padding = {"PixelPaddingValue": 4000, "PixelPaddingRangeLimit": 4095}
    assert row(read, [4050, 100, 600, 1100], **padding) == [0, 0, 0.5, 1]


def test_padding_that_was_written_with_the_other_sign(read: Read) -> None:
    def shown(stored: list[int], dtype: type, vr: str, value: int) -> list[float]:
        ds = data_set(np.array([stored], dtype), 16)
        ds.add_new("PixelPaddingValue", vr, value)
        return [round(float(each), 4) for each in read(file_of(ds)).pixels[0]]

    assert shown([-2000, 100, 600, 1100], np.int16, "US", 63536) == [0, 0, 0.5, 1]
    assert shown([63536, 100, 600, 1100], np.uint16, "SS", -2000) == [0, 0, 0.5, 1]


def test_padding_that_is_the_whole_picture_does_no_harm(read: Read) -> None:
    assert row(read, [0, 0], PixelPaddingValue=0) == [0, 0]


def test_colour_becomes_luminance(read: Read) -> None:
    found = read(dicom(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8), 8, Modality="OT"))
    np.testing.assert_allclose(found.pixels[0], [0.299, 0.587, 0.114], atol=1e-6)
    assert found.colourfulness == 1
    assert found.photometric_interpretation == "RGB"


def test_grey_saved_as_colour_keeps_its_values(read: Read) -> None:
    found = read(dicom(np.array([[[10, 10, 10], [200, 200, 200]]], np.uint8), 8))
    np.testing.assert_array_equal(found.pixels[0], np.array([10, 200], np.float32) / np.float32(255))
    assert found.colourfulness == 0


def test_ybr_full_422_is_expanded(read: Read) -> None:
    stored = np.array([[10, 200, 128, 128, 30, 90, 128, 128]], np.uint8)  # two pixels of Y, then shared Cb and Cr
    elements = {"PhotometricInterpretation": "YBR_FULL_422", "SamplesPerPixel": 3, "Columns": 4}
    found = read(dicom(stored, 8, PlanarConfiguration=0, **elements))
    np.testing.assert_allclose(found.pixels[0] * 255, [10, 200, 30, 90], atol=1)


def test_a_palette_of_8_bits_in_words(read: Read) -> None:
    ds = data_set(np.array([[0, 1, 2]], np.uint8), 8, PhotometricInterpretation="PALETTE COLOR")
    entries = np.zeros(256, "<u2")
    entries[:3] = 0, 128, 255
    for colour in ("Red", "Green", "Blue"):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 8])
        setattr(ds, f"{colour}PaletteColorLookupTableData", entries.tobytes())
    np.testing.assert_allclose(read(file_of(ds)).pixels[0], [0, 128 / 255, 1], atol=1e-4)


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_the_interpretation_may_be_in_small_letters(read: Read) -> None:
    assert row(read, [100, 1100], PhotometricInterpretation="monochrome1 ") == [1, 0]


def test_palette_colour(read: Read) -> None:
    colours = {"Red": [0, 65535, 0], "Green": [0, 65535, 0], "Blue": [0, 65535, 65535]}
    ds = data_set(np.array([[0, 1, 2]], np.uint8), 8, PhotometricInterpretation="PALETTE COLOR")
    for colour, entries in colours.items():
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [3, 0, 16])
        setattr(ds, f"{colour}PaletteColorLookupTableData", np.array(entries, "<u2").tobytes())
    found = read(file_of(ds))
    np.testing.assert_allclose(found.pixels[0], [0, 1, 0.114], atol=1e-4)
    assert found.photometric_interpretation == "PALETTE COLOR"
