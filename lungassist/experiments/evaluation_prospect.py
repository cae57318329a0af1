"""An evaluation before it is launched: what it would ask each model, what speaks against it, and what is there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lungassist.classes import spoken
from lungassist.dataset import SPLITS, DatasetIndex
from lungassist.errors import LungAssistError
from lungassist.evaluation.evaluate import file_stem
from lungassist.evaluation.origin import Assigned, seen_in_training, splits_for
from lungassist.experiments.evaluation_request import EvaluationRequest, request_of
from lungassist.models.card import Card
from lungassist.models.weights import CARD_FILE
from lungassist.settings import Settings

#: Classes of a folder that are named.
_NAMED: Final = 4


@dataclass(frozen=True, slots=True)
class Prospect:
    """One model on one folder.

    Attributes:
        model: of the shelf.
        counts: images by split.
        trained: how many of all it was trained on, by the names of its files.
        problem: why it cannot be evaluated there; '' if it can.
        warning: what a reader must know of training images among those that are judged; '' if there are none.
        notes: further sentences.
        there: the evaluation that has this table already; '' if none.
    """

    model: str
    counts: Mapping[str, int]
    trained: int
    problem: str
    warning: str
    notes: tuple[str, ...]
    there: str

    @property
    def is_open(self) -> bool:
        """Whether there is something to do, and nothing against it."""
        return not self.problem and not self.there


def prospects(request: EvaluationRequest, index: DatasetIndex, settings: Settings) -> tuple[Prospect, ...]:
    """Look at every model; reads tables and cards, but no image."""
    return tuple(_prospect(model, request, index, settings) for model in request.models)


def _prospect(model: str, request: EvaluationRequest, index: DatasetIndex, settings: Settings) -> Prospect:
    folder = settings.weights_dir / model
    try:
        card = Card.read(folder / CARD_FILE)
        assigned = splits_for(index, folder, request.split_file)
    except LungAssistError as error:
        return Prospect(model, {}, 0, str(error), "", (), "")
    seen = seen_in_training(index, folder)
    used = np.isin(assigned.splits, SPLITS)
    counts = Counter(assigned.splits[used].tolist())
    problem = _strange_classes(index, used, card)
    there = "" if problem else _there(card, request, sum(counts.values()), settings)
    notes = (*assigned.notes, *_missing_classes(index, card))
    return Prospect(model, counts, int((seen & used).sum()), problem, warning_of(model, assigned, seen), notes, there)


def warning_of(model: str, assigned: Assigned, seen: NDArray[np.bool_]) -> str:
    """What must be said where a model was trained on images of the folder; '' where it was not.

    Args:
        model: for the sentence.
        assigned: the splits in which its images count.
        seen: `(N,)`, those that it was trained on, see `seen_in_training`.
    """
    judged = int((seen & (assigned.splits == "test")).sum())
    tests = int((assigned.splits == "test").sum())
    if judged:
        return (
            f"By their names, {model} was trained on {judged:,} of the {tests:,} images that count as test here: its "
            "figures are better than on new images, and must not be taken for its quality."
        )
    trained = int((seen & np.isin(assigned.splits, SPLITS)).sum())
    if not trained:
        return ""
    rest = f"only the {tests:,} test images say how good it is" if tests else "no image says how good it is on new ones"
    return f"By their names, {model} was trained on {trained:,} of these images, which it knows by heart: {rest}."


def _strange_classes(index: DatasetIndex, used: NDArray[np.bool_], card: Card) -> str:
    found = Counter(index.table["label"][used].tolist())
    if not found:
        return f"No image of {index.root} is in the split file as one of train, validation or test."
    strange = sorted(set(found) - set(card.classes))
    if not strange:
        return ""
    named = ", ".join(f"{label!r} ({found[label]:,} images)" for label in strange[:_NAMED])
    more = f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
    return (
        f"{card.name} does not know the classes {named}{more}. It knows {', '.join(map(repr, card.classes))}. Name the "
        "folders so, or choose a folder that has no others."
    )


def _missing_classes(index: DatasetIndex, card: Card) -> tuple[str, ...]:
    missing = [spoken(label) for label in card.classes if label not in index.classes]
    if not missing:
        return ()
    return (f"The folder has no images of {', '.join(missing)}: nothing is learnt of how well these are found.",)


def _there(card: Card, request: EvaluationRequest, images: int, settings: Settings) -> str:
    """The evaluation that asked the same of the same model, if its table is there and the folder is as large still."""
    for folder in sorted(settings.evaluations_dir.glob("[!.]*")):
        table = folder / f"{file_stem(card.name)}.csv"
        record = _record(table.with_suffix(".json"))
        if table.is_file() and record.get("version") == card.full_version and _asked(folder, request):
            known = record.get("images", 0) + len(record.get("unreadable", ()))
            if known == images:
                return folder.name
    return ""


def _asked(folder: Path, request: EvaluationRequest) -> bool:
    try:
        earlier = request_of(folder)
    except LungAssistError:
        return False
    same = (earlier.data, earlier.metadata, earlier.split_file) == (request.data, request.metadata, request.split_file)
    return same and (earlier.lungs or not request.lungs)


def _record(path: Path) -> Mapping[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
