"""The paper's rule of which model is the best, with its reasons in words and what chance has to say (sections 5, 5.3).

Models are to be chosen by the fewest COVID and Viral Pneumonia called Normal and the highest test accuracy, first among
the variants of one algorithm, then across. Two criteria can disagree; here the first decides and the second breaks
ties. By this reading the paper's own table 1 gives AlexNet (8 called Normal) before ResNet50 (9), which the paper chose
for its accuracy; the note says that the one image is within chance and the accuracy is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from lungassist.errors import UsageError
from lungassist.metrics.arrays import Floats, Labels, Truths
from lungassist.metrics.comparison import discordance_p, holm, mcnemar
from lungassist.metrics.merit import Roles, checked

CALLED_NORMAL: Final = "called normal"
ACCURACY: Final = "accuracy"

#: A difference with a greater p, after Holm, is one that luck may have made.
ALPHA: Final = 0.05


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model as the rule sees it. `missed` and `right` allow the paired test; published models have counts alone."""

    name: str
    family: str  #: variants of the same algorithm share one: ResNet34 and ResNet50 are ResNet
    contagious_called_normal: float  #: images of COVID and Viral Pneumonia; NaN (no class Normal) comes last
    accuracy: float  #: in [0, 1]
    images: int  #: of the test set
    missed: Truths | None = field(default=None, compare=False)  #: `(N,)`, contagious and called Normal
    right: Truths | None = field(default=None, compare=False)  #: `(N,)`
    counted: str = "contagious"  #: what the images called Normal are, `Roles.counted`

    @classmethod
    def of(cls, name: str, family: str, labels: Labels, probabilities: Floats, roles: Roles) -> Candidate:
        """The candidate that a table of `N` test images makes; arguments as of `figures`."""
        labels, probabilities = checked(labels, probabilities, roles)
        predicted = probabilities.argmax(axis=1)
        right = predicted == labels
        accuracy = float(right.mean()) if len(right) else float("nan")
        if roles.normal is None:
            return cls(name, family, float("nan"), accuracy, len(labels), None, right, roles.counted)
        missed = np.isin(labels, roles.contagious) & (predicted == roles.normal)
        return cls(name, family, float(missed.sum()), accuracy, len(labels), missed, right, roles.counted)


@dataclass(frozen=True, slots=True)
class Rival:
    """One that was not chosen, what decided, and the chance that luck alone decided it (exact, Holm over rivals)."""

    name: str
    decided_by: str  #: CALLED_NORMAL, ACCURACY, or empty for a tie in both
    p: float
    paired: bool  #: tested image by image; else from counts, as if the two had erred on no image in common

    @property
    def within_chance(self) -> bool:
        """Whether luck alone may have decided."""
        return not self.p < ALPHA


@dataclass(frozen=True, slots=True)
class Choice:
    """The rule's model, why, and a note: empty when it leads every other by more than chance."""

    name: str
    reason: str
    note: str
    family_winners: tuple[tuple[str, str], ...]  #: (family, model)
    rivals: tuple[Rival, ...]  #: best first


def choose(candidates: Sequence[Candidate]) -> Choice:
    """Apply the rule: fewest contagious called Normal, then highest accuracy; in each family, then across.

    Args:
        candidates: of the same test images. Of two that tie in both, the first given wins.

    Raises:
        UsageError: there is none, two have one name, or they were tested on different numbers of images.
    """
    _check(candidates)
    ordered = sorted(candidates, key=_rank)
    winners: dict[str, Candidate] = {}
    for each in ordered:
        winners.setdefault(each.family, each)
    best = ordered[0]
    rivals = _rivals(best, ordered[1:])
    family_winners = tuple((family, winner.name) for family, winner in winners.items())
    reason = _reason(best, ordered, list(winners.values()))
    return Choice(best.name, reason, _note(best, ordered[1:], rivals), family_winners, rivals)


def _check(candidates: Sequence[Candidate]) -> None:
    if not candidates:
        raise UsageError("At least one model was expected to choose from; none came.")
    names = [each.name for each in candidates]
    if len(set(names)) < len(names):
        raise UsageError(f"Models of different names were expected; {', '.join(names)} came. Rename one.")
    if len({each.images for each in candidates}) > 1:
        counts = ", ".join(f"{each.name}: {each.images}" for each in candidates)
        raise UsageError(
            f"The rule compares counts, so it needs all models on the same images; {counts} came. "
            "Evaluate them on the same split, or choose among those that were."
        )


def _rank(each: Candidate) -> tuple[float, float]:
    missed, accuracy = each.contagious_called_normal, each.accuracy
    return (float("inf") if np.isnan(missed) else missed, float("inf") if np.isnan(accuracy) else -accuracy)


