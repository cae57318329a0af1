"""A card is read as it was written, or refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lungassist.errors import WeightsError
from lungassist.models.card import Card
from lungassist.preprocess import Preprocessing
from tests.drawn import card_of


def written(folder: Path, **changes: Any) -> Path:
    """A card's file with some of its JSON changed; None takes a field out."""
    path = folder / "card.json"
    card_of(weights_sha256="0123456789abcdef").write(path)
    values = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}), encoding="utf-8")
    return path


def test_round_trip(tmp_path: Path) -> None:
    card = card_of(
        preprocessing=Preprocessing.named("imagenet", size=96, enhancement="clahe"),
        temperature=1.37,
        figures={"test": {"accuracy": 0.9, "recall": None}},
        limitations=("Ä sentence.", "Another."),
        flip_test=True,
        weights_sha256="0123456789abcdef",
        predictions_sha256="fedcba",
    )
    card.write(tmp_path / "card.json")
    assert Card.read(tmp_path / "card.json") == card


def test_a_full_version_names_version_and_weights() -> None:
    assert card_of(version="1.2", weights_sha256="0123456789abcdef").full_version == "1.2+01234567"


def test_a_card_from_before_the_predictions_hash_is_read(tmp_path: Path) -> None:
    assert Card.read(written(tmp_path, predictions_sha256=None)).predictions_sha256 == ""


def test_a_card_from_before_the_flip_test_is_asked_once(tmp_path: Path) -> None:
    assert Card.read(written(tmp_path, flip_test=None)).flip_test is False


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": "hot"}, "hot"),
        ({"classes": ["COVID"]}, "at least two classes"),
        ({"classes": ["COVID", "COVID", "Normal"]}, "each named once"),
        ({"classes": "COVID"}, "classes"),
        ({"threshold": 0.5}, "threshold"),
        ({"version": None}, "version"),
        ({"version": 1}, "version"),
        ({"name": ["a"]}, "name"),
        ({"operating_point": ["highest probability"]}, "operating_point"),
        ({"figures": "good"}, "figures"),
        ({"flip_test": "no"}, "flip_test"),
        ({"limitations": "none"}, "limitations"),
        ({"weights_sha256": 1234}, "weights_sha256"),
        ({"preprocessing": {"size": 224}}, "mean"),
        ({"preprocessing": [224]}, "preprocessing"),
        ({"preprocessing": {**Preprocessing().to_json(), "mean": [0.5, float("nan"), 0.5]}}, "finite"),
        ({"preprocessing": {**Preprocessing().to_json(), "size": 5}}, "32 to 1024"),
        ({"preprocessing": {**Preprocessing().to_json(), "size": float("inf")}}, "infinity"),
        ({"temperature": 10**400}, "too large"),
        ({"preprocessing": {**Preprocessing().to_json(), "enhancement": "magic"}}, "magic"),
    ],
)
def test_a_card_that_cannot_be_meant_is_refused(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(WeightsError, match=word) as caught:
        Card.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"card"', "\udcff"])
def test_what_is_no_card_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "card.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(WeightsError, match=r"card\.json"):
        Card.read(path)


def test_no_card_at_all(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"has no card\.json"):
        Card.read(tmp_path / "card.json")


def test_a_card_with_nan_is_not_written_and_the_old_one_stays(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        card_of(figures={"test": {"accuracy": float("nan")}}).write(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["card.json"]
