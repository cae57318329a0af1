"""A card's operating point: read as it was written, refused when damaged or of another model, kept and taken back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lungassist.errors import UsageError, WeightsError
from lungassist.metrics import Interval, Outcome
from lungassist.metrics.operating_point import Rate
from lungassist.models.card import Card
from lungassist.models.operating_point import HIGHEST_PROBABILITY, OperatingRule, SavedPoint
from lungassist.models.point_keeping import reset_point, save_point, undo_point
from lungassist.models.promotion import promote, undo_promotion
from lungassist.models.weights import verify
from tests.tiny import save_tiny_model

UNDEFINED = Rate(float("nan"), Interval(float("nan"), float("nan")), Interval(float("nan"), float("nan")))
RATE = Rate(0.9, Interval(0.8, 0.95), Interval(0.81, 0.96))


def point(threshold: float = 0.04129, target: float | None = 0.99, table: str = "") -> SavedPoint:
    outcome = Outcome(threshold, RATE, RATE, RATE, RATE, missed=3, images=40)
    return SavedPoint(target, "validation" if target else "", 50, 30, table, outcome, "2026-01-02T03:04:05+00:00")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model on a shelf, with a table that its card names."""
    folder = tmp_path / "weights" / "tiny"
    folder.mkdir(parents=True)
    (folder / "predictions.csv").write_text("file,label\n")
    save_tiny_model(folder)
    return folder


@pytest.fixture
def keep(folder: Path) -> Callable[..., Card]:
    """Save a point with the model."""

    def save(question: str = "sick", **how: Any) -> Card:
        card = verify(folder)
        return save_point(
            folder, question, point(table=card.predictions_sha256, **how), weights_sha256=card.weights_sha256
        )

    return save


def read(folder: Path) -> OperatingRule:
    return Card.read(folder / "card.json").operating_point


def test_it_is_read_as_it_was_saved(folder: Path, keep: Callable[..., Card]) -> None:
    keep()
    card = keep("contagious", threshold=0.3, target=None)
    rule = read(folder)
    assert rule == card.operating_point
    assert rule.points["sick"].outcome.sensitivity == RATE
    assert rule.words == (
        "called Normal only below 4.129% of being sick (99% sensitivity on validation); "
        "suspected contagious from 30% of COVID-19 or viral pneumonia on (set by hand)"
    )
    assert verify(folder) == card, "the model is as whole as before"


def test_figures_that_are_undefined_come_back_so(folder: Path, keep: Callable[..., Card]) -> None:
    card = keep()
    outcome = replace(point().outcome, specificity=UNDEFINED)
    rule = replace(card.operating_point, sick=replace(point(), outcome=outcome))
    replace(card, operating_point=rule).write(folder / "card.json")
    found = read(folder).points["sick"].outcome.specificity
    assert found.value != found.value and found.wilson.low != found.wilson.low


@pytest.mark.parametrize("values", [{"rule": "highest probability"}, {}, {"rule": "highest probability", "note": 1}])
def test_cards_of_earlier_versions_stay_valid(folder: Path, values: dict[str, Any]) -> None:
    change(folder, lambda _: values)
    assert read(folder) == HIGHEST_PROBABILITY
    assert read(folder).words == "highest probability"


def change(folder: Path, changed: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Edit what the card's JSON has as operating point."""
    path = folder / "card.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "operating_point": changed(values["operating_point"])}))


def of_sick(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda rule: {**rule, "sick": {**rule["sick"], **changes}}


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda rule: {**rule, "rule": "coin"}, "coin"),
        (lambda rule: {**rule, "sick": None}, "no point"),
        (lambda rule: {**rule, "sicc": rule["sick"]}, "sicc"),
        (lambda rule: {**rule, "weights_sha256": "f" * 64}, "chosen for the weights ffffffff"),
        (lambda rule: {**rule, "temperature": 1.5}, "temperature 1.5"),
        (lambda rule: {**rule, "temperature": "warm"}, "temperature"),
        (lambda rule: {**rule, "sick": 0.04}, "expected an object"),
        (of_sick(threshold=1.7), "threshold is 1.7"),
        (of_sick(threshold=True), "threshold is True"),
        (of_sick(threshold=None), "threshold"),
        (of_sick(target_sensitivity=99), "target_sensitivity"),
        (of_sick(target_sensitivity=0), "target_sensitivity"),
        (of_sick(chosen_on=[]), "chosen_on"),
        (of_sick(chosen_on={"split": "validation"}), "images"),
        (of_sick(test={}), "sensitivity"),
        (of_sick(test=None), "test"),
        (of_sick(date="yesterday"), "yesterday"),
        (of_sick(more=1), "more"),
    ],
)
def test_a_damaged_one_is_refused_with_what_to_do_and_can_be_reset(
    folder: Path, keep: Callable[..., Card], damage: Any, word: str
) -> None:
    keep()
    change(folder, damage)
    with pytest.raises(WeightsError, match=word) as caught:
        Card.read(folder / "card.json")
    assert "operating-point tiny --reset" in str(caught.value)
    reset_point(folder)
    assert read(folder) == HIGHEST_PROBABILITY


