"""What a saved operating point does, counted from the model's own table."""

from __future__ import annotations

import json
from pathlib import Path

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
