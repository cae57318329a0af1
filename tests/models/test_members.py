"""Ensembles on the shelf: what their cards name is what answers, and what is missing or altered is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lungassist.errors import UsageError, WeightsError
from lungassist.models.card import Card
from lungassist.models.members import ENSEMBLE, Member, digest_of, shares_of
from lungassist.models.promotion import promote, undo_promotion
from lungassist.models.weights import load_members, load_model, read_shelf, verify
from lungassist.predict import Classifier
from lungassist.preprocess import Preprocessing
from lungassist.settings import Settings
from lungassist.training.recipe import Recipe
from lungassist.training.starting import starting_model
from tests.drawn import SMALL, prepared_films
from tests.tiny import save_tiny_model, tiny_card


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Two tiny models and an ensemble of them."""
    shelf = tmp_path / "weights"
    cards = [save_tiny_model(shelf / name, seed=seed, temperature=30.0) for seed, name in enumerate(("one", "two"))]
    write_ensemble(shelf / "both", *cards)
    return shelf


def write_ensemble(folder: Path, *cards: Card, **changes: object) -> Card:
    members = tuple(map(Member.of, cards))
    card = tiny_card(
        folder.name, **{"architecture": ENSEMBLE, "members": members, "weights_sha256": digest_of(members), **changes}
    )
    folder.mkdir(parents=True, exist_ok=True)
    card.write(folder / "card.json")
    return card


def said(shelf: Path) -> np.ndarray:
    return Classifier.load(shelf / "both").predict(prepared_films(3, 32), None).probabilities


def test_the_card_comes_back_as_it_was_written(shelf: Path) -> None:
    card = Card.read(shelf / "both" / "card.json")
    assert [member.name for member in card.members] == ["one", "two"]
    assert card.members[1] == Member.of(Card.read(shelf / "two" / "card.json"))
    card.write(shelf / "both" / "card.json")
    assert Card.read(shelf / "both" / "card.json") == card == verify(shelf / "both")


def test_its_networks_are_those_of_its_members(shelf: Path) -> None:
    members, card = load_members(shelf / "both")
    assert card.name == "both"
    assert [own.name for _, own in members] == ["one", "two"]
    (single,), own = load_members(shelf / "one")
    assert single[1] == own == Card.read(shelf / "one" / "card.json")


def test_one_network_is_not_had_of_an_ensemble(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="ensemble of one, two; one network was expected"):
        load_model(shelf / "both")
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(shelf))
    recipe = Recipe(architecture=SMALL, start="both", size=32)
    with pytest.raises(UsageError, match="Name one of these"):
        starting_model(recipe, tiny_card().classes, Settings.from_environment())


def test_a_member_that_is_gone_is_named_and_the_rest_of_the_shelf_is_offered(shelf: Path) -> None:
    shutil.rmtree(shelf / "two")
    entries = {entry.name: entry for entry in read_shelf(shelf)}
    assert entries["one"].problem is None
    assert entries["both"].card is None
    assert "its member two 1.0" in str(entries["both"].problem)
    with pytest.raises(WeightsError, match="Restore that model"):
        Classifier.load(shelf / "both")


def test_a_member_under_another_name_is_found(shelf: Path) -> None:
    before = said(shelf)
    (shelf / "two").rename(shelf / "renamed")
    np.testing.assert_array_equal(said(shelf), before)


def test_a_member_that_is_trained_anew_does_not_change_the_answer(shelf: Path, tmp_path: Path) -> None:
    before = said(shelf)
    save_tiny_model(tmp_path / "run" / "two", seed=7, temperature=30.0)
    promote(tmp_path / "run" / "two", shelf, name="two", make_default=False)
    assert Member.of(Card.read(shelf / "two" / "card.json")) != Card.read(shelf / "both" / "card.json").members[1]
    np.testing.assert_array_equal(said(shelf), before)
    undo_promotion(shelf)
    np.testing.assert_array_equal(said(shelf), before)


