"""A model that answers otherwise than where it was made is found out, and nothing else is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lungassist.cli.main import main
from lungassist.errors import WeightsError
from lungassist.golden import drift_of, golden_answers
from lungassist.models.weights import CARD_FILE, GOLDEN_FILE, load_model
from lungassist.predict import Classifier
from tests.tiny import save_tiny_model
from train import golden


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small model with its answers recorded, alone on the shelf."""
    place = tmp_path / "tiny"
    save_tiny_model(place)
    assert golden.main([str(place)]) == 0
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path))
    return place


def rewrite(path: Path, change: Callable[[Any], None]) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_the_same_model_has_not_drifted(folder: Path) -> None:
    drift = drift_of(Classifier.load(folder), folder)
    assert drift is not None
    assert drift.is_none
    assert drift.probability < 1e-5


def test_a_network_that_computes_otherwise_has(folder: Path) -> None:
    network, card = load_model(folder)
    with torch.no_grad():
        list(network.parameters())[-1][0] += 0.05
    drift = drift_of(Classifier(network, card), folder)
    assert drift is not None
    assert not drift.is_none


def test_where_nothing_is_recorded_nothing_is_said(folder: Path) -> None:
    (folder / GOLDEN_FILE).unlink()
    assert drift_of(Classifier.load(folder), folder) is None


def test_a_record_of_other_weights_is_refused(folder: Path) -> None:
    rewrite(folder / CARD_FILE, lambda card: card.update(temperature=card["temperature"] * 2))
    with pytest.raises(WeightsError, match="of other weights"):
        drift_of(Classifier.load(folder), folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"phantoms": [{"kind": "COVID"}]}'])
def test_a_damaged_record_is_refused(folder: Path, text: str) -> None:
    (folder / GOLDEN_FILE).write_text(text)
    with pytest.raises(WeightsError, match="no record of answers"):
        drift_of(Classifier.load(folder), folder)


def test_probabilities_are_those_of_the_model(folder: Path) -> None:
    answers = golden_answers(Classifier.load(folder))
    assert [entry["kind"] for entry in answers["phantoms"]] == ["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"]
    assert all(sum(entry["probabilities"].values()) == pytest.approx(1, abs=1e-5) for entry in answers["phantoms"])


def test_the_command_checks_and_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--check"]) == 0
    assert "answers as recorded" in capsys.readouterr().out

    def other(values: Any) -> None:
        values["phantoms"][2]["probabilities"]["Normal"] += 0.01

    rewrite(folder / GOLDEN_FILE, other)
    assert main(["models", "--check", "--json"]) == 1
    listed = json.loads(capsys.readouterr().out)
    assert "answers otherwise" in listed["problem"]
    assert not listed["verified"]
    assert main(["models"]) == 0, "files alone are whole"


def test_a_model_that_cannot_be_used_is_not_recorded(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(folder)
    assert golden.main([str(folder)]) == 1
    assert "card.json" in capsys.readouterr().err
