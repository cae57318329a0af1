"""Curves and areas against scikit-learn, ties and weights included."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as reference

from lungassist import metrics

Question = tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]


def drawn(seed: int, decimals: int, count: int = 400) -> Question:
    """Truth, scores of so many decimals (1 makes ties by the dozen), and whole weights with zeros among them."""
    rng = np.random.default_rng(seed)
    positive = rng.random(count) < 0.3
    scores = np.round(np.clip(rng.normal(0.35, 0.2, count) + 0.3 * positive, 0, 1), decimals)
    return positive, scores, rng.integers(0, 4, count).astype(np.float64)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("decimals", [1, 2, 12])
@pytest.mark.parametrize("seed", range(3))
def test_areas_are_scikit_learns(seed: int, decimals: int, weighted: bool) -> None:
    positive, scores, drawn_weights = drawn(seed, decimals)
    weights = drawn_weights if weighted else None
    roc = reference.roc_auc_score(positive, scores, sample_weight=weights)
    steps = reference.average_precision_score(positive, scores, sample_weight=weights)
    assert metrics.roc_auc(positive, scores, weights) == pytest.approx(roc, abs=1e-12)
    assert metrics.average_precision(positive, scores, weights) == pytest.approx(steps, abs=1e-12)


@pytest.mark.parametrize("brief", [False, True])
@pytest.mark.parametrize("decimals", [1, 12])
def test_the_roc_curve_is_scikit_learns(decimals: int, brief: bool) -> None:
    positive, scores, weights = drawn(0, decimals)
    for each in (None, weights):
        fpr, tpr, thresholds = reference.roc_curve(positive, scores, sample_weight=each, drop_intermediate=brief)
        curve = metrics.roc_curve(positive, scores, each, brief=brief)
        np.testing.assert_allclose(curve.false_positive_rate, fpr, atol=1e-12)
        np.testing.assert_allclose(curve.true_positive_rate, tpr, atol=1e-12)
        np.testing.assert_array_equal(curve.threshold, thresholds)


@pytest.mark.parametrize("decimals", [1, 12])
def test_the_precision_recall_curve_is_scikit_learns(decimals: int) -> None:
    positive, scores, _ = drawn(1, decimals)
    precision, recall, thresholds = reference.precision_recall_curve(positive, scores)
    curve = metrics.precision_recall_curve(positive, scores)
    np.testing.assert_allclose(curve.precision, precision[:-1][::-1], atol=1e-12)
    np.testing.assert_allclose(curve.recall, recall[:-1][::-1], atol=1e-12)
    np.testing.assert_array_equal(curve.threshold, thresholds[::-1])


def test_areas_by_hand() -> None:
    # Positives 0.9, 0.5; negatives 0.7, 0.5, 0.1. Pairs won: 3 + (1 + a tie of a half) = 4.5 of 6.
    positive = np.array([True, True, False, False, False])
    scores = np.array([0.9, 0.5, 0.7, 0.5, 0.1])
    assert metrics.roc_auc(positive, scores) == pytest.approx(4.5 / 6)
    # Half of recall at precision 1, the other half at 2 of 4.
    assert metrics.average_precision(positive, scores) == pytest.approx(0.5 * 1 + 0.5 * 0.5)


@pytest.mark.parametrize("positive", [[True, True], [False, False], []])
def test_a_question_with_one_answer_has_no_roc(positive: list[bool]) -> None:
    truth, scores = np.array(positive, bool), np.linspace(0.2, 0.8, len(positive))
    assert np.isnan(metrics.roc_auc(truth, scores))
    curve = metrics.roc_curve(truth, scores)
    assert np.isnan(curve.false_positive_rate).all() or np.isnan(curve.true_positive_rate).all()
    assert np.isnan(metrics.average_precision(truth, scores)) == (not any(positive))


def test_sick_is_what_is_not_normal() -> None:
    probabilities = np.array([[0.1, 0.2, 0.6, 0.1], [0.0, 0.0, 1.0, 0.0]])
    np.testing.assert_allclose(metrics.sick_probability(probabilities, normal=2), [0.4, 0.0])
