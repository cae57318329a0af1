"""Real studies, as a reader receives them: the finding does not depend on the file format that they come in."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian

from lungassist.imaging import Study
from lungassist.models.weights import choose_model
from lungassist.predict import Classifier
from lungassist.settings import Settings
from lungassist.triage import Triaged, forget, triage
from tests.imaging.dicom_files import by_gdcm, data_set, dicom

pytestmark = pytest.mark.xrays


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """The model that a new user gets."""
    weights = Settings.from_environment().weights_dir
    return Classifier.load(weights / choose_model(weights, None))


@pytest.fixture(scope="module")
def studies(xrays: Path) -> list[tuple[Path, str]]:
    """Native-size studies and their labels."""
    with (xrays / "studies" / "studies.csv").open(newline="") as file:
        return [(xrays / "studies" / row["file"], row["label"]) for row in csv.DictReader(file)]


def probabilities(classifier: Classifier, files: dict[str, bytes]) -> dict[str, np.ndarray]:
    found = {}
    sources = [Study(name, lambda data=data: data) for name, data in files.items()]  # type: ignore[misc]
    for outcome in triage(sources, classifier, Settings.from_environment(), explain=None, keep=forget):
        assert isinstance(outcome, Triaged)
        assert outcome.finding.plausible, outcome.finding.warnings
        found[outcome.finding.file] = np.array(list(outcome.finding.probabilities.values()))
    return found


def formats_of(path: Path, folder: Path) -> dict[str, bytes]:
    """The same study in every format in which a hospital might send it."""
    grey = Image.open(path).convert("L")
    twelve = np.asarray(grey).astype(np.uint16) * 16
    png, jpeg = io.BytesIO(), io.BytesIO()
    grey.save(png, "PNG")
    grey.save(jpeg, "JPEG", quality=90)
    return {
        "original": path.read_bytes(),
        "png": png.getvalue(),
        "jpeg": jpeg.getvalue(),
        "dicom": dicom(twelve, 12, ExplicitVRLittleEndian),
        "dicom monochrome1": dicom((4080 - twelve).astype(np.uint16), 12, PhotometricInterpretation="MONOCHROME1"),
        "dicom compressed": by_gdcm("JPEGLosslessProcess14_1")(data_set(twelve, 12), folder),
    }


def test_the_format_does_not_change_the_finding(
    classifier: Classifier, studies: list[tuple[Path, str]], tmp_path: Path
) -> None:
    for path, _ in studies[::3]:
        answers = probabilities(classifier, formats_of(path, tmp_path))
        for name, answer in answers.items():
            # JPEG changes the image, and a study between two classes may lean a little more to one of them.
            farthest = 0.1 if name == "jpeg" else 0.005
            assert np.abs(answer - answers["original"]).max() < farthest, (path.name, name)
            assert answer.argmax() == answers["original"].argmax(), (path.name, name)


def test_most_studies_are_found_to_be_what_they_are_labelled(
    classifier: Classifier, studies: list[tuple[Path, str]]
) -> None:
    answers = probabilities(classifier, {path.name: path.read_bytes() for path, _ in studies})
    right = [classifier.classes[int(answers[path.name].argmax())] == label for path, label in studies]
    # Eighteen images prove nothing about accuracy; far fewer right would mean that they are read or prepared wrongly.
    assert sum(right) >= 11
