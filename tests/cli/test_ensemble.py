"""`ensemble`: models put together are a model like any other to every command."""

from __future__ import annotations

from pathlib import Path

import pytest

from lungassist.cli.main import main
from lungassist.evaluation.predictions import write_predictions
from tests.evaluation.made import index_of, table_of
from tests.tiny import save_tiny_model

from .conftest import noise_png, objects


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models with their tables."""
    shelf = tmp_path / "weights"
    for seed, name in enumerate(("one", "two")):
        write_predictions(shelf / name / "predictions.csv", table_of(index_of(), seed=seed))
        save_tiny_model(shelf / name, seed=seed, temperature=30.0)
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(shelf))
    monkeypatch.delenv("LUNGASSIST_MODEL", raising=False)
    return shelf


def test_what_is_made_is_listed_whole_and_answers(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ensemble", "both", "--members", "one", "two", "--weights", "1", "2", "--default", "--json"]) == 0
    (line,) = objects(capsys.readouterr().out)
    assert (line["model"], line["members"], line["made_default"]) == ("both", ["one", "two"], True)
    assert line["weights"] == [1, 2]
    assert 0 < line["figures"]["test"]["accuracy"] <= 1
    assert main(["models", "--check", "--json"]) == 0
    listed = {entry["name"]: entry for entry in objects(capsys.readouterr().out)}
    assert listed["both"]["verified"]
    assert listed["both"]["default"]
    assert listed["both"]["architecture"] == "ensemble"
    study = tmp_path / "study.png"
    study.write_bytes(noise_png(1))
    found = {}
    for name in ("both", "one", "two"):
        assert main(["triage", str(study), "--model", name, "--json"]) == 0
        (found[name],) = objects(capsys.readouterr().out)
    assert found["both"]["model_version"] == line["model_version"]
    one, two, temperature = found["one"]["probabilities"], found["two"]["probabilities"], line["temperature"]
    raised = {label: (p * two[label] ** 2) ** (1 / 3 / temperature) for label, p in one.items()}
    for label, p in found["both"]["probabilities"].items():
        assert p == pytest.approx(raised[label] / sum(raised.values()), abs=1e-4)


def test_people_read_it_beside_its_members(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ensemble", "both", "--members", "one", "two"]) == 0
    shown = capsys.readouterr().out
    rows = [
        line.split()[0] for line in shown.splitlines() if line.split() and line.split()[0] in ("both", "one", "two")
    ]
    assert rows == ["both", "one", "two", "both"]
    assert "asks one, two together; keep them in weights/" in shown


def test_it_says_that_triage_starts_with_it_asked_for_or_not(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no file names a default, the first of the shelf is; `both` comes before `one`, `zwei` after."""
    made = []
    for name in ("zwei", "both"):
        assert main(["ensemble", name, "--members", "one", "two", "--json"]) == 0
        made.append(objects(capsys.readouterr().out)[0]["made_default"])
    assert made == [False, True]
    (shelf / "DEFAULT").write_text("zwei\n")
    for name, said in (("both", False), ("zwei", True)):
        assert main(["ensemble", name, "--members", "one", "two"]) == 0
        assert ("Triage starts with it." in capsys.readouterr().out) == said


def test_it_is_taken_back(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ensemble", "both", "--members", "one", "two"]) == 0
    capsys.readouterr()
    assert main(["ensemble", "both", "--undo", "--json"]) == 0
    assert objects(capsys.readouterr().out) == [{"model": "both", "taken_back": True, "came_back": False}]
    assert not (shelf / "both").exists()
    assert main(["ensemble", "both", "--undo"]) == 2
    assert "Nothing was changed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["both", "--members", "one"], 2, "at least 2 models"),
        (["both", "--members", "one", "three"], 2, "no model 'three'"),
        (["one", "--members", "one", "two"], 2, "weights of its own"),
    ],
)
def test_what_cannot_be_put_together(
    shelf: Path, arguments: list[str], status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ensemble", *arguments]) == status
    assert words in capsys.readouterr().err
    assert sorted(path.name for path in shelf.iterdir() if not path.name.startswith(".")) == ["one", "two"]


def test_tables_of_other_images(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_predictions(shelf / "three" / "predictions.csv", table_of(index_of(seed=2)))
    save_tiny_model(shelf / "three")
    assert main(["ensemble", "both", "--members", "one", "three"]) == 1
    assert "--split-file" in capsys.readouterr().err


def test_an_enhancement_needs_the_images_that_it_changes(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = ["ensemble", "both", "--members", "one", "two", "--enhancement", "undo-clahe"]
    assert main(made) == 2
    assert "needs --data DIR" in capsys.readouterr().err
    assert main(["ensemble", "both", "--members", "one", "two", "--data", str(tmp_path)]) == 2
    assert "go with --enhancement" in capsys.readouterr().err
    assert main([*made, "--data", str(tmp_path / "none")]) != 0
    assert str(tmp_path / "none") in capsys.readouterr().err
    assert not (shelf / "both").exists()
