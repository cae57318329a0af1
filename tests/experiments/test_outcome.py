"""What came of a run beside triage's model: by hand-computed differences, and honest about different test images."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest

from lungassist.errors import WeightsError
from lungassist.experiments.outcome import DIFFERENT, FIGURES_FILE, ITSELF, SAME, compare_with_triage, result_of_run
from lungassist.models.promotion import promote
from lungassist.settings import Settings
from lungassist.training import baseline
from tests.experiments.waiting_room import FIGURES, finish_run
from tests.tiny import save_tiny_model


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Triage uses a model with 80 % accuracy, 2 of its 8 COVID images called Normal."""
    figures = copy.deepcopy(FIGURES)
    figures["test"]["accuracy"] = 0.8
    figures["test"]["called_normal"] = {"COVID": 2}  # type: ignore[assignment]
    figures["test"]["per_class"]["COVID"]["images"] = 8  # type: ignore[index]
    save_tiny_model(tmp_path / "weights" / "old", figures=figures, split={"sha256": "a" * 64}, seed=3)
    return replace(Settings.from_environment(), weights_dir=tmp_path / "weights")


def test_differences_and_shares(settings: Settings, tmp_path: Path) -> None:
    finish_run(tmp_path / "run")
    compared = compare_with_triage(result_of_run(tmp_path / "run"), settings)
    figures = {figure.name: figure for figure in compared.figures}
    assert figures["Accuracy"].difference == pytest.approx(0.1)
    called = figures["COVID-19 called Normal"]
    assert (called.run, called.triage) == (pytest.approx(1 / 5), pytest.approx(2 / 8))
    assert not called.more_is_better
    assert figures["Viral pneumonia called Normal"].triage is None
    assert figures["Viral pneumonia called Normal"].difference is None


def test_whether_both_were_tested_on_the_same_images(settings: Settings, tmp_path: Path) -> None:
    finish_run(tmp_path / "same", split="a" * 64)
    finish_run(tmp_path / "other", split="b" * 64)
    assert compare_with_triage(result_of_run(tmp_path / "same"), settings).note == SAME
    compared = compare_with_triage(result_of_run(tmp_path / "other"), settings)
    assert compared.note == DIFFERENT and not compared.same_images


def test_a_run_that_was_promoted_is_not_compared_with_itself_as_another(settings: Settings, tmp_path: Path) -> None:
    finish_run(tmp_path / "run")
    promote(tmp_path / "run" / "model", settings.weights_dir, name="new")
    compared = compare_with_triage(result_of_run(tmp_path / "run"), settings)
    assert compared.note == ITSELF
    assert compared.triage is not None and compared.triage.name == "new"


def test_without_a_model_in_triage_there_is_the_run_alone(settings: Settings, tmp_path: Path) -> None:
    finish_run(tmp_path / "run")
    compared = compare_with_triage(result_of_run(tmp_path / "run"), replace(settings, weights_dir=tmp_path / "none"))
    assert compared.triage is None and compared.note == ""
    assert compared.figures[0].run == 0.9


def test_a_baseline_has_figures_and_no_model(settings: Settings, tmp_path: Path) -> None:
    assert FIGURES_FILE == baseline.FIGURES_FILE
    model = tmp_path / "run" / "model"
    model.mkdir(parents=True)
    values = {"name": "plain", "classes": ["COVID", "Normal"], "split": {"sha256": "a" * 64}, "figures": FIGURES}
    (model / FIGURES_FILE).write_text(json.dumps({**values, "limitations": []}))
    result = result_of_run(tmp_path / "run")
    assert result.card is None
    assert compare_with_triage(result, settings).note == SAME
    (model / FIGURES_FILE).write_text("[]")
    with pytest.raises(WeightsError, match="baseline"):
        result_of_run(tmp_path / "run")