def test_a_question_that_the_classes_do_not_allow_is_refused(folder: Path, keep: Callable[..., Card]) -> None:
    keep("contagious")
    card = json.loads((folder / "card.json").read_text())
    card["classes"] = ["a", "b", "Normal", "d"]
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="cannot be asked of the classes a, b"):
        Card.read(folder / "card.json")


def test_every_change_can_be_taken_back_to_what_held_before(folder: Path, keep: Callable[..., Card]) -> None:
    before = (folder / "card.json").read_bytes()
    keep()
    undo_point(folder)
    assert (folder / "card.json").read_bytes() == before
    first = keep().operating_point.words
    keep(threshold=0.2, target=0.95)
    assert undo_point(folder).operating_point.words == first
    with pytest.raises(UsageError, match="left to be taken back"):
        undo_point(folder)
    assert reset_point(folder).operating_point.words == "highest probability"
    assert undo_point(folder).operating_point.words == first


def test_one_question_can_be_reset_alone(folder: Path, keep: Callable[..., Card]) -> None:
    keep()
    keep("contagious", threshold=0.3)
    assert set(reset_point(folder, "sick").operating_point.points) == {"contagious"}
    with pytest.raises(UsageError, match="'sick'"):
        reset_point(folder, "sick")
    reset_point(folder, "contagious")
    with pytest.raises(UsageError, match="highest probability"):
        reset_point(folder)


def test_a_point_never_lands_on_another_model_than_it_was_chosen_for(
    folder: Path, keep: Callable[..., Card], tmp_path: Path
) -> None:
    old = verify(folder)
    other = tmp_path / "run" / "model"
    other.mkdir(parents=True)
    shutil.copy(folder / "predictions.csv", other)
    save_tiny_model(other, seed=5)
    keep()
    promoted = promote(other, folder.parent, name="tiny")
    assert promoted.operating_point == HIGHEST_PROBABILITY, "a point stays with the weights it was chosen for"
    with pytest.raises(WeightsError, match="meanwhile"):
        save_point(folder, "sick", point(table=old.predictions_sha256), weights_sha256=old.weights_sha256)
    assert read(folder) == HIGHEST_PROBABILITY
    undo_promotion(folder.parent)
    assert set(read(folder).points) == {"sick"}, "the model that comes back has its own"


def test_a_promotion_can_still_be_taken_back_after_a_point_was_saved(folder: Path, tmp_path: Path) -> None:
    promoted = promote(folder, folder.parent, name="second")
    place = folder.parent / "second"
    table = promoted.predictions_sha256
    save_point(place, "sick", point(table=table), weights_sha256=promoted.weights_sha256)
    undo_promotion(folder.parent)
    assert not place.exists()


def test_where_the_card_cannot_be_written_it_says_what_to_do_and_nothing_changes(
    folder: Path, keep: Callable[..., Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (folder / "card.json").read_bytes()

    def refused(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("lungassist.files.tempfile.mkstemp", refused)
    with pytest.raises(WeightsError, match="LUNGASSIST_WEIGHTS") as caught:
        keep()
    assert "Permission denied" in str(caught.value)
    assert (folder / "card.json").read_bytes() == before


def test_the_card_behind_a_link_is_written_and_the_link_stays(
    folder: Path, keep: Callable[..., Card], tmp_path: Path
) -> None:
    real = tmp_path / "elsewhere"
    folder.rename(real)
    folder.symlink_to(real)
    keep()
    assert folder.is_symlink()
    assert set(read(real).points) == {"sick"}


def test_saving_what_holds_already_leaves_the_way_back(folder: Path, keep: Callable[..., Card]) -> None:
    keep("contagious", threshold=0.3)
    keep()
    before = read(folder)
    keep()
    assert read(folder) == before
    assert before.previous is not None
    assert undo_point(folder).operating_point.words == before.previous.words
    # The same threshold set by hand is another choice, and triage says so.
    keep()
    keep(target=None)
    assert undo_point(folder).operating_point.words == before.words
