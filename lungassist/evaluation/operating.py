"""Operating points of models: thresholds chosen on their validation images, judged on the images compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lungassist.errors import PredictionsError
from lungassist.evaluation.images import ImageSet
from lungassist.evaluation.tables import Predictions
from lungassist.metrics import Outcome, operating_point, outcome_at
from lungassist.models import decision
from lungassist.models.decision import asked_probability, positive_classes

SICK: Final = decision.SICK
CONTAGIOUS_QUESTION: Final = decision.CONTAGIOUS_QUESTION

#: Question -> what is asked, in words.
QUESTIONS: Final = {
    SICK: "all abnormal: 1 - P(Normal)",
    CONTAGIOUS_QUESTION: "contagious: P(COVID) + P(Viral Pneumonia)",
}

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold of one model and what it does.

    Attributes:
        model, question: whose, and one of `QUESTIONS`.
        target: the sensitivity wanted.
        chosen_on: validation images; `positives` of them are what is looked for.
        outcome: on the images that are compared.
    """

    model: str
    question: str
    target: float
    chosen_on: int
    positives: int
    outcome: Outcome


def question_of(classes: tuple[str, ...], question: str, labels: NDArray[np.int64], p: Floats) -> tuple[Floats, Truths]:
    """Probability `(N,)` of being what is asked for, and whether each image is.

    Args:
        classes: of the probabilities.
        question: one of `QUESTIONS`.
        labels: `(N,)`.
        p: `(N, K)`.

    Raises:
        PredictionsError: the classes do not allow the question.
    """
    positive = positive_classes(classes, question)
    if not positive:
        raise PredictionsError(f"The question {question!r} cannot be asked of the classes {', '.join(classes)}.")
    return asked_probability(classes, question, p), np.isin(labels, positive)


def questions_for(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `QUESTIONS` that the classes allow."""
    return tuple(name for name in QUESTIONS if positive_classes(classes, name))


def operating_point_of(table: Predictions, images: ImageSet, question: str, target: float) -> OperatingPoint:
    """Choose the threshold on the table's validation images and judge it on `images`.

    Raises:
        PredictionsError: there are no validation images that are looked for, or the images compared are these
            themselves.
    """
    validation = table.of_split("validation")
    if set(images.table["split"]) == {"validation"}:
        raise PredictionsError("A threshold is chosen on validation images and must be judged on others.")
    p, positive = question_of(table.classes, question, validation.labels, validation.probabilities)
    if not positive.any():
        raise PredictionsError(
            f"{table.name}: a threshold for {QUESTIONS[question]} needs validation images that are so; the table has "
            f"{len(validation):,} validation images and {int(positive.sum())} such. Evaluate the model on a split with "
            "validation images."
        )
    threshold = operating_point(p, positive, target)
    return OperatingPoint(
        model=table.name,
        question=question,
        target=target,
        chosen_on=len(validation),
        positives=int(positive.sum()),
        outcome=judged(images, table.name, question, threshold),
    )


def judged(images: ImageSet, model: str, question: str, threshold: float) -> Outcome:
    """What any threshold does on the images: sensitivity, specificity and share ruled out, with intervals."""
    p, positive = question_of(images.classes, question, images.labels, images.probabilities[model])
    return outcome_at(threshold, p, positive, images.bootstrap)
