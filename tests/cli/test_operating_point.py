"""`operating-point`: what it chooses, writes and takes back, and that `triage` follows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lungassist.cli.main import main
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.predictions import write_predictions
from lungassist.evaluation.tables import read_predictions
from lungassist.models.card import Card
from lungassist.models.weights import verify
from tests.evaluation.made import index_of, table_of
from tests.tiny import save_tiny_model

from .conftest import noise_png, objects


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model on a shelf of its own, with its table."""
    folder = tmp_path / "weights" / "tiny"
    write_predictions(folder / "predictions.csv", table_of(index_of()))
    save_tiny_model(folder)
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(folder.parent))
    monkeypatch.delenv("LUNGASSIST_MODEL", raising=False)
    return folder


def asked(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main(["operating-point", "tiny", *map(str, arguments), "--json"]) == 0
    (line,) = objects(capsys.readouterr().out)
    return line


def test_it_chooses_on_validation_judges_on_test_and_writes_the_card(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(capsys)["operating_point"] == "highest probability"
    line = asked(capsys, "--sensitivity", 0.98)
    expected = Comparison.of([read_predictions(folder / "predictions.csv")]).operating_point("tiny", target=0.98)
    saved = line["points"]["sick"]
    assert saved["threshold"] == expected.outcome.threshold
    assert saved["test"]["sensitivity"]["value"] == pytest.approx(expected.outcome.sensitivity.value)
    assert saved["test"]["specificity"]["bootstrap"] == pytest.approx(list(expected.outcome.specificity.bootstrap))
    assert saved["chosen_on"]["split"] == "validation"
    assert line["test"]["called_normal"] == expected.outcome.missed
    assert (line["changed"], line["previous"]) == (True, "highest probability")
    assert verify(folder).operating_point.words == line["operating_point"]
    assert asked(capsys)["points"] == line["points"]


def test_two_questions_stand_side_by_side_and_every_change_is_taken_back(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked(capsys, "--sensitivity", 0.98)
    both = asked(capsys, "--question", "contagious", "--threshold", 0.125)
    assert set(both["points"]) == {"sick", "contagious"}
    assert both["points"]["contagious"]["target_sensitivity"] is None
    assert "suspected contagious from 12.5%" in both["operating_point"]
    assert set(asked(capsys, "--undo")["points"]) == {"sick"}
    assert asked(capsys, "--reset")["operating_point"] == "highest probability"
    assert set(asked(capsys, "--undo")["points"]) == {"sick"}


def test_people_read_figures_with_intervals(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["operating-point", "tiny", "--sensitivity", "0.98"]) == 0
    shown = capsys.readouterr().out
    point = Card.read(folder / "card.json").operating_point.points["sick"]
    ends = point.outcome.sensitivity.bootstrap
    assert f"({100 * ends.low:.1f} to {100 * ends.high:.1f})" in shown
    assert "98% sensitivity on validation" in shown
    assert "--undo goes back there" in shown
    assert "no medical device" in shown


def test_triage_follows_it_and_says_so(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan = tmp_path / "scan.png"
    scan.write_bytes(noise_png(1))
    assert main(["triage", str(scan), "--json"]) == 0
    (before,) = objects(capsys.readouterr().out)
    asked(capsys, "--threshold", "1" if before["finding"] != "Normal" else "0")
    assert main(["triage", str(scan), "--json"]) == 0
    (after,) = objects(capsys.readouterr().out)
    assert after["probabilities"] == before["probabilities"]
    assert (after["finding"] == "Normal") != (before["finding"] == "Normal")
    assert after["operating_point"].startswith("called Normal only below")
    assert any("highest probability would say" in warning for warning in after["warnings"])
    assert main(["triage", str(scan)]) == 0
    assert "operating point: called Normal only below" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("absent", "--sensitivity", "0.9"), 2, "'absent'"),
        (("tiny", "--undo"), 2, "left to be taken back"),
        (("tiny", "--reset"), 2, "has no operating point"),
        (("tiny", "--question", "sick"), 2, "--sensitivity or --threshold"),
        (("tiny", "--undo", "--question", "sick"), 2, "leave --question out"),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, said: str
) -> None:
    before = (folder / "card.json").read_bytes()
    assert main(["operating-point", *arguments]) == status
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""
    assert (folder / "card.json").read_bytes() == before


@pytest.mark.parametrize("option", [("--sensitivity", "99"), ("--threshold", "5"), ("--reset", "--undo")])
def test_arguments_that_cannot_be_meant_are_refused(folder: Path, option: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["operating-point", "tiny", *option])
    assert end.value.code == 2


def test_a_table_that_is_not_the_models_sets_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_predictions(folder / "predictions.csv", table_of(index_of(), skill=9))
    assert main(["operating-point", "tiny", "--sensitivity", "0.9"]) == 2
    assert "predictions.csv is damaged or not the one" in capsys.readouterr().err


def test_a_damaged_point_stops_triage_with_what_to_do_and_is_mended(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked(capsys, "--sensitivity", 0.98)
    card = folder / "card.json"
    card.write_text(card.read_text().replace('"target_sensitivity": 0.98', '"target_sensitivity": 98'))
    (tmp_path / "scan.png").write_bytes(noise_png(1))
    assert main(["triage", str(tmp_path / "scan.png"), "--model", "tiny"]) == 2
    assert "operating-point tiny --reset" in capsys.readouterr().err
    assert asked(capsys, "--reset")["operating_point"] == "highest probability"
    assert main(["triage", str(tmp_path / "scan.png"), "--model", "tiny"]) == 0