def _rivals(best: Candidate, others: Sequence[Candidate]) -> tuple[Rival, ...]:
    raw = [_rival(best, other) for other in others]
    adjusted = holm([rival.p for rival in raw])
    return tuple(replace(rival, p=float(p)) for rival, p in zip(raw, adjusted, strict=True))


def _rival(best: Candidate, other: Candidate) -> Rival:
    (missed, wrong), (their_missed, their_wrong) = _rank(best), _rank(other)
    if missed != their_missed:
        if best.missed is not None and other.missed is not None:
            return Rival(other.name, CALLED_NORMAL, mcnemar(~best.missed, ~other.missed).p, True)
        return Rival(other.name, CALLED_NORMAL, _p_of_counts(missed, their_missed), False)
    if wrong == their_wrong:
        return Rival(other.name, "", 1.0, best.right is not None and other.right is not None)
    return Rival(other.name, ACCURACY, *_accuracy_test(best, other))


def _accuracy_test(one: Candidate, other: Candidate) -> tuple[float, bool]:
    """p of a difference in accuracy, and whether it was tested image by image."""
    if one.right is not None and other.right is not None:
        return mcnemar(one.right, other.right).p, True
    return _p_of_counts(*((1 - each.accuracy) * each.images for each in (one, other))), False


def _p_of_counts(one: float, other: float) -> float:
    """p when only the totals are known: the errors in common are taken for none, which makes p larger, not smaller."""
    if not np.isfinite([one, other]).all():
        return float("nan")
    return discordance_p(round(one), round(other))


def _reason(best: Candidate, ordered: Sequence[Candidate], winners: Sequence[Candidate]) -> str:
    if len(ordered) == 1:
        return f"{best.name} is the only model: {_record(best)}."
    if np.isnan(best.contagious_called_normal):
        return f"There is no class Normal to be called; {best.name} is right most often: {_percent(best.accuracy)}."
    family = [each for each in ordered if each.family == best.family]
    inside = f" The best {best.family} of {len(family)}." if len(family) > 1 and len(winners) > 1 else ""
    field_of = f"{len(ordered)} models" if len(winners) in {1, len(ordered)} else f"the best of {len(winners)} families"
    tied = [each for each in ordered if each.contagious_called_normal == best.contagious_called_normal]
    fewest = f"{best.name} called the fewest {best.counted} images Normal of {field_of}: {_count(best)}"
    if len(tied) == 1:
        return f"{fewest}, at {_percent(best.accuracy)} accuracy.{inside}"
    names = " and ".join(each.name for each in tied[1:])
    equal = all(each.accuracy == best.accuracy for each in tied)
    decided = "has the same accuracy; the first given is named" if equal else "has the highest accuracy of these"
    return f"{fewest}, like {names}, and {decided}: {_percent(best.accuracy)}.{inside}"


def _note(best: Candidate, others: Sequence[Candidate], rivals: Sequence[Rival]) -> str:
    sentences = [_doubt(best, other, rival) for other, rival in zip(others, rivals, strict=True) if rival.within_chance]
    return " ".join(sentences)


def _doubt(best: Candidate, other: Candidate, rival: Rival) -> str:
    if not rival.decided_by:
        return f"{other.name} does as well by both criteria."
    how = "McNemar exact" if rival.paired else "exact, from counts"
    if np.isnan(rival.p):
        return f"Whether the lead over {other.name} is more than chance cannot be said."
    if rival.decided_by == ACCURACY:
        lead = f"{_percent(best.accuracy)} against {_percent(other.accuracy)} accuracy"
        return f"The lead over {other.name} is within chance: {lead} ({how}, p = {rival.p:.2f})."
    lead = f"{_count(best)} against {_count(other)} {best.counted} images called Normal"
    sentence = f"The lead over {other.name} is within chance: {lead} ({how}, p = {rival.p:.2f})"
    return f"{sentence}{_but_more_accurate(best, other)}."


def _but_more_accurate(best: Candidate, other: Candidate) -> str:
    if not other.accuracy > best.accuracy:
        return ""
    p, _paired = _accuracy_test(best, other)
    chance = f"within chance, p = {p:.2f}" if not p < ALPHA else f"more than chance, p = {p:.2g}"
    return f"; it is right more often, {_percent(other.accuracy)} against {_percent(best.accuracy)} ({chance})"


def _record(each: Candidate) -> str:
    missed = "" if np.isnan(each.contagious_called_normal) else f"{_count(each)} {each.counted} images called Normal, "
    return f"{missed}{_percent(each.accuracy)} accuracy"


def _count(each: Candidate) -> str:
    return f"{each.contagious_called_normal:.0f}"


def _percent(share: float) -> str:
    return f"{share * 100:.2f} %"
