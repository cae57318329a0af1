"""What a card's `operating_point` holds: how a finding is made from probabilities, and how that was chosen.

    {"rule": "highest probability"}
    {"rule": "thresholds", "weights_sha256": ..., "temperature": ..., "sick": POINT, "contagious": null}

A POINT has threshold, target_sensitivity (null when it was set by hand), chosen_on, test (what it did to the model's
test images) and date. `previous`, in either, is what held before, for taking the last change back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from lungassist.metrics import Outcome
from lungassist.models.decision import ASKED, CONTAGIOUS_QUESTION, SICK, Thresholds, positive_classes
from lungassist.models.outcome_json import number_in, outcome_from_json, outcome_to_json, text_in, whole_in

HIGHEST: Final = "highest probability"
THRESHOLDS: Final = "thresholds"

_RULE_KEYS: Final = frozenset({"rule", "weights_sha256", "temperature", *ASKED, "previous"})
_POINT_KEYS: Final = frozenset({"threshold", "target_sensitivity", "chosen_on", "test", "date"})


@dataclass(frozen=True, slots=True)
class SavedPoint:
    """A threshold, how it was chosen and what it did.

    Attributes:
        target: the sensitivity that it was chosen for, in (0, 1]; None when it was set by hand.
        split: whose images it was chosen on; '' when it was just named.
        images, positives: how many those were, and how many of them are what is looked for.
        table_sha256: of the table of predictions that it was chosen on and judged by.
        outcome: on the model's test images, with 95 % intervals; holds the threshold.
        date: ISO 8601, UTC.
    """

    target: float | None
    split: str
    images: int
    positives: int
    table_sha256: str
    outcome: Outcome
    date: str

    def same_choice(self, other: SavedPoint | None) -> bool:
        """Whether the other is the same threshold, chosen for the same target by the same table; only later, say."""
        return other is not None and (self.threshold, self.target, self.table_sha256) == (
            other.threshold,
            other.target,
            other.table_sha256,
        )

    @property
    def threshold(self) -> float:
        """In [0, 1]; what is at or above it is called so."""
        return self.outcome.threshold

    def to_json(self) -> dict[str, Any]:
        """As a card holds it."""
        chosen_on = {
            "split": self.split,
            "images": self.images,
            "positives": self.positives,
            "table_sha256": self.table_sha256,
        }
        return {
            "threshold": self.threshold,
            "target_sensitivity": self.target,
            "chosen_on": chosen_on,
            "test": outcome_to_json(self.outcome),
            "date": self.date,
        }

    @classmethod
    def from_json(cls, values: Any) -> SavedPoint:
        """Read a point.

        Raises:
            ValueError: with what was expected.
        """
        values = _mapping(values, "a point", _POINT_KEYS)
        chosen_on = _mapping(values.get("chosen_on"), "chosen_on")
        target = values.get("target_sensitivity")
        if target is not None and number_in(values, "target_sensitivity") <= 0:
            raise ValueError("target_sensitivity is 0; expected a number above 0 and at most 1, or null")
        date = text_in(values, "date")
        datetime.fromisoformat(date)
        return cls(
            target=target,
            split=text_in(chosen_on, "split"),
            images=whole_in(chosen_on, "images"),
            positives=whole_in(chosen_on, "positives"),
            table_sha256=text_in(chosen_on, "table_sha256"),
            outcome=outcome_from_json(number_in(values, "threshold"), values.get("test")),
            date=date,
        )


@dataclass(frozen=True, slots=True)
class OperatingRule:
    """How a model's findings are made; without points the highest probability decides.

    Attributes:
        sick, contagious: thresholds, each for its question.
        weights_sha256, temperature: of the model that the points were chosen for; they mean nothing for another.
        previous: what held before the last change; it has no `previous` itself.
    """

    sick: SavedPoint | None = None
    contagious: SavedPoint | None = None
    weights_sha256: str = ""
    temperature: float | None = None
    previous: OperatingRule | None = None

    @property
    def points(self) -> dict[str, SavedPoint]:
        """Question -> point, of those that are set."""
        both = {SICK: self.sick, CONTAGIOUS_QUESTION: self.contagious}
        return {question: point for question, point in both.items() if point is not None}

    @property
    def thresholds(self) -> Thresholds:
        """What `decide` needs."""
        return Thresholds(**{question: point.threshold for question, point in self.points.items()})

    @property
    def words(self) -> str:
        """What a reader must know of it, in words."""
        return words_of(self.thresholds, {question: point.target for question, point in self.points.items()})

    def with_point(self, question: str, point: SavedPoint, weights_sha256: str, temperature: float) -> OperatingRule:
        """With another point for one question; the other question's stays, unless it is of other weights.

        The point that holds already is no change: what held before it can still be gone back to.
        """
        same = (self.weights_sha256, self.temperature) == (weights_sha256, temperature)
        points = {**(self.points if same else {}), question: point}
        holds = same and point.same_choice(self.points.get(question))
        before = self.previous if holds else self._without_previous()
        return OperatingRule(**points, weights_sha256=weights_sha256, temperature=temperature, previous=before)

    def without(self, question: str | None = None) -> OperatingRule:
        """Without the point of one question, or of both."""
        kept = {name: point for name, point in self.points.items() if question is not None and name != question}
        bound = (self.weights_sha256, self.temperature) if kept else ("", None)
        return OperatingRule(**kept, weights_sha256=bound[0], temperature=bound[1], previous=self._without_previous())

    def check(self, classes: tuple[str, ...], weights_sha256: str, temperature: float) -> None:
        """Refuse points that are not of this model, or that its classes do not allow.

        Raises:
            ValueError: with what was expected.
        """
        if not self.points:
            return
        if self.weights_sha256 != weights_sha256:
            raise ValueError(
                f"it was chosen for the weights {self.weights_sha256[:8] or '(none)'}, and these are "
                f"{weights_sha256[:8] or '(none)'}"
            )
        if self.temperature != temperature:
            raise ValueError(f"it was chosen at temperature {self.temperature}, and the card's is {temperature}")
        for question in self.points:
            if not positive_classes(classes, question):
                raise ValueError(f"the question {question!r} cannot be asked of the classes {', '.join(classes)}")

    def to_json(self) -> dict[str, Any]:
        """As a card holds it."""
        values: dict[str, Any] = {"rule": HIGHEST}
        if self.points:
            values = {"rule": THRESHOLDS, "weights_sha256": self.weights_sha256, "temperature": self.temperature}
            values |= {name: self.points[name].to_json() if name in self.points else None for name in ASKED}
        return values if self.previous is None else {**values, "previous": self.previous.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> OperatingRule:
        """Read what a card holds; what earlier versions noted beside `rule` is passed over.

        Raises:
            ValueError: with what was expected.
        """
        previous = cls.from_json(_mapping(values["previous"], "previous")) if values.get("previous") else None
        rule = values.get("rule", HIGHEST)
        if rule == HIGHEST:
            return cls(previous=previous)
        if rule != THRESHOLDS:
            raise ValueError(f"rule is {rule!r}; expected {HIGHEST!r} or {THRESHOLDS!r}")
        values = _mapping(values, "the rule", _RULE_KEYS)
        points = {name: SavedPoint.from_json(values[name]) for name in ASKED if values.get(name) is not None}
        if not points:
            raise ValueError(f"it has no point; expected {' or '.join(ASKED)}")
        bound = text_in(values, "weights_sha256"), number_in(values, "temperature", most=float("inf"))
        return cls(**points, weights_sha256=bound[0], temperature=bound[1], previous=previous)

    def _without_previous(self) -> OperatingRule:
        return replace(self, previous=None)


#: What a model begins with.
HIGHEST_PROBABILITY: Final = OperatingRule()


def words_of(thresholds: Thresholds, targets: Mapping[str, float | None]) -> str:
    """A rule in words.

    Args:
        thresholds: the rule.
        targets: question -> the sensitivity on validation images that its threshold was chosen for, None by hand.
    """
    said = []
    if thresholds.sick is not None:
        how = _chosen(targets.get(SICK))
        said.append(f"called Normal only below {percent_exactly(thresholds.sick)} of being sick{how}")
    if thresholds.contagious is not None:
        how = _chosen(targets.get(CONTAGIOUS_QUESTION))
        at = percent_exactly(thresholds.contagious)
        said.append(f"suspected contagious from {at} of COVID-19 or viral pneumonia on{how}")
        if thresholds.sick is None:
            said.append("else highest probability")
    return "; ".join(said) or HIGHEST


def percent_exactly(share: float) -> str:
    """A threshold in percent with all the decimals it has, since a reader may want to set the very same."""
    return f"{100 * share:.10f}".rstrip("0").rstrip(".") + "%"


def _chosen(target: float | None) -> str:
    return " (set by hand)" if target is None else f" ({percent_exactly(target)} sensitivity on validation)"


def _mapping(values: Any, what: str, known: frozenset[str] | None = None) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise ValueError(f"{what} is {values!r}; expected an object")
    if known is not None and (unknown := sorted(set(values) - known)):
        raise ValueError(f"{what} has {', '.join(map(repr, unknown))}, which is unknown")
    return values
