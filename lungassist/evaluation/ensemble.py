"""An ensemble: several models of the shelf that are asked together, made of their own tables without an image.

Its answer is the mean of its members' calibrated log-probabilities (`models.members.pooled`), with a temperature of its
own. Their tables hold those probabilities for the same images, so that its table, its temperature and its figures
follow from them. Where images go through an enhancement first, the members are asked anew about those that it changes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import softmax

from lungassist.classes import spoken
from lungassist.dataset import SPLITS
from lungassist.errors import PredictionsError, UsageError
from lungassist.evaluation.ensemble_images import SeenThrough, asked_anew
from lungassist.evaluation.own_point import own_table
from lungassist.evaluation.predictions import PREFIX, figures_of, predictions_table, write_predictions
from lungassist.evaluation.tables import COMMON, Predictions
from lungassist.files import sha256_of
from lungassist.golden import record
from lungassist.metrics import fit_temperature_of_logits
from lungassist.models.card import Card
from lungassist.models.members import ENSEMBLE, FEWEST, SMALLEST_SHARE, Member, can_count, digest_of, pooled, shares_of
from lungassist.models.operating_point import HIGHEST_PROBABILITY
from lungassist.models.promotion import check_name, promote, promotions, undo_promotion
from lungassist.models.promotion_journal import Promotion
from lungassist.models.weights import CARD_FILE, PREDICTIONS_FILE, choose_model, verify

#: Of a card's sentences on what is weak, those that begin so are of one model's own figures.
_OF_ONE_MODEL: Final = "Weakest at "


def make_ensemble(
    weights_dir: Path,
    members: Sequence[str],
    *,
    name: str,
    weights: Sequence[float] | None = None,
    make_default: bool = False,
    through: SeenThrough | None = None,
) -> Card:
    """Put models of the shelf together under a name of their own, where triage offers them at once.

    An ensemble of that name is replaced and kept, like any model that is promoted; `undo_ensemble` brings it back.

    Args:
        weights_dir: the shelf.
        members: names of models there, two at least.
        name: the ensemble's.
        weights: how much each member counts; all alike by default.
        make_default: let triage start with it.
        through: an enhancement that images go through before each member adds its own, and the members' images.

    Returns:
        The card as it lies on the shelf; triage judges by the highest probability until a point is chosen.

    Raises:
        UsageError: there are too few members, or not as many weights; one is named twice, is itself an ensemble or not
            there; the name cannot be used or is another model's; or they take images of different sizes or tell other
            classes apart.
        PredictionsError: a member's table is not there, or they are of other images, labels or splits.
        WeightsError: a member is damaged, or the shelf cannot be written to.
        DatasetError, CacheError: the images cannot be read.
    """
    check_name(name)
    _refuse_taken(weights_dir / name)
    cards = _cards(weights_dir, members)
    counted = _counted(cards, weights or [1.0] * len(cards))
    tables = [_sorted(own_table(weights_dir / member)) for member in members]
    for member, other in zip(members[1:], tables[1:], strict=True):
        _refuse_other_images(tables[0], other, members[0], member)
    enhancement, changed = "none", 0
    if through is not None:
        enhancement = through.enhancement
        folders = [(weights_dir / member, card) for member, card in zip(members, cards, strict=True)]
        tables, changed = asked_anew(through, folders, tables)
    table, temperature = _together(tables, shares_of(counted), cards[0].classes, members[0])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / name
        folder.mkdir()
        write_predictions(folder / PREDICTIONS_FILE, table)
        card = _card(cards, counted, name, table, temperature, folder)
        if enhancement != "none":
            card = replace(
                card,
                preprocessing=replace(card.preprocessing, enhancement=enhancement),
                weights_sha256=digest_of(counted, enhancement),
                hyper_parameters={"enhancement": enhancement, "images_changed": changed},
            )
        card.write(folder / CARD_FILE)
        record(folder, weights_dir)  # and so they are asked once, before anybody else can
        return promote(folder, weights_dir, name=name, make_default=make_default)


def undo_ensemble(weights_dir: Path, name: str) -> Promotion:
    """Take an ensemble off the shelf again, if making it was the last thing that was done there.

    What it replaced, if anything, and the model that triage started with come back.

    Raises:
        UsageError: something else was put there last, or the shelf was changed by other means since.
        WeightsError: the shelf or its history cannot be read or written.
    """
    last = last_ensemble(weights_dir)
    if last is None or last.name != name:
        there = f": {last.name} was" if last else ""
        raise UsageError(
            f"{name} is not the ensemble that was put into {weights_dir} last{there}. Nothing was changed."
        )
    return undo_promotion(weights_dir)


def last_ensemble(weights_dir: Path) -> Promotion | None:
    """The last promotion to the shelf that was not taken back, if that was an ensemble's.

    Raises:
        WeightsError: the history is damaged.
    """
    last = next((entry for entry in promotions(weights_dir) if not entry.is_undone), None)
    place = weights_dir / last.name / CARD_FILE if last else None
    if place is None or not place.is_file():
        return None
    return last if Card.read(place, forget_point=True).members else None


def _refuse_taken(folder: Path) -> None:
    if (folder / CARD_FILE).is_file() and not Card.read(folder / CARD_FILE, forget_point=True).members:
        raise UsageError(f"{folder} is a model with weights of its own. Choose another name for the ensemble.")


def _cards(weights_dir: Path, members: Sequence[str]) -> list[Card]:
    if len(set(members)) < max(FEWEST, len(members)):
        raise UsageError(f"An ensemble needs at least {FEWEST} models, each named once; {', '.join(members)} came.")
    # By the name of the folder, in which a member is looked for, whatever its card says.
    cards = [replace(verify(weights_dir / choose_model(weights_dir, member)), name=member) for member in members]
    first = cards[0]
    for card in cards:
        if card.members:
            others = ", ".join(member.name for member in card.members)
            raise UsageError(f"{card.name} is an ensemble itself. Name its members instead: {others}.")
        if card.classes != first.classes:
            raise UsageError(
                f"{card.name} tells {', '.join(card.classes)} apart, {first.name} {', '.join(first.classes)}. The "
                "members of an ensemble must know the same classes, in the same order."
            )
        if card.preprocessing.size != first.preprocessing.size:
            raise UsageError(
                f"{card.name} takes images of {card.preprocessing.size} pixels, {first.name} of "
                f"{first.preprocessing.size}. The members of an ensemble must take the same size."
            )
        _refuse_other_pictures(first, card)
    return cards


def _refuse_other_pictures(first: Card, card: Card) -> None:
    """Files of the same names may hold other pictures, such as another release of the database."""
    own, other = (each.data.get("content_sha256") for each in (first, card))
    if own and other and own != other:
        raise UsageError(
            f"{card.name} and {first.name} were trained and judged on files of other contents, as their cards say. The "
            "members of an ensemble must have seen the same images."
        )


def _counted(cards: Sequence[Card], weights: Sequence[float]) -> tuple[Member, ...]:
    if len(weights) != len(cards) or not can_count(weights):
        raise UsageError(
            f"Expected a weight above 0 for each of {len(cards)} members, none of them less than {SMALLEST_SHARE:g} of "
            f"their sum; {', '.join(f'{w:g}' for w in weights)} came. Give small numbers such as 1 2."
        )
    return tuple(Member.of(card, float(weight)) for card, weight in zip(cards, weights, strict=True))


def _together(
    tables: Sequence[pd.DataFrame], shares: Sequence[float], classes: tuple[str, ...], name: str
) -> tuple[pd.DataFrame, float]:
    """The ensemble's table of predictions, and its temperature, from tables of the same images in the same order."""
    first = tables[0]
    columns = [f"{PREFIX}{label}" for label in classes]
    logits = pooled(np.stack([table[columns].to_numpy(np.float64) for table in tables]), shares)
    validation = (first["split"] == "validation").to_numpy()
    if not validation.any():
        raise PredictionsError(
            f"The table of {name} has no validation images, and the temperature of an ensemble is fitted on "
            "them. Train the members with a split that has some."
        )
    labels = np.asarray(first["label"].map({label: place for place, label in enumerate(classes)}), np.int64)
    temperature = fit_temperature_of_logits(logits[validation], labels[validation])
    return predictions_table(first[list(COMMON)], softmax(logits / temperature, axis=1), classes), temperature


