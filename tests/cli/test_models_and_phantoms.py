"""`models` tells whole from broken ones; `phantoms` writes what `triage` reads."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lungassist.classes import COVID, VIRAL_PNEUMONIA
from lungassist.cli.main import main
from lungassist.imaging import read_file
from lungassist.models.promotion import promote
from lungassist.models.weights import CARD_FILE, WEIGHTS_FILE
from lungassist.settings import Settings

from .conftest import objects


@pytest.fixture
def broken_shelf(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A whole model, one with a flipped byte, one without weights, and one whose card is no card."""
    place = tmp_path / "weights"
    for name in ("whole", "flipped", "lost", "strange"):
        shutil.copytree(shelf / "tiny", place / name)
    weights = place / "flipped" / WEIGHTS_FILE
    data = bytearray(weights.read_bytes())
    data[-1] ^= 255
    weights.write_bytes(data)
    (place / "lost" / WEIGHTS_FILE).unlink()
    (place / "strange" / CARD_FILE).write_text("[]")
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(place))
    return place


def test_a_whole_model_is_listed_with_its_figures(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    (model,) = objects(capsys.readouterr().out)
    assert (model["name"], model["architecture"], model["input_size"]) == ("tiny", "mobilenet_v3_small", 64)
    assert (model["test_accuracy"], model["covid_recall"]) == (0.9123, 0.875)
    assert model["called_normal"] == {COVID: 3, VIRAL_PNEUMONIA: 1}
    assert model["expected_calibration_error"] == 0.021
    assert model["bytes"] == sum(path.stat().st_size for path in (shelf / "tiny").iterdir())
    assert model["version"].startswith("1.0+")
    assert (model["default"], model["verified"], model["problem"]) == (True, True, None)


def test_the_last_promotion_is_taken_back(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "weights"
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(place))
    for _ in range(2):
        promote(shelf / "tiny", place, name="mine")
    assert main(["models", "--undo"]) == 0
    assert "mine 2.0 was taken off the shelf; the one that it had replaced is there again" in capsys.readouterr().out
    assert main(["models", "--undo", "--json"]) == 0
    assert objects(capsys.readouterr().out) == [{"model": "mine", "taken_back": True, "came_back": False}]
    assert not (place / "mine").exists()
    assert main(["models", "--undo"]) == 2
    assert "left to be taken back" in capsys.readouterr().err


def test_broken_models_are_listed_with_their_problem(broken_shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 1
    models = {model["name"]: model for model in objects(capsys.readouterr().out)}
    assert {name for name, model in models.items() if model["verified"]} == {"whole"}
    assert "damaged" in models["flipped"]["problem"]
    assert WEIGHTS_FILE in models["lost"]["problem"]
    assert "card" in models["strange"]["problem"]


def test_a_default_that_is_not_there_is_said_and_none_is_taken_for_it(
    own_shelf: Path, studies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (own_shelf / "DEFAULT").write_text("gone\n")
    assert main(["models", "--json"]) == 1
    shown = capsys.readouterr()
    (model,) = objects(shown.out)
    assert (model["name"], model["verified"], model["default"]) == ("tiny", True, False)
    assert "'gone'" in shown.err
    assert len(shown.err.splitlines()) == 1
    assert main(["triage", str(studies / "a.png"), "--json"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "'gone' is the model to start with" in shown.err
    monkeypatch.setenv("LUNGASSIST_MODEL", "tiny")
    assert main(["models"]) == main(["triage", str(studies / "a.png"), "--json"]) == 0


def test_the_table_shows_figures_and_problems(broken_shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 1
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if line.startswith("whole"))
    assert "91.23%" in row
    assert "87.50%" in row
    assert "damaged" in shown
    assert "\x1b" not in shown


def test_a_card_without_figures_is_no_reason_to_fail(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = shelf / "tiny" / CARD_FILE
    text = card.read_text()
    try:
        card.write_text(text.replace('"test"', '"validation"'))
        assert main(["models", "--json"]) == 0
        (model,) = objects(capsys.readouterr().out)
        assert model["test_accuracy"] is None
        assert model["called_normal"] == {COVID: None, VIRAL_PNEUMONIA: None}
        assert main(["models"]) == 0
    finally:
        card.write_text(text)


def test_a_card_with_numbers_that_are_none_does_not_end_the_list(
    own_shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, old, new in (
        ("a", '"size": 64', '"size": Infinity'),
        ("b", "0.9123", "Infinity"),
        ("c", "0.9123", '"x"'),
    ):
        shutil.copytree(own_shelf / "tiny", own_shelf / name)
        card = own_shelf / name / CARD_FILE
        assert old in card.read_text()
        card.write_text(card.read_text().replace(old, new))
    assert main(["models"]) == 1
    assert "infinity" in capsys.readouterr().out
    assert main(["models", "--json"]) == 1
    models = {model["name"]: model for model in objects(capsys.readouterr().out)}
    assert "infinity" in models["a"]["problem"]
    assert [models[name]["test_accuracy"] for name in ("b", "c", "tiny")] == [None, None, 0.9123]
    assert main(["operating-point", "a"]) == 2


def test_an_empty_shelf_says_how_to_fill_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path))
    assert main(["models"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "train.finetune" in shown.err


@pytest.mark.parametrize(("options", "file_format"), [((), "PNG"), (("--dicom",), "DICOM")])
def test_phantoms_are_studies_that_can_be_read(
    options: tuple[str, ...], file_format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["phantoms", str(tmp_path / "demo"), *options]) == 0
    paths = capsys.readouterr().out.splitlines()
    assert len(paths) == 4
    assert {read_file(path, Settings.from_environment()).file_format for path in paths} == {file_format}


def test_phantoms_need_a_folder_that_can_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["phantoms", str(tmp_path / "file" / "demo")]) == 2
    assert "Nothing can be written into" in capsys.readouterr().err
