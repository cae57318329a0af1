"""What a reader takes away is named so that no study's file takes the place of another's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lungassist.explain import METHODS
from lungassist.takeaway import file_name, overlay_name, overlay_png, overlay_words
from lungassist.triage import Triaged
from tests.test_worklist import finding


@pytest.mark.parametrize(
    ("study", "stem"),
    [
        ("scan.png", "scan"),
        ("ward/scan.JPEG", "scan"),
        ("C:\\ward\\scan.dcm", "scan"),
        ("1.2.840.10008.1.1", "1_2_840_10008_1_1"),
        ("archive.zip/1.2.840.10008.1.2", "1_2_840_10008_1_2"),
        ("film.v2", "film_v2"),
        ("..png", "study"),
        ("a" * 90 + ".png", "a" * 40),
    ],
)
def test_a_file_is_named_by_its_study_without_an_images_suffix(study: str, stem: str) -> None:
    named = finding("COVID", 0.9, name=study)
    assert file_name(named, ".json") == f"{stem}-abababab.json"
    assert file_name(named, ".png", "Viral Pneumonia") == f"{stem}-abababab-Viral_Pneumonia.png"


def test_a_heat_map_is_named_by_its_method_and_by_a_class_if_it_has_one() -> None:
    named = finding("COVID", 0.9, name="a.png")
    names = {method: overlay_name(named, "COVID", method) for method in METHODS}
    assert names == {
        "gradcam": "a-abababab-COVID-gradcam.png",
        "hirescam": "a-abababab-COVID-hirescam.png",
        "gradcam++": "a-abababab-COVID-gradcampp.png",
        "eigencam": "a-abababab-eigencam.png",
    }


@pytest.mark.parametrize(
    ("plausible", "label", "method", "expected"),
    [
        (True, "COVID", "gradcam", "COVID-19, evidence by Grad-CAM"),
        (True, "Normal", "hirescam", "COVID-19, evidence for Normal by HiResCAM"),
        (False, "COVID", "gradcam", "no reliable finding, evidence for COVID-19 by Grad-CAM"),
        (True, "COVID", "eigencam", "COVID-19, strongest activations, the same for every class, by EigenCAM"),
    ],
)
def test_an_overlay_says_what_it_is_and_names_no_patient(
    plausible: bool, label: str, method: str, expected: str
) -> None:
    named = finding("COVID", 0.9, name="SURNAME_FIRSTNAME.png", plausible=plausible)
    assert overlay_words(named, label, method) == f"LungAssist: m 1.0+0, {expected}; no medical device"


@pytest.mark.parametrize("shape", [(90, 80), (300, 500), (1500, 2000)])
def test_the_line_stands_below_a_picture_that_stays_as_it_is(shape: tuple[int, int]) -> None:
    film = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    study = Triaged(finding("COVID", 0.9), np.zeros((4, 7, 7), np.float32), None)
    data = overlay_png(study, film, "COVID", "gradcam")
    whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert whole is not None
    assert whole.shape[1] == shape[1]
    np.testing.assert_array_equal(whole[: shape[0]], np.repeat(film[..., None], 3, axis=2))
    strip = whole[shape[0] :, :, 0]
    ink = np.argwhere(strip < 128)
    assert len(ink) > 200, "words"
    assert ink.min() > 0, "none is cut off at the top or the left"
    assert (ink.max(axis=0) < np.array(strip.shape) - 1).all(), "nor at the bottom or the right"
    assert len(strip) < 0.05 * shape[0] or shape[1] < 2000
