"""Putting an operating point on the card of a model on the shelf, and taking it off again.

A change is made under the shelf's lock, like a promotion, so that it cannot meet a model that is being replaced. The
card is written in one step. A promoted model brings its own card, and one that comes back has the point it had.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from lungassist.errors import UsageError, WeightsError
from lungassist.models.card import Card
from lungassist.models.operating_point import SavedPoint
from lungassist.models.promotion import changing
from lungassist.models.weights import CARD_FILE, verify

_READ_ONLY: Final = (
    "{card} cannot be written ({reason}), so the operating point was not saved and nothing changed. Make the folder "
    "writable for the user that LungAssist runs as, or copy the models to a folder that is, and name that by "
    "LUNGASSIST_WEIGHTS."
)


def save_point(folder: Path, question: str, point: SavedPoint, *, weights_sha256: str) -> Card:
    """Let triage judge by a threshold from now on; the other question's, if any, stays.

    Args:
        folder: the model's, in `weights/`.
        question: what the threshold is for.
        point: chosen on and judged by the model's own table.
        weights_sha256: of the model that it was chosen for.

    Returns:
        The card as written.

    Raises:
        WeightsError: another model has come into the folder since, the model is damaged, or it cannot be written to.
    """
    with changing(folder.parent):
        card = verify(folder)
        if (card.weights_sha256, card.predictions_sha256) != (weights_sha256, point.table_sha256):
            raise WeightsError(
                f"The point was chosen for {folder.name} with the weights {weights_sha256[:8]}; meanwhile there is "
                f"{card.full_version} in its place. Choose a point for that one."
            )
        rule = card.operating_point.with_point(question, point, card.weights_sha256, card.temperature)
        return _written(replace(card, operating_point=rule), folder)


def reset_point(folder: Path, question: str | None = None) -> Card:
    """Go back to the highest probability, for one question or for all; mends a damaged operating point, too.

    Returns:
        The card as written.

    Raises:
        UsageError: there is nothing to go back from.
        WeightsError: the card cannot be read, but for its operating point, or not be written.
    """
    with changing(folder.parent):
        try:
            card = Card.read(folder / CARD_FILE)
        except WeightsError:
            return _written(Card.read(folder / CARD_FILE, forget_point=True), folder)
        points = card.operating_point.points
        if not points or (question is not None and question not in points):
            wanted = f"for the question {question!r}" if points else "at all"
            raise UsageError(f"{folder.name} has no operating point {wanted}: {card.operating_point.words}.")
        return _written(replace(card, operating_point=card.operating_point.without(question)), folder)


def undo_point(folder: Path) -> Card:
    """Take the last change of the operating point back: what held before holds again.

    Returns:
        The card as written.

    Raises:
        UsageError: there is no change left to take back.
        WeightsError: the card cannot be read or written.
    """
    with changing(folder.parent):
        card = Card.read(folder / CARD_FILE)
        previous = card.operating_point.previous
        if previous is None:
            raise UsageError(f"No change of the operating point of {folder.name} is left to be taken back.")
        return _written(replace(card, operating_point=previous), folder)


def _written(card: Card, folder: Path) -> Card:
    # Where a link leads to: the card itself is replaced, never the link to it.
    place = (folder / CARD_FILE).resolve()
    try:
        card.write(place)
    except OSError as error:
        raise WeightsError(_READ_ONLY.format(card=place, reason=error.strerror or error)) from error
    return card