@pytest.mark.parametrize(
    "changes",
    [{"temperature": 2.0}, {"flip_test": True}, {"preprocessing": Preprocessing(size=32, enhancement="clahe")}],
    ids=lambda changes: next(iter(changes)),
)
def test_the_same_weights_that_are_asked_otherwise_are_no_member(shelf: Path, changes: dict[str, object]) -> None:
    card = Card.read(shelf / "two" / "card.json")
    replace(card, **changes).write(shelf / "two" / "card.json")  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match="member two"):
        verify(shelf / "both")


def test_how_much_a_member_counts_is_no_part_of_who_it_is(shelf: Path) -> None:
    cards = [Card.read(shelf / name / "card.json") for name in ("one", "two")]
    members = Member.of(cards[0], 1.0), Member.of(cards[1], 3.0)
    card = write_ensemble(shelf / "both", *cards, members=members, weights_sha256=digest_of(members))
    assert verify(shelf / "both") == card
    assert shares_of(card.members) == [0.25, 0.75]


def test_a_members_own_operating_point_does_not_matter(shelf: Path) -> None:
    before = said(shelf)
    path = shelf / "two" / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"operating_point": {"rule": "damaged"}}))
    np.testing.assert_array_equal(said(shelf), before)


def test_a_member_that_is_replaced_while_others_load_is_still_the_one_that_is_meant(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = said(shelf)
    save_tiny_model(tmp_path / "run" / "two", seed=7, temperature=30.0)
    read_bytes, done = Path.read_bytes, []

    def replacing(path: Path) -> bytes:
        if path.parent.name == "two" and path.name == "model.safetensors" and not done:
            done.append(promote(tmp_path / "run" / "two", shelf, name="two", make_default=False))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", replacing)
    np.testing.assert_array_equal(said(shelf), before)
    assert done, "else it shows nothing"


def test_an_ensemble_is_found_from_within_its_folder(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = said(shelf)
    monkeypatch.chdir(shelf / "both")
    np.testing.assert_array_equal(Classifier.load(Path()).predict(prepared_films(3, 32), None).probabilities, before)


def test_a_damaged_member_is_found(shelf: Path) -> None:
    path = shelf / "two" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged"):
        verify(shelf / "both")


Change = Callable[[dict[str, object]], object]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda card: card["members"].pop(), "at least 2 members"),
        (lambda card: card.update(members=[]), "only an ensemble has members"),
        (lambda card: card.update(architecture=SMALL), "only an ensemble has members"),
        (lambda card: card["members"][0].update(temperature=2.0), "not that of its members"),
        (lambda card: card["members"].reverse(), "not that of its members"),
        (lambda card: card["members"][0].update(temperature=0), "above 0"),
        (lambda card: card["members"][0].update(weight=2.0), "not that of its members"),
        (lambda card: card["members"][0].update(weight=-1), "weight is -1.0; it must be above 0"),
        (lambda card: [member.update(weight=1e308) for member in card["members"]], "each must be a part of their sum"),
        (lambda card: card["members"][0].update(weight=1e-9), "each must be a part of their sum"),
        (lambda card: card["members"][0].update(colour="grey"), "a member is"),
        (lambda card: card["members"][0].pop("name"), "name"),
        (lambda card: card["members"][0]["preprocessing"].update(size=64), "images of one size"),
        (lambda card: card.update(members="one"), "no list"),
        (lambda card: card.update(members=["one", "two"]), "no card"),
    ],
)
def test_a_card_that_was_altered_is_refused(shelf: Path, change: Change, words: str) -> None:
    path = shelf / "both" / "card.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(WeightsError, match=words):
        Card.read(path)


def test_a_member_is_looked_for_on_the_shelf_alone(shelf: Path, tmp_path: Path) -> None:
    one = Card.read(shelf / "one" / "card.json")
    elsewhere = save_tiny_model(tmp_path / "elsewhere", seed=9)
    write_ensemble(shelf / "both", one, replace(elsewhere, name="../elsewhere"))
    with pytest.raises(WeightsError, match="is not in"):
        verify(shelf / "both")
