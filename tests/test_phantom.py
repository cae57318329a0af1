"""Synthetic chests: reproducible, marked, readable, and different where the classes differ."""

from io import BytesIO

import numpy as np
import pydicom
import pytest

from lungassist.classes import CLASSES
from lungassist.errors import NotARadiographError, UsageError
from lungassist.imaging import read_radiograph
from lungassist.phantom import phantom, phantom_dicom, phantom_png
from lungassist.settings import Settings

SETTINGS = Settings.from_environment()


@pytest.mark.parametrize("kind", CLASSES)
def test_shape_type_and_reproducibility(kind: str) -> None:
    first = phantom(kind, 3, 160)
    assert (first.shape, first.dtype) == ((160, 160), np.uint8)
    np.testing.assert_array_equal(first, phantom(kind, 3, 160))
    assert (first != phantom(kind, 4, 160)).mean() > 0.3


def test_the_word_is_burnt_in() -> None:
    """The corner has the black and the white of letters, which skin and abdomen there do not have."""
    corner = phantom("Normal", 1, 512)[480:500, 14:130]
    assert corner.min() < 20
    assert corner.max() > 250


def test_lungs_are_dark_and_the_spine_is_bright() -> None:
    picture = phantom("Normal", 1, 200).astype(float)
    lung, spine = picture[70:110, 45:65].mean(), picture[70:110, 95:105].mean()
    assert lung < 70
    assert spine > 190


def test_patterns_whiten_the_lungs_where_the_textbook_says() -> None:
    def side_means(kind: str) -> list[float]:
        pictures = [phantom(kind, seed, 200)[40:120].astype(float) for seed in range(2)]
        return [np.mean([p[:, 30:80].mean(), p[:, 120:170].mean()]) for p in pictures]

    normal, covid = np.mean(side_means("Normal")), np.mean(side_means("COVID"))
    assert covid > normal + 8
    one = phantom("Lung_Opacity", 0, 200).astype(float) - phantom("Normal", 0, 200)
    assert abs(one[40:130, 25:80].mean() - one[40:130, 120:175].mean()) > 5


def test_png_and_dicom_show_the_same() -> None:
    from_png = read_radiograph(phantom_png("COVID", 2, 200), "a.png", SETTINGS)
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        data = phantom_dicom("COVID", 2, 200, photometric_interpretation=photometric)
        from_dicom = read_radiograph(data, "a", SETTINGS)
        assert np.abs(from_dicom.pixels - from_png.pixels).max() < 0.005
        assert (from_dicom.bit_depth, from_dicom.view_position) == (12, "PA")
        assert from_dicom.warnings == ()


def test_the_patient_is_called_synthetic() -> None:
    assert pydicom.dcmread(BytesIO(phantom_dicom("Normal", 1, 64))).PatientName == "SYNTHETIC^PHANTOM"


def test_headers_may_claim_something_else() -> None:
    with pytest.raises(NotARadiographError):
        read_radiograph(phantom_dicom("Normal", 1, 64, modality="CT"), "a", SETTINGS)


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(UsageError, match="COVID"):
        phantom("Flu", 1)
    with pytest.raises(UsageError, match="64"):
        phantom("Normal", 1, 10)
