"""How well the class of an image can be told without looking at it, from where it comes from or how large it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_FOLDS: Final = 10


@dataclass(frozen=True, slots=True)
class Shortcut:
    """What a property tells of the class.

    Attributes:
        values: how many different values it has.
        known: share of the images that have one.
        accuracy: share of the images whose class the best guess from other images of the same value hits, in a
            stratified cross-validation of ten folds.
        majority: share of the largest class, which needs no property.
        information: mutual information of class and value over the entropy of the class: 0 nothing, 1 everything.
            It is not corrected for chance: many rare values look as if they told something; the accuracy does not.
    """

    values: int
    known: float
    accuracy: float
    majority: float
    information: float


def shortcut(labels: Sequence[str], values: Sequence[str]) -> Shortcut | None:
    """Measure what `values`, '' where unknown, tell of `labels`; None where no value is known.

    Every tenth of the images is guessed from the other nine, so that a value of an image's own tells nothing: the
    class that most of those with the same value have, and where there are none, the most frequent one.
    """
    known = np.array([value != "" for value in values], np.bool_)
    if not known.any():
        return None
    value, label = pd.factorize(np.asarray(values, object))[0], pd.factorize(np.asarray(labels, object))[0]
    counts = _counted(value, label)
    share = counts / counts.sum()
    majority = share.sum(axis=0)
    return Shortcut(
        values=len(set(values) - {""}),
        known=float(known.mean()),
        accuracy=_cross_validated(value, label),
        majority=float(majority.max()),
        information=_information(share),
    )


def _cross_validated(value: NDArray[np.int64], label: NDArray[np.int64]) -> float:
    # Dealt class by class: taken at random, the images left out would be of the rarer classes in what is left.
    shuffled = np.random.default_rng(0).permutation(len(label))
    fold = np.empty(len(label), np.int64)
    fold[shuffled[np.argsort(label[shuffled], kind="stable")]] = np.arange(len(label)) % _FOLDS
    hits = 0
    whole = _counted(value, label)
    for number in range(_FOLDS):
        out = fold == number
        counts = whole - _counted(value[out], label[out], whole.shape)
        overall = counts.sum(axis=0)
        # Less than one image: it decides only between classes that are equally frequent, and where there are none.
        guess = np.argmax(counts + overall / (overall.sum() + 1) / 2, axis=1)
        hits += int((guess[value[out]] == label[out]).sum())
    return hits / len(label)


def _counted(
    value: NDArray[np.int64], label: NDArray[np.int64], shape: tuple[int, ...] | None = None
) -> NDArray[np.int64]:
    counts = np.zeros(shape or (value.max() + 1, label.max() + 1), np.int64)
    np.add.at(counts, (value, label), 1)
    return counts


def _information(share: NDArray[np.float64]) -> float:
    label, value = share.sum(axis=0), share.sum(axis=1)
    entropy = -float((label * np.log(label)).sum())
    seen = share > 0
    mutual = float((share[seen] * np.log((share / np.outer(value, label))[seen])).sum())
    return mutual / entropy if entropy > 0 else 0.0
