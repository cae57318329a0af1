"""Accuracy by any property of the images: by source, scanner, sex, age or whatever the metadata has."""

from __future__ import annotations

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
    """Accuracy of every model in every slice, the largest slice first; numbers are cut at their quartiles.

    Raises:
        KeyError: the images have no such property.
    """
    groups = _grouped(images.table[column])
    values = list(dict.fromkeys(groups.value_counts().index.tolist()))
    inside = np.stack([(groups == value).to_numpy() for value in values], axis=1).astype(np.float64)
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


def _grouped(values: pd.Series[str]) -> pd.Series[str]:
    known = values[values != ""]
    numbers = _numbers(known) if known.nunique() > MOST else None
    if numbers is not None:
        edges = np.unique(np.quantile(numbers, (0, 0.25, 0.5, 0.75, 1)))
        named = [f"{low:g} to {high:g}" for low, high in pairwise(edges.tolist())]
        place = np.clip(np.searchsorted(edges, numbers, side="left") - 1, 0, len(named) - 1)
        groups = pd.Series(np.asarray(named, object)[place], index=known.index)
    else:
        frequent = set(known.value_counts().index[: MOST if known.nunique() <= MOST else MOST - 1])
        groups = known.where(known.isin(frequent), OTHERS)
    return groups.reindex(values.index).fillna(UNKNOWN)


def _numbers(values: pd.Series[str]) -> NDArray[np.float64] | None:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
    return numbers if len(numbers) and np.isfinite(numbers).all() else None
