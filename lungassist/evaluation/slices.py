"""Accuracy by any property of the images: by source, scanner, sex, age or whatever the metadata has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lungassist.evaluation.images import ImageSet
from lungassist.metrics import Interval, percentiles
from lungassist.metrics.arrays import ratio

#: Images below which a slice says nothing: a single one then moves the accuracy by more than three points.
SMALLEST: Final = 30

#: Values of a property that are shown; the rarest of more are put together.
MOST: Final = 12

UNKNOWN: Final = "(unknown)"
OTHERS: Final = "(others)"

#: Whole numbers below are written as they are; a float has fifteen digits to tell them by.
_MOST_EXACT: Final = 1e15
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_NUMBERED: Final = re.compile(r"[<>≤≥]?=?\s*-?\d")

_FIXED: Final = frozenset({"file", "label", "split", "patient_id"})


@dataclass(frozen=True, slots=True)
class Slice:
    """One model on the images of one value of a property.

    Attributes:
        column, value: of the property; `UNKNOWN` where the table has nothing.
        model: that was asked.
        images: how many; `classes`, how many different classes they have.
        accuracy: in [0, 1], with its interval by patient.
        too_small: fewer than `SMALLEST` images: too small to say.
    """

    column: str
    value: str
    model: str
    images: int
    classes: int
    accuracy: float
    interval: Interval
    too_small: bool


def slice_columns(images: ImageSet) -> tuple[str, ...]:
    """Properties that tell images apart: at least two values, and not one of its own for nearly every image."""
    return tuple(name for name in map(str, images.table) if name not in _FIXED and _tells(images.table[name]))


def _tells(values: pd.Series[str]) -> bool:
    known = values[values != ""]
    return values.nunique() >= 2 and (known.nunique() <= len(known) / 2 or _numbers(known) is not None)


def slices(images: ImageSet, column: str) -> tuple[Slice, ...]:
    """Accuracy of every model in every slice, slices in their natural order; numbers are cut at their quartiles.

    Raises:
        KeyError: the images have no such property.
    """
    places, values = _grouped(images.table[column])
    inside = (places[:, None] == np.arange(len(values))).astype(np.float64)
    result: list[Slice] = []
    for model in images.models:
        right = images.right[model].astype(np.float64)[:, None] * inside
        totals = images.bootstrap.totals(np.concatenate([right, inside], axis=1))
        low, high = percentiles(ratio(totals[:, : len(values)], totals[:, len(values) :]))
        shares = ratio(right.sum(axis=0), inside.sum(axis=0))
        for i, value in enumerate(values):
            members = inside[:, i] > 0
            result.append(
                Slice(
                    column=column,
                    value=str(value),
                    model=model,
                    images=int(members.sum()),
                    classes=len(np.unique(images.labels[members])),
                    accuracy=float(shares[i]),
                    interval=Interval(float(low[i]), float(high[i])),
                    too_small=bool(members.sum() < SMALLEST),
                )
            )
    return tuple(result)


def in_natural_order(values: Iterable[str]) -> list[str]:
    """Values of a property as a reader expects them: those that begin with numbers (quartiles, bands of age) by these,
    any others as they come; what is put together or unknown last.
    """
    given = list(dict.fromkeys(values))
    last = [value for value in (OTHERS, UNKNOWN) if value in given]
    first = [value for value in given if value not in last]
    if all(_NUMBERED.match(value) for value in first):
        first.sort(key=_by_number)
    return first + last


def _by_number(value: str) -> tuple[float, int, list[float]]:
    start, *others = map(float, _NUMBER.findall(value))
    return start, -1 if value[0] in "<≤" else 1 if value[0] in ">≥" else 0, others


def _grouped(values: pd.Series[str]) -> tuple[NDArray[np.int64], list[str]]:
    """The place of each image's slice, `(N,)`, and what the slices are called, in natural order, no two alike."""
    known = ~values.isin(("", UNKNOWN)).to_numpy()
    places, names = _quartiles(values[known]) or _categories(values[known])
    if not known.all():
        names = [*names, UNKNOWN]
    every = np.full(len(values), len(names) - 1)
    every[known] = places
    return every, names


def _quartiles(known: pd.Series[str]) -> tuple[NDArray[np.int64], list[str]] | None:
    """Numbers cut at those that are at their quartiles; None where they are few enough to be shown each, or no such."""
    numbers = _numbers(known) if known.nunique() > MOST else None
    if numbers is None:
        return None
    edges = np.unique(np.quantile(numbers, (0, 0.25, 0.5, 0.75, 1), method="inverted_cdf")) + 0.0  # no -0
    places = np.clip(np.searchsorted(edges, numbers, side="left") - 1, 0, len(edges) - 2)
    return places.astype(np.int64), [f"{low} to {high}" for low, high in pairwise(_told_apart(edges))]


def _told_apart(edges: NDArray[np.float64]) -> list[str]:
    """Different numbers as texts that differ: whole ones in full, others with six digits or as many as that takes."""
    largest = float(np.abs(edges).max())
    if largest < _MOST_EXACT and (edges == np.round(edges)).all():
        return [f"{edge:.0f}" for edge in edges]
    fewest = max(6, len(f"{largest:.0f}")) if largest < _MOST_EXACT else 6
    told = ([f"{edge:.{digits}g}" for edge in edges] for digits in range(fewest, 18))
    return next(texts for texts in told if len(set(texts)) == len(edges))


def _categories(known: pd.Series[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Texts, each a slice; of many the rarest together."""
    frequent = set(known.value_counts().index[: MOST if known.nunique() <= MOST else MOST - 1])
    groups = known.where(known.isin(frequent), OTHERS)
    names = in_natural_order(map(str, groups.value_counts().index))
    return np.asarray(groups.map({name: place for place, name in enumerate(names)}), np.int64), names


def _numbers(values: pd.Series[str]) -> NDArray[np.float64] | None:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
    return numbers if len(numbers) and np.isfinite(numbers).all() else None
