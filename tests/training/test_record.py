"""A finished run is kept without its weights, and only a finished one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lungassist.evaluation.predictions import write_predictions
from lungassist.evaluation.tables import read_predictions
from lungassist.experiments.comparing import RECORD, find_tables
from lungassist.models.card import Card
from lungassist.models.weights import read_records, read_shelf
from lungassist.settings import Settings
from lungassist.training.run import RunDirectory
from tests.evaluation.made import index_of, table_of
from tests.tiny import save_tiny_model
from train.record import main


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("LUNGASSIST_HOME", str(tmp_path / "home"))
    made = RunDirectory(tmp_path / "runs" / "alexnet")
    save_tiny_model(made.model)
    write_predictions(made.model / "predictions.csv", table_of(index_of(60)))
    made.set_status("done", message="Done")
    return made


def test_card_and_table_are_kept_and_the_weights_are_not(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings.from_environment()
    for _ in range(2):  # the second replaces the first
        assert main([str(run.path)]) == 0
    folder = settings.weights_dir / "records" / "alexnet"
    assert capsys.readouterr().out == f"{folder}\n" * 2
    assert {path.name for path in folder.iterdir()} == {"card.json", "predictions.csv"}
    assert [path.name for path in folder.parent.iterdir()] == ["alexnet"]
    assert [(entry.name, entry.problem) for entry in read_records(settings.weights_dir)] == [("alexnet", None)]
    assert [(source.name, source.kind) for source in find_tables(settings)] == [("alexnet", RECORD)]
    assert read_shelf(settings.weights_dir) == []


def test_it_is_compared_under_the_name_of_its_record(run: RunDirectory) -> None:
    """A run's card has the architecture's name, or another's: two records would have one."""
    assert main([str(run.path), "--name", "alexnet-192"]) == 0
    folder = Settings.from_environment().weights_dir / "records" / "alexnet-192"
    card = Card.read(run.model / "card.json")
    assert card.name != "alexnet-192"
    assert Card.read(folder / "card.json") == replace(card, name="alexnet-192")
    assert read_predictions(folder / "predictions.csv").name == "alexnet-192"


def test_a_run_of_the_baseline_has_figures_for_a_card(run: RunDirectory) -> None:
    (run.model / "card.json").rename(run.model / "figures.json")
    assert main([str(run.path), "--name", "baseline"]) == 0
    folder = Settings.from_environment().weights_dir / "records" / "baseline"
    assert {path.name for path in folder.iterdir()} == {"figures.json", "predictions.csv"}


@pytest.mark.parametrize("state", ["training", "failed"])
def test_what_is_not_done_is_not_kept(run: RunDirectory, state: str, capsys: pytest.CaptureFixture[str]) -> None:
    run.set_status(state, message="")
    assert main([str(run.path)]) == 1
    assert state in capsys.readouterr().err
    assert not (Settings.from_environment().weights_dir / "records").exists()


def test_no_run_and_a_table_that_is_broken_are_told(
    run: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "no finished run" in capsys.readouterr().err
    (run.model / "predictions.csv").write_text("file,label\n")
    assert main([str(run.path)]) == 1
    assert "predictions.csv" in capsys.readouterr().err
