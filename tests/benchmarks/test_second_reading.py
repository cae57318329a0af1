"""A second model guards a first one where the two differ; what is counted is that, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import second_reading
from lungassist.classes import CLASSES, COVID, NORMAL
from lungassist.models.card import Card
from lungassist.models.members import ENSEMBLE, Member, digest_of
from lungassist.predict import Classifier, Prediction
from tests.benchmarks.test_robustness import folder_of_phantoms
from tests.tiny import save_tiny_model, tiny_card


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models and one of fewer classes."""
    place = tmp_path / "weights"
    save_tiny_model(place / "one")
    save_tiny_model(place / "other")
    save_tiny_model(place / "two-classes", classes=(COVID, NORMAL))
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(place))
    return place


def measured(tmp_path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, dict[str, float]]:
    folder = folder_of_phantoms(tmp_path / "films")
    assert second_reading.main(["--data", str(folder), "--json", "--model", "one", *options]) == 0
    changes: dict[str, dict[str, float]] = json.loads(capsys.readouterr().out)["changes"]
    return changes


def test_a_model_never_differs_from_itself(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = measured(tmp_path, capsys, "--second", "one", "--only", "dicom")
    assert list(changes) == ["as they are", "dicom"]
    for line in changes.values():
        assert line["looked_at_again"] == line["errors_among_them"] == 0
        assert line["accuracy"] == line["second_accuracy"]
        assert line["errors"] == pytest.approx(12 * (1 - line["accuracy"] / 100), abs=0.01)


def table_of(letters: str) -> NDArray[np.float64]:
    """A table that is quite sure of the classes that begin with these letters."""
    return np.eye(len(CLASSES))[[[name[0] for name in CLASSES].index(letter) for letter in letters]]


def test_errors_and_missed_ones_among_those_that_differ_are_counted(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three phantoms a class, in the order of the index: COVID, Lung_Opacity, Normal, Viral Pneumonia."""
    said = {"one": "CNNLLNNNCVVN", "other": "CCNLNNNNNVCV"}

    def tables(_change: object, _sample: object, classifier: Classifier, _settings: object) -> Prediction:
        return Prediction(table_of(said[classifier.card.name]), None, np.zeros((0, 12, 4)))

    monkeypatch.setattr(second_reading, "predictions_of", tables)
    line = measured(tmp_path, capsys, "--second", "other", "--only", "dicom")["as they are"]
    assert line["looked_at_again"] == 5
    assert line["errors"] == 5
    assert line["errors_among_them"] == 3
    assert line["contagious_called_normal"] == 3
    assert line["contagious_called_normal_among_them"] == 2
    assert line["accuracy"] == pytest.approx(58.33)
    assert line["second_accuracy"] == 66.67


def test_the_members_of_an_ensemble_guard_each_other(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    members = tuple(Member.of(Card.read(weights / name / "card.json")) for name in ("one", "other"))
    card = tiny_card("both", architecture=ENSEMBLE, members=members, weights_sha256=digest_of(members))
    (weights / "both").mkdir()
    card.write(weights / "both" / "card.json")
    said = table_of("CNNLLNNNCVVN"), table_of("CCNLNNNNNVCV")
    mean = 0.6 * said[0] + 0.4 * said[1]
    monkeypatch.setattr(second_reading, "predictions_of", lambda *_: Prediction(mean, None, np.stack(said)))
    folder = folder_of_phantoms(tmp_path / "films")
    assert second_reading.main(["--data", str(folder), "--json", "--model", "both", "--only", "dicom"]) == 0
    line = json.loads(capsys.readouterr().out)["changes"]["as they are"]
    assert (line["looked_at_again"], line["errors"], line["errors_among_them"]) == (5, 5, 3)
    assert line["second_accuracy"] is None
    with pytest.raises(SystemExit):
        second_reading.main(["--data", str(folder), "--model", "one"])
    assert "one is no ensemble" in capsys.readouterr().err


def test_what_cannot_be_compared_is_refused_in_words(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for second, words in (("two-classes", "tells other classes apart than one"), ("absent", "absent")):
        with pytest.raises(SystemExit):
            second_reading.main(["--data", str(tmp_path), "--model", "one", "--second", second])
        assert words in capsys.readouterr().err
