"""From probabilities to a finding: the one rule that triage, the explorer and the command line judge by.

Tables of predictions hold `DECIMALS` decimals, and thresholds are chosen on them. Probabilities are therefore rounded
so before they are compared: what a threshold did to the images of a table, it does to the same images in triage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lungassist.classes import CONTAGIOUS, NORMAL

#: Of a probability in a table: finer than half precision.
DECIMALS: Final = 5

SICK: Final = "sick"
CONTAGIOUS_QUESTION: Final = "contagious"
#: What a threshold may be for, in the order in which they are asked on a page.
ASKED: Final = (SICK, CONTAGIOUS_QUESTION)

#: Sums in binary are off by less: 0.1 + 0.2 is not 0.3, and must not fall on another side of a threshold.
_NOISE_DECIMALS: Final = 9

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which probability on, at or above, a study is called so; None where the highest probability decides.

    Attributes:
        sick: of 1 - P(Normal).
        contagious: of P(COVID) + P(Viral Pneumonia).
    """

    sick: float | None = None
    contagious: float | None = None


def positive_classes(classes: Sequence[str], question: str) -> tuple[int, ...]:
    """Indices of the classes that are what is asked for; none where the classes do not allow the question."""
    if question == SICK:
        return tuple(i for i, name in enumerate(classes) if name != NORMAL) if NORMAL in classes else ()
    return tuple(i for i, name in enumerate(classes) if name in CONTAGIOUS) if question == CONTAGIOUS_QUESTION else ()


def asked_probability(classes: Sequence[str], question: str, probabilities: Floats) -> Floats:
    """Probability `(N,)` of being what is asked for, of `(N, K)` whose classes allow the question."""
    if question == SICK:
        p = 1.0 - probabilities[:, list(classes).index(NORMAL)]
    else:
        p = probabilities[:, list(positive_classes(classes, question))].sum(axis=1)
    return np.asarray(np.round(p, _NOISE_DECIMALS), np.float64)


def decide(thresholds: Thresholds, classes: Sequence[str], probabilities: Floats) -> NDArray[np.int64]:
    """The finding of each study.

    1. Contagious at or above its threshold: the more probable of the contagious classes. It comes first, so that
       nobody is called Normal who may be contagious.
    2. Else sick at or above its threshold: the most probable of the sick classes that 1. has not ruled out.
    3. Else Normal, where there is a threshold for sick; where there is none, the most probable class that 1. has not
       ruled out.

    Without thresholds the highest probability decides, as it comes, not rounded. A rule that leaves no class (a model
    that knows contagious ones only) falls back on all that are asked about.

    Args:
        thresholds: of questions that the classes allow.
        classes: of the probabilities.
        probabilities: `(N, K)` in [0, 1].

    Returns:
        Indices `(N,)` into `classes`; of equal probabilities the first.
    """
    if thresholds == Thresholds():
        return np.asarray(probabilities.argmax(axis=1), np.int64)
    p: Floats = np.round(probabilities, DECIMALS).astype(np.float64)
    everything, contagious = tuple(range(len(classes))), positive_classes(classes, CONTAGIOUS_QUESTION)
    ruled_out = contagious if thresholds.contagious is not None else ()
    if thresholds.sick is None:
        found = _most_probable(p, everything, ruled_out)
    else:
        sick = _most_probable(p, positive_classes(classes, SICK), ruled_out)
        is_sick = asked_probability(classes, SICK, p) >= thresholds.sick
        found = np.where(is_sick, sick, list(classes).index(NORMAL))
    if thresholds.contagious is not None:
        is_contagious = asked_probability(classes, CONTAGIOUS_QUESTION, p) >= thresholds.contagious
        found = np.where(is_contagious, _most_probable(p, contagious, ()), found)
    return np.asarray(found, np.int64)


def _most_probable(p: Floats, among: Sequence[int], ruled_out: Sequence[int]) -> NDArray[np.int64]:
    kept = [i for i in among if i not in ruled_out] or list(among)
    best: NDArray[np.int64] = np.asarray(kept, np.int64)[p[:, kept].argmax(axis=1)]
    return best
