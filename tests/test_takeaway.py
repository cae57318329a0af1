"""What a reader takes away is named so that no study's file takes the place of another's."""

from __future__ import annotations

import pytest

from lungassist.explain import METHODS
from lungassist.takeaway import file_name, overlay_name
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
