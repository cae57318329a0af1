"""What a saved operating point does, counted from the model's own table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.decisions import main
from lungassist.models.card import Card

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"


def test_the_default_models_point_misses_what_its_card_says(capsys: pytest.CaptureFixture[str]) -> None:
    name = (WEIGHTS / "DEFAULT").read_text(encoding="utf-8").strip()
    card = Card.read(WEIGHTS / name / "card.json")
    assert main(["--model", name, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    highest, chosen = result["rules"].values()
    assert highest["accuracy"] == pytest.approx(card.figures["test"]["accuracy"])
    assert highest["called_normal"]["COVID"] == card.figures["test"]["called_normal"]["COVID"]
    outcome = card.operating_point.points["contagious"].outcome
    assert chosen["contagious_called_neither"] == outcome.missed
    assert chosen["contagious_called_normal"] < highest["contagious_called_normal"]


def test_an_unknown_model_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "nobody"]) == 2
    assert "nobody" in capsys.readouterr().err


def test_an_unknown_split_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--split", "tset"])
    assert "validation" in capsys.readouterr().err


def test_a_table_without_sick_images_or_without_any_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "resnet18"
    folder.mkdir()
    shutil.copy(WEIGHTS / "resnet18" / "card.json", folder)
    table = pd.read_csv(WEIGHTS / "resnet18" / "predictions.csv", keep_default_na=False)
    table[(table["split"] == "test") & (table["label"] == "Normal")].to_csv(folder / "predictions.csv", index=False)
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path))
    assert main(["--model", "resnet18"]) == 0
    assert "0 of 0 contagious ones\n" in capsys.readouterr().out
    assert main(["--model", "resnet18", "--split", "validation"]) == 2
    assert "no validation images" in capsys.readouterr().err
