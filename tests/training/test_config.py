"""What a run is asked to do is written down and read back, or refused with a word on what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lungassist.errors import LungAssistError, TrainingError, UsageError
from lungassist.training.config import RunConfig
from lungassist.training.progress import read_epochs, read_log_tail, read_status
from lungassist.training.recipe import Recipe
from lungassist.training.run import RunDirectory

CONFIG = RunConfig("mine", Path("/data"), Path("/data/metadata.csv"), None, "cpu", Recipe(epochs=3))


def test_json_round_trip(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    run.prepare(CONFIG)
    assert run.config() == CONFIG


def test_a_relative_folder_is_the_same_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert RunConfig.from_json(RunConfig("mine", Path("films")).to_json()).data == tmp_path / "films"


@pytest.mark.parametrize(
    ("changes", "error", "word"),
    [
        ({"format": 1}, TrainingError, "format 1, expected 2"),
        ({"colour": "red"}, UsageError, "no setting 'colour'"),
        ({"recipe": {"epochs": -1}}, UsageError, "epochs must be between 0 and 1000"),
        ({"recipe": {"epoch": 1}}, UsageError, "no setting 'epoch'"),
        ({"recipe": None}, UsageError, "an object of settings by their names, not None"),
        ({"recipe": []}, UsageError, r"an object of settings by their names, not \[\]"),
        ({"recipe": {"learning_rate": 10**400}}, UsageError, "learning_rate must be between 1e-07 and 10"),
        ({"recipe": {"epochs": 10**400}}, UsageError, "epochs must be between 0 and 1000"),
        ({"recipe": {"weight_decay": float("nan")}}, UsageError, "weight_decay must be between 0 and 1; nan"),
        ({"recipe": {"teachers": [1]}}, UsageError, r"teachers must be a list of names, not \(1,\)"),
        ({"data": None}, UsageError, "not complete"),
        ({"device": "tpu"}, UsageError, "auto, cpu, cuda"),
        ({"name": "../mine"}, UsageError, "cannot name a model"),
        ({"name": ""}, UsageError, "cannot name a model"),
        ({"name": ".hidden"}, UsageError, "cannot name a model"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], error: type[LungAssistError], word: str) -> None:
    with pytest.raises(error, match=word):
        RunConfig.from_json({**CONFIG.to_json(), **changes})


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"run"', json.dumps({"name": "x"})])
def test_a_damaged_configuration_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(TrainingError):
        RunDirectory(tmp_path).config()


def test_following_a_run_that_says_nothing_or_nonsense(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    assert read_epochs(tmp_path).empty
    assert read_log_tail(tmp_path) == []
    for text in ("", "{", "[]", '{"epoch": 3}'):
        (tmp_path / "status.json").write_text(text)
        assert read_status(tmp_path) is None
    (tmp_path / "epochs.csv").write_text("")
    assert read_epochs(tmp_path).empty


def test_a_status_says_how_much_is_done(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.set_status("preparing", message="Looking for images")
    status = read_status(tmp_path)
    assert status is not None
    assert (status.state, status.message, status.share) == ("preparing", "Looking for images", None)
    run.set_status("training", epoch=2, epochs=4, step=5, steps=10, of_a_later_version="ignored")
    status = read_status(tmp_path)
    assert status is not None
    assert status.share == pytest.approx((1 + 0.5) / 4)
    assert status.updated.endswith("+00:00")


def test_the_logs_tail(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text(
        "\n".join(f"line {i}" for i in range(100_000)) + "\nlast \N{LATIN SMALL LETTER E}"
    )
    assert read_log_tail(tmp_path, 2) == ["line 99999", "last e"]
