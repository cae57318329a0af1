"""What came of a run, beside the model that triage uses now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lungassist.classes import spoken
from lungassist.errors import LungAssistError, WeightsError
from lungassist.models.card import Card
from lungassist.models.weights import CARD_FILE, choose_model
from lungassist.settings import Settings

#: In a baseline's run; the name is `lungassist.training.baseline.FIGURES_FILE`, but that loads all that trains.
FIGURES_FILE: Final = "figures.json"

SAME: Final = "Both were tested on the same images: their splits have the same hash."
DIFFERENT: Final = (
    "They were tested on different images (their splits have different hashes), so a difference of a point or two "
    "says nothing. Images that one was tested on may have trained the other."
)


#: Of a run whose model triage uses already.
ITSELF: Final = "This is the model that triage uses now."


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished run says of itself: the part of a card that a baseline has too.

    Attributes:
        name, classes, split, figures, limitations: as on a card.
        card: of the model; None of a baseline, which has none that triage could use.
    """

    name: str
    classes: tuple[str, ...]
    split: Mapping[str, Any]
    figures: Mapping[str, Any]
    limitations: tuple[str, ...]
    card: Card | None


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the test split, of the run's model and of triage's; None where there is none.

    `is_share` tells a share in [0, 1] from a count of images. `more_is_better` tells which way is good.
    """

    name: str
    run: float | None
    triage: float | None
    is_share: bool = True
    more_is_better: bool = True

    @property
    def difference(self) -> float | None:
        """Run minus triage."""
        return None if self.run is None or self.triage is None else self.run - self.triage


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run's figures beside those of the model that triage uses now.

    Attributes:
        run: its result.
        triage: the card of triage's model; None where there is no usable one.
        figures: by row.
        note: a sentence on whether they may be compared; '' without a second model.
    """

    run: Result
    triage: Card | None
    figures: tuple[Figure, ...]
    note: str

    @property
    def same_images(self) -> bool:
        """Whether both were tested on the same images."""
        return self.note != DIFFERENT


def result_of_run(run: Path) -> Result:
    """What a finished run says of itself.

    Raises:
        WeightsError: it says nothing, or nothing that can be read.
    """
    path = run / "model" / FIGURES_FILE
    if not path.is_file():
        card = Card.read(run / "model" / CARD_FILE)
        return Result(card.name, card.classes, card.split, card.figures, card.limitations, card)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        limitations = tuple(map(str, values["limitations"]))
        return Result(
            values["name"], tuple(values["classes"]), dict(values["split"]), dict(values["figures"]), limitations, None
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(f"{path} cannot be read as a baseline's figures ({error}). Start the run again.") from error


def compare_with_triage(run: Result, settings: Settings) -> Comparison:
    """Put a run's result beside the card of the model that triage starts with."""
    try:
        name = choose_model(settings.weights_dir, settings.default_model)
        triage = Card.read(settings.weights_dir / name / CARD_FILE)
    except LungAssistError:
        return Comparison(run, None, _figures(run, None), "")
    ours, theirs = run.split.get("sha256"), triage.split.get("sha256")
    note = SAME if ours is not None and ours == theirs else DIFFERENT
    if run.card is not None and run.card.weights_sha256 == triage.weights_sha256:
        note = ITSELF
    return Comparison(run, triage, _figures(run, triage), note)


def _figures(run: Result, triage: Card | None) -> tuple[Figure, ...]:
    ours, theirs = _test(run), _test(triage)
    found = [Figure("Accuracy", ours.get("accuracy"), theirs.get("accuracy"))]
    for name in run.classes:
        found.append(Figure(f"{spoken(name)}: recall", _recall(ours, name), _recall(theirs, name)))
    missed, other = ours.get("called_normal", {}), theirs.get("called_normal", {})
    for name in missed:
        label = f"{spoken(name)} called Normal"
        here, there = _share(ours, name, missed[name]), _share(theirs, name, other.get(name))
        found.append(Figure(label, here, there, more_is_better=False))
    error = "expected_calibration_error"
    found.append(Figure("Calibration error", ours.get(error), theirs.get(error), more_is_better=False))
    found.append(Figure("Test images", ours.get("images"), theirs.get("images"), is_share=False))
    return tuple(found)


def _test(card: Card | Result | None) -> Mapping[str, Any]:
    return {} if card is None else card.figures.get("test", {})


def _recall(test: Mapping[str, Any], name: str) -> float | None:
    found: float | None = test.get("per_class", {}).get(name, {}).get("recall")
    return found


def _share(test: Mapping[str, Any], name: str, count: int | None) -> float | None:
    """Of the class's images: counts of two test splits of different size cannot be compared."""
    images = test.get("per_class", {}).get(name, {}).get("images")
    return None if count is None or not images else count / images
