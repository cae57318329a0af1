"""Figures of merit against scikit-learn and against a table computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as reference

from lungassist import metrics


def drawn(seed: int, classes: int = 4, count: int = 300) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    guesses = np.where(rng.random(count) < 0.7, labels, rng.integers(0, classes, count))
    return labels, guesses


@pytest.mark.parametrize("seed", range(5))
def test_every_figure_is_scikit_learns(seed: int) -> None:
    labels, guesses = drawn(seed)
    matrix = metrics.confusion_matrix(labels, guesses, 4)
    np.testing.assert_array_equal(matrix, reference.confusion_matrix(labels, guesses, labels=range(4)))
    assert metrics.accuracy(matrix) == pytest.approx(reference.accuracy_score(labels, guesses))
    p, r, f, _ = reference.precision_recall_fscore_support(labels, guesses, labels=range(4))
    np.testing.assert_allclose(metrics.precision(matrix), p)
    np.testing.assert_allclose(metrics.recall(matrix), r)
    np.testing.assert_allclose(metrics.f1(matrix), f)


def test_what_is_undefined_is_nan_and_never_zero() -> None:
    # Class 2 has no images, class 3 is never predicted, class 1 is always wrong.
    labels = np.array([0, 0, 1, 1, 3])
    guesses = np.array([0, 1, 0, 2, 0])
    matrix = metrics.confusion_matrix(labels, guesses, 4)
    p, r, f, _ = reference.precision_recall_fscore_support(labels, guesses, labels=range(4), zero_division=np.nan)
    np.testing.assert_allclose(metrics.precision(matrix), p)
    np.testing.assert_allclose(metrics.recall(matrix), r)
    assert np.isnan(metrics.precision(matrix)[3])
    assert np.isnan(metrics.recall(matrix)[2])
    assert metrics.recall(matrix)[3] == 0
    np.testing.assert_array_equal(np.isnan(metrics.f1(matrix)), [False, True, True, True])
    assert metrics.f1(matrix)[0] == pytest.approx(f[0])


def test_no_images_at_all() -> None:
    nothing = np.array([], dtype=np.int64)
    matrix = metrics.confusion_matrix(nothing, nothing, 3)
    assert matrix.shape == (3, 3)
    assert np.isnan(metrics.accuracy(matrix))
    assert np.isnan(metrics.f1(matrix)).all()
    assert np.isnan(metrics.expected_calibration_error(np.empty((0, 3)), nothing))


def test_called_normal_counts_the_sick_who_are_sent_home() -> None:
    labels = np.array([0, 0, 0, 2, 2, 1])
    guesses = np.array([2, 2, 0, 0, 2, 2])
    matrix = metrics.confusion_matrix(labels, guesses, 3)
    assert metrics.called_normal(matrix, sick=0, normal=2) == 2
    assert metrics.called_normal(matrix, sick=1, normal=2) == 1


def test_calibration_error_by_hand() -> None:
    # Five bins of width 0.2, closed above: 0.55 and 0.60 share the third, 0.85 and 0.95 the fifth, 0.70 is alone.
    confidences = [0.55, 0.60, 0.70, 0.85, 0.95]
    right = [True, False, True, True, True]
    probabilities = np.array([[c, 1 - c] for c in confidences])
    labels = np.array([0 if r else 1 for r in right])
    third = abs((1 + 0) / 2 - (0.55 + 0.60) / 2) * 2 / 5
    fourth = abs(1 - 0.70) * 1 / 5
    fifth = abs(1 - (0.85 + 0.95) / 2) * 2 / 5
    error = metrics.expected_calibration_error(probabilities, labels, bins=5)
    assert error == pytest.approx(third + fourth + fifth)


def test_calibration_error_of_one_who_is_always_sure() -> None:
    sure = np.array([[1.0, 0.0]] * 4)
    assert metrics.expected_calibration_error(sure, np.array([0, 0, 0, 0])) == 0
    assert metrics.expected_calibration_error(sure, np.array([0, 0, 1, 1])) == pytest.approx(0.5)
