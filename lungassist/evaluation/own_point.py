"""An operating point to save with a model: chosen on its own validation images, judged on its own test images.

A point is a promise about a model's probabilities. Only the table that training left beside its weights can give it:
that table's hash stands on the model's card, and the figures on the card were computed from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from lungassist.classes import NORMAL
from lungassist.errors import PredictionsError, UsageError
from lungassist.evaluation.images import image_sets
from lungassist.evaluation.operating import judged, operating_point_of, question_of
from lungassist.evaluation.tables import Predictions, read_predictions
from lungassist.files import sha256_of
from lungassist.metrics import RESAMPLES
from lungassist.models.card import Card
from lungassist.models.decision import Thresholds, decide
from lungassist.models.operating_point import OperatingRule, SavedPoint
from lungassist.models.weights import CARD_FILE, PREDICTIONS_FILE, verify

_SEED = 1


@dataclass(frozen=True, slots=True)
class Effect:
    """What a rule does to the test images of a model's own table.

    Attributes:
        sick, healthy: how many there are.
        called_normal: sick images whose finding is Normal.
        called_sick: healthy images whose finding is not.
    """

    sick: int
    healthy: int
    called_normal: int
    called_sick: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """A point that can be saved with a model.

    Attributes:
        question: what its threshold is for.
        point: with figures.
        weights_sha256: of the model that it is for.
        rule: of the model, once it is saved.
    """

    question: str
    point: SavedPoint
    weights_sha256: str
    rule: OperatingRule


def propose(
    folder: Path, question: str, *, target: float | None = None, threshold: float | None = None, seen_on: str = ""
) -> Proposal:
    """Choose a threshold for a target sensitivity on validation, or take one as it is, and judge it on test.

    Args:
        folder: the model's, in `weights/`.
        question: one of `operating.QUESTIONS`.
        target: the sensitivity wanted, in (0, 1]; or None and
        threshold: in [0, 1], set by hand.
        seen_on: with `threshold`: the split whose images the person was looking at, '' if none.

    Raises:
        WeightsError: the model or its table is damaged.
        PredictionsError: the table is not there or not known to be the model's, or lacks the images.
        UsageError: target or threshold is out of range, or both or none were given.
    """
    if (target is None) == (threshold is None):
        raise UsageError("Either a target sensitivity or a threshold was expected.")
    card = verify(folder)
    table = _own_table(folder, card)
    (images,) = image_sets([_needed(table, "test")], RESAMPLES, _SEED)
    if target is not None:
        chosen = operating_point_of(table, images, question, target)
        split, outcome = "validation", chosen.outcome
    else:
        assert threshold is not None
        if not 0 <= threshold <= 1:
            raise UsageError(f"A threshold from 0 to 1 was expected; {threshold} came. Say 0.05 for 5 %.")
        split, outcome = seen_on, judged(images, table.name, question, threshold)
    chosen_on = table.of_split(split)
    point = SavedPoint(
        target=target,
        split=split,
        images=len(chosen_on),
        positives=int(question_of(table.classes, question, chosen_on.labels, chosen_on.probabilities)[1].sum()),
        table_sha256=card.predictions_sha256,
        outcome=outcome,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    rule = card.operating_point.with_point(question, point, card.weights_sha256, card.temperature)
    return Proposal(question, point, card.weights_sha256, rule)


def effect_of(table: Predictions, thresholds: Thresholds) -> Effect | None:
    """What a rule does to the table's test images; None where the classes have no Normal."""
    if NORMAL not in table.classes:
        return None
    test, normal = table.of_split("test"), table.classes.index(NORMAL)
    found, sick = decide(thresholds, table.classes, test.probabilities), test.labels != normal
    return Effect(
        sick=int(sick.sum()),
        healthy=int((~sick).sum()),
        called_normal=int(np.count_nonzero(sick & (found == normal))),
        called_sick=int(np.count_nonzero(~sick & (found != normal))),
    )


def effect_in_words(effect: Effect, otherwise: Effect) -> str:
    """What a rule does beside what the highest probability would do."""
    return (
        f"Of {effect.sick:,} sick test images {effect.called_normal:,} are called Normal (by highest probability "
        f"{otherwise.called_normal:,}); of {effect.healthy:,} healthy ones {effect.called_sick:,} are called sick "
        f"({otherwise.called_sick:,})."
    )


def own_table(folder: Path) -> Predictions:
    """The table that belongs to a model of the shelf.

    Raises:
        PredictionsError: it is not there, or not known to be the model's.
        WeightsError: the model or the table is damaged.
    """
    return _own_table(folder, verify(folder))


def owner_of(table: Predictions, weights_dir: Path) -> Card:
    """The card, as it is now, of the model of the shelf that a table belongs to, whose operating point it may set.

    Args:
        table: as it is compared.
        weights_dir: the shelf.

    Raises:
        PredictionsError: it is no such table; says why and what to do.
        WeightsError: the model's card cannot be used.
    """
    only = "Only the table that belongs to a model in weights/ may set its operating point"
    path = table.path
    if path is None or path.name != PREDICTIONS_FILE or path.parent.parent != weights_dir:
        raise PredictionsError(
            f"{only}. This one is of a record, a run, an evaluation or from elsewhere: it may be of another version or "
            "of images that the model learnt from. Promote the run, or choose the model's own table."
        )
    card = Card.read(path.parent / CARD_FILE)
    if not card.predictions_sha256:
        raise PredictionsError(f"{only}, and the card of {path.parent.name} does not say by hash which that is.")
    if sha256_of(path) != card.predictions_sha256:
        raise PredictionsError(f"{only}; {path} is not the one that the card of {path.parent.name} names.")
    return card


def _own_table(folder: Path, card: Card) -> Predictions:
    path = folder / PREDICTIONS_FILE
    if not path.is_file():
        raise PredictionsError(
            f"{folder} has no {PREDICTIONS_FILE}. Only the table that belongs to a model may set its operating point: "
            "restore it from where the model came."
        )
    if not card.predictions_sha256:
        raise PredictionsError(
            f"The card of {folder.name} does not say by hash which table belongs to its weights, so none may set its "
            "operating point. Train the model again."
        )
    return read_predictions(path)


def _needed(table: Predictions, split: str) -> Predictions:
    found = table.of_split(split)
    if not len(found):
        raise PredictionsError(f"An operating point is judged on {split} images; {table.path} has none.")
    return found