def _sorted(table: Predictions) -> pd.DataFrame:
    return table.table.sort_values("file", kind="stable", ignore_index=True)


def _refuse_other_images(first: pd.DataFrame, other: pd.DataFrame, name: str, other_name: str) -> None:
    said = ["file", "label", "split"]
    if first[said].equals(other[said]):
        return
    both = first[said].merge(other[said], on="file", how="outer", suffixes=("", "_other"), indicator=True)
    alone = int((both["_merge"] != "both").sum())
    differ = int(((both["label"] != both["label_other"]) | (both["split"] != both["split_other"])).sum()) - alone
    raise PredictionsError(
        f"{name} and {other_name} were not trained and judged on the same images: {alone:,} images are in one table "
        f"only, {differ:,} have another label or split. An ensemble's test images must be ones that no member has "
        "seen: train both with one --split-file."
    )


def _card(
    cards: Sequence[Card],
    members: tuple[Member, ...],
    name: str,
    table: pd.DataFrame,
    temperature: float,
    folder: Path,
) -> Card:
    first = cards[0]
    figures = {split: figures_of(table[table["split"] == split], first.classes) for split in SPLITS}
    return replace(
        first,
        name=name,
        version="1.0",
        architecture=ENSEMBLE,
        preprocessing=replace(first.preprocessing, enhancement="none"),  # each member adds its own
        temperature=temperature,
        operating_point=HIGHEST_PROBABILITY,
        hyper_parameters={},
        libraries={},
        training={},
        figures=figures,
        limitations=_limitations(cards, figures["test"]),
        weights_sha256=digest_of(members),
        predictions_sha256=sha256_of(folder / PREDICTIONS_FILE),
        flip_test=False,  # a member has its own
        members=members,
    )


def _limitations(cards: Sequence[Card], test: dict[str, Any]) -> tuple[str, ...]:
    """What all members say of themselves, and what the ensemble's own figures say."""
    others = [set(card.limitations) for card in cards[1:]]
    shared = [
        sentence
        for sentence in cards[0].limitations
        if all(sentence in said for said in others) and not sentence.startswith(_OF_ONE_MODEL)
    ]
    names = ", ".join(card.name for card in cards)
    recalls = {label: row for label, row in test["per_class"].items() if row["recall"] is not None}
    if recalls:
        weakest = min(recalls, key=lambda label: recalls[label]["recall"])
        row = recalls[weakest]
        shared.append(
            f"{_OF_ONE_MODEL}{spoken(weakest)}: {row['recall']:.0%} of its {row['images']} test images are found."
        )
    return (*shared, f"An ensemble of {names}: what is weak in all of these is weak in it, see their cards.")
