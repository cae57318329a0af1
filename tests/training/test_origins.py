"""A run goes on with the models that it began with, whatever has their names by now."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lungassist.errors import TrainingError
from lungassist.models.card import Card
from lungassist.models.promotion import promote
from lungassist.models.weights import PREDICTIONS_FILE
from lungassist.training.recipe import Recipe
from lungassist.training.run import RunDirectory
from tests.tiny import save_tiny_model
from tests.training.runs import RECIPE, assert_same_run, config_of, resumed, run_of, status_of
from tests.training.test_resume import interrupted

TAUGHT = replace(RECIPE, teachers=("base",), distillation=1.0, averaging=0.0)
STARTED = replace(RECIPE, start="base")


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a model `base`; another one lies beside the shelf."""
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path / "weights"))
    save_tiny_model(tmp_path / "first" / "base", seed=1)
    save_tiny_model(tmp_path / "other" / "base", seed=2)
    promote(tmp_path / "first" / "base", tmp_path / "weights", name="base")
    return tmp_path / "weights"


def begun(tmp_path: Path, films: Path, recipe: Recipe) -> RunDirectory:
    """A run that was straight to its end, and the same one stopped after some steps."""
    run_of(tmp_path / "straight", films, recipe)
    run = RunDirectory(tmp_path / "run")
    run.prepare(config_of(films, recipe))
    interrupted(run, 3)
    return run


def test_a_teacher_that_was_replaced_goes_on_teaching(shelf: Path, films: Path, tmp_path: Path) -> None:
    run = begun(tmp_path, films, TAUGHT)
    promote(tmp_path / "other" / "base", shelf, name="base")
    card = resumed(run.path)
    assert_same_run(tmp_path / "straight", run.path)
    first = Card.read(tmp_path / "first" / "base" / "card.json").weights_sha256
    assert card.training["origins"]["teachers"] == [{"name": "base", "version": "1.0", "weights_sha256": first}]


def test_a_teacher_that_is_gone_is_told_and_the_checkpoint_kept(shelf: Path, films: Path, tmp_path: Path) -> None:
    run = begun(tmp_path, films, TAUGHT)
    shutil.rmtree(shelf / "base")
    save_tiny_model(shelf / "base", seed=3)
    with pytest.raises(TrainingError, match=r"began with the teacher base 1\.0 \(weights [0-9a-f]{8}\)"):
        resumed(run.path)
    assert status_of(run.path)["state"] == "failed"
    assert (run.checkpoints / "last.ckpt").exists()


def test_a_start_is_not_needed_any_more(shelf: Path, films: Path, tmp_path: Path) -> None:
    """Nor is its table: which images it had seen was recorded."""
    (shelf / "base" / PREDICTIONS_FILE).write_text("file,split\nNormal-1.png,train\n")
    table = json.loads((shelf / "base" / "card.json").read_text())
    (shelf / "base" / "card.json").write_text(json.dumps({**table, "predictions_sha256": ""}))
    run = begun(tmp_path, films, STARTED)
    shutil.rmtree(shelf)
    card = resumed(run.path)
    assert_same_run(tmp_path / "straight", run.path)
    straight = Card.read(tmp_path / "straight" / "model" / "card.json")
    assert card.training["images_seen_by_start"] == straight.training["images_seen_by_start"] != {}
    assert [each["name"] for each in card.training["origins"]["starts"]] == ["base"]


@pytest.mark.parametrize("recipe", [TAUGHT, STARTED])
def test_a_run_that_was_begun_before_origins_were_recorded_goes_on(
    shelf: Path, films: Path, tmp_path: Path, recipe: Recipe
) -> None:
    """With its own split, though the images would be dealt otherwise by now."""
    run = begun(tmp_path, films, recipe)
    run.origins.unlink()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("lungassist.training.material.assign_splits", lambda table, **_: ["train"] * len(table))
        card = resumed(run.path)
    assert_same_run(tmp_path / "straight", run.path)
    assert "origins" not in card.training, "what has the name now may be another model"
    assert not run.origins.exists()


def test_damaged_origins_are_told(shelf: Path, films: Path, tmp_path: Path) -> None:
    run = begun(tmp_path, films, TAUGHT)
    run.origins.write_text("[]")
    with pytest.raises(TrainingError, match=r"origins\.json cannot be read"):
        resumed(run.path)
