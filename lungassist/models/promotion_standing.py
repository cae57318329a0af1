"""Where a promotion stands by now: whether the shelf still has what it put there, and which one can be taken back."""

from __future__ import annotations

from pathlib import Path

from lungassist.errors import WeightsError
from lungassist.models.card import Card
from lungassist.models.promotion import promotions
from lungassist.models.promotion_journal import Promotion
from lungassist.models.weights import CARD_FILE


def last_promotion(weights_dir: Path) -> Promotion | None:
    """The one that `undo_promotion` would take back: the last that was not taken back yet.

    Raises:
        WeightsError: the history is damaged.
    """
    return next((entry for entry in promotions(weights_dir) if not entry.is_undone), None)


def card_in_its_place(entry: Promotion, weights_dir: Path) -> Card | None:
    """The card of what has the name of a promoted model now; None where nothing has, or nothing that can be read."""
    try:
        return Card.read(weights_dir / entry.name / CARD_FILE, forget_point=True)
    except WeightsError:
        return None


def is_in_place(entry: Promotion, weights_dir: Path) -> bool:
    """Whether the shelf has what was promoted, and not another model under its name."""
    card = card_in_its_place(entry, weights_dir)
    return card is not None and card.weights_sha256 == entry.weights_sha256
