"""Which of the paper's printed figures cannot be right, told from its other figures alone.

Two checks. F1 is computed from the printed precision and recall (equation 9), with the rounding of all three. And the
columns are held against whole numbers of images: a recall is hits over a class's test images, so that under one test
split all models' recalls of a class must be fractions of one number, the same for all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lungassist.classes import CLASSES, spoken
from lungassist.dataset.public import PUBLIC_COUNTS
from lungassist.evaluation.published import PUBLISHED, SPLIT_SIZES, PublishedModel

#: Half of the last printed digit, and a little for floating point.
_ROUNDING: Final = 0.005 + 1e-9

#: A tenth of a class, give or take this share, is in the test split; six standard deviations of the smallest class.
_SPREAD: Final = 0.5

_COLUMNS: Final = ("recall", "precision")


@dataclass(frozen=True, slots=True)
class F1Check:
    """A printed F1 and the interval in which it must lie, given precision and recall before they were rounded."""

    model: str
    label: str
    printed: float
    low: float
    high: float

    @property
    def possible(self) -> bool:
        """Whether the printed figure can be right; one that is not defined cannot be wrong."""
        if math.isnan(self.printed) or math.isnan(self.low):
            return math.isnan(self.printed) and math.isnan(self.low)
        return self.low - _ROUNDING <= self.printed <= self.high + _ROUNDING


@dataclass(frozen=True, slots=True)
class PublishedAudit:
    """What the paper's figures say of each other.

    Attributes:
        f1: one check a model and class.
        sizes: class -> test images, as the only numbers that fit the swapped columns; empty if none fit.
        swapped: the column printed as precision is the recall and the other way round: as printed no number of images
            fits, swapped one does, and the hits sum to the printed accuracies.
        findings: the same in sentences.
    """

    f1: tuple[F1Check, ...]
    sizes: dict[str, int]
    swapped: bool
    findings: tuple[str, ...]


def audit_published(models: Sequence[PublishedModel] = PUBLISHED) -> PublishedAudit:
    """Check every printed figure that others determine."""
    checks = tuple(_f1_check(model, label) for model in models for label in model.per_class)
    as_printed, exchanged = (_sizes(models, column) for column in _COLUMNS)
    swapped = not as_printed and bool(exchanged) and all(_accuracy_fits(model, exchanged) for model in models)
    return PublishedAudit(
        checks, exchanged if swapped else as_printed, swapped, tuple(_told(checks, exchanged, swapped))
    )


def _f1_check(model: PublishedModel, label: str) -> F1Check:
    row = model.per_class[label]
    low, high = (_f1(row.precision + shift, row.recall + shift) for shift in (-_ROUNDING, _ROUNDING))
    return F1Check(model.name, label, row.f1, low, high)


def _f1(precision: float, recall: float) -> float:
    """Rises with either, so that the ends of their intervals give the ends of its own."""
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else math.nan


def hits(percent: float, images: int) -> int | None:
    """The whole number of `images` that is printed as `percent`; None if there is none."""
    if math.isnan(percent):
        return None
    nearest = round(percent * images / 100)
    return nearest if abs(100 * nearest / images - percent) <= _ROUNDING else None


def _sizes(models: Sequence[PublishedModel], column: str) -> dict[str, int]:
    """Test images a class under which `column` is a recall in every model; empty if there are none or several."""
    total = SPLIT_SIZES["test"]
    fitting: dict[str, list[int]] = {}
    for label in CLASSES:
        expected = PUBLIC_COUNTS[label] * total / sum(PUBLIC_COUNTS.values())
        candidates = range(round(expected * (1 - _SPREAD)), round(expected * (1 + _SPREAD)) + 1)
        fitting[label] = [n for n in candidates if all(_is_recall(model, label, column, n) for model in models)]
    found = _summing(list(fitting.values()), total)
    return dict(zip(CLASSES, found[0], strict=True)) if len(found) == 1 else {}


def _is_recall(model: PublishedModel, label: str, column: str, images: int) -> bool:
    count = hits(float(getattr(model.per_class[label], column)), images)
    return count is not None and images - count >= model.called_normal.get(label, 0)


def _summing(choices: Sequence[Sequence[int]], total: int) -> list[tuple[int, ...]]:
    if len(choices) == 1:
        return [(total,)] if total in choices[0] else []
    return [(n, *rest) for n in choices[0] for rest in _summing(choices[1:], total - n)]


def _accuracy_fits(model: PublishedModel, sizes: dict[str, int]) -> bool:
    counts = [hits(model.per_class[label].precision, n) for label, n in sizes.items()]
    right = sum(count for count in counts if count is not None)
    return abs(100 * right / SPLIT_SIZES["test"] - model.test_accuracy) <= _ROUNDING


def _told(checks: Sequence[F1Check], sizes: dict[str, int], swapped: bool) -> list[str]:
    wrong = [check for check in checks if not check.possible]
    told = [
        f"{check.model}, {spoken(check.label)}: F1 is printed as {check.printed:.2f}; from the printed precision and "
        f"recall it lies between {check.low:.2f} and {check.high:.2f}."
        for check in wrong
    ]
    if not wrong:
        told.append(f"All {len(checks)} printed F1 scores follow from the printed precision and recall.")
    if swapped:
        counts = ", ".join(f"{n:,} {spoken(label)}" for label, n in sizes.items())
        told.append(
            "The columns Precision and Recall of Tables 2 to 5 are exchanged. No number of test images a class makes "
            "the printed recalls of all models whole numbers of images that leave room for the printed (fn) counts; "
            f"read the other way round exactly one does ({counts}), and the hits sum to every printed test accuracy. "
            f"Logistic Regression says so too: it never predicts Viral Pneumonia, so that its precision is undefined "
            "and its recall 0, not the reverse. F1 is the same either way."
        )
    return told
