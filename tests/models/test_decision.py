"""The rule that findings are made by, against tables of hand and against what the metrics count."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lungassist.classes import CLASSES, CONTAGIOUS, COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA
from lungassist.evaluation.operating import CONTAGIOUS_QUESTION, QUESTIONS, SICK, question_of
from lungassist.metrics import Bootstrap, operating_point, outcome_at
from lungassist.models.decision import ASKED, Thresholds, decide

HIGHEST = Thresholds()


def finding(thresholds: Thresholds, *probabilities: float, classes: tuple[str, ...] = CLASSES) -> str:
    (index,) = decide(thresholds, classes, np.array([probabilities]))
    return classes[index]


@pytest.mark.parametrize(
    ("thresholds", "probabilities", "expected"),
    [
        (HIGHEST, (0.2, 0.3, 0.4, 0.1), NORMAL),
        (HIGHEST, (0.4, 0.4, 0.1, 0.1), COVID),
        # Sick alone: any sick class from 10 % on, the most probable of all of them.
        (Thresholds(sick=0.1), (0.04, 0.05, 0.9, 0.01), LUNG_OPACITY),
        (Thresholds(sick=0.1), (0.06, 0.05, 0.88, 0.01), COVID),
        (Thresholds(sick=0.1), (0.03, 0.04, 0.92, 0.01), NORMAL),
        # A threshold above one half calls Normal what is most probably sick.
        (Thresholds(sick=0.8), (0.6, 0.0, 0.4, 0.0), NORMAL),
        # Contagious alone: below it the most probable of the others, also where COVID is more probable.
        (Thresholds(contagious=0.3), (0.1, 0.1, 0.6, 0.2), VIRAL_PNEUMONIA),
        (Thresholds(contagious=0.6), (0.5, 0.1, 0.4, 0.0), NORMAL),
        (Thresholds(contagious=0.6), (0.5, 0.3, 0.2, 0.0), LUNG_OPACITY),
        # Both: nobody above the contagious threshold is called Normal, whatever the other says.
        (Thresholds(sick=0.5, contagious=0.05), (0.06, 0.0, 0.94, 0.0), COVID),
        (Thresholds(sick=0.2, contagious=0.5), (0.3, 0.1, 0.6, 0.0), LUNG_OPACITY),
        (Thresholds(sick=0.5, contagious=0.5), (0.3, 0.1, 0.6, 0.0), NORMAL),
        # At the threshold is called so; five decimals are what is compared.
        (Thresholds(sick=0.1), (0.1, 0.0, 0.9, 0.0), COVID),
        (Thresholds(sick=0.1), (0.099996, 0.0, 0.900004, 0.0), COVID),
        (Thresholds(sick=0.1), (0.099994, 0.0, 0.900006, 0.0), NORMAL),
        (Thresholds(contagious=0.3), (0.1, 0.0, 0.7, 0.2), VIRAL_PNEUMONIA),
    ],
)
def test_the_rule(thresholds: Thresholds, probabilities: tuple[float, ...], expected: str) -> None:
    assert finding(thresholds, *probabilities) == expected


def test_classes_without_others_than_contagious_keep_a_finding() -> None:
    assert finding(Thresholds(sick=0.1, contagious=0.9), 0.3, 0.7, classes=(COVID, NORMAL)) == COVID
    assert finding(Thresholds(contagious=0.9), 0.3, 0.5, classes=(COVID, VIRAL_PNEUMONIA)) == VIRAL_PNEUMONIA


def test_the_questions_are_those_of_the_explorer() -> None:
    assert tuple(QUESTIONS) == ASKED


def answers(seed: int, count: int = 400) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels, and probabilities as a network gives them; many at the same few values, so that there are ties."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    logits = rng.normal(0, 1.5, (count, 4)) + rng.uniform(0, 4) * np.eye(4)[labels]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    coarse = rng.random(count) < 0.3
    p[coarse] = rng.multinomial(10, np.full(4, 0.25), int(coarse.sum())) / 10
    return labels, p


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("question", ASKED)
def test_findings_count_what_the_metrics_count_on_the_same_table(seed: int, question: str) -> None:
    labels, p = answers(seed)
    table = np.array([[float(f"{value:.5f}") for value in row] for row in np.round(p, 5)])  # as a CSV brings it back
    asked, truth = question_of(CLASSES, question, labels, table)
    rng = np.random.default_rng(seed)
    bootstrap = Bootstrap(np.arange(len(p)), resamples=10)
    for threshold in (operating_point(asked, truth, rng.uniform(0.5, 1)), float(rng.choice(asked)), 0.3, 0.0, 1.0):
        outcome = outcome_at(threshold, asked, truth, bootstrap)
        for probabilities in (p, table):  # unrounded, as triage has them, and as they were written
            found = decide(Thresholds(**{question: threshold}), CLASSES, probabilities)
            called = found != CLASSES.index(NORMAL) if question == SICK else np.isin(found, [0, 3])
            assert np.count_nonzero(truth & ~called) == outcome.missed
            assert np.count_nonzero(~called) == round(outcome.ruled_out.value * outcome.images)
            assert np.count_nonzero(~truth & ~called) == round(outcome.specificity.value * np.count_nonzero(~truth))


@pytest.mark.parametrize("seed", range(12))
def test_both_thresholds_together_never_call_normal_who_is_above_either(seed: int) -> None:
    labels, p = answers(seed)
    sick_at, contagious_at = np.random.default_rng(seed).uniform(0, 1, 2)
    found = np.array(CLASSES)[decide(Thresholds(sick_at, contagious_at), CLASSES, p)]
    above = {
        question: question_of(CLASSES, question, labels, np.round(p, 5))[0] >= at
        for question, at in ((SICK, sick_at), (CONTAGIOUS_QUESTION, contagious_at))
    }
    assert (np.isin(found, list(CONTAGIOUS)) == above[CONTAGIOUS_QUESTION]).all()
    assert ((found == NORMAL) == ~(above[SICK] | above[CONTAGIOUS_QUESTION])).all()
