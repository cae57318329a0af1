"""Confusion matrices and their rates against scikit-learn and against tables computed by hand."""

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


def test_called_normal_counts_the_sick_who_are_sent_home() -> None:
    labels = np.array([0, 0, 0, 2, 2, 1])
    guesses = np.array([2, 2, 0, 0, 2, 2])
    matrix = metrics.confusion_matrix(labels, guesses, 3)
    assert metrics.called_normal(matrix, sick=0, normal=2) == 2
    assert metrics.called_normal(matrix, sick=1, normal=2) == 1


@pytest.mark.parametrize("seed", range(3))
def test_specificity_and_the_means_are_scikit_learns(seed: int) -> None:
    labels, guesses = drawn(seed)
    matrix = metrics.confusion_matrix(labels, guesses, 4)
    for k in range(4):
        others = reference.recall_score(labels != k, guesses != k)
        assert metrics.specificity(matrix)[k] == pytest.approx(others, abs=1e-12)
    for name in ("macro", "weighted"):
        p, r, f, _ = reference.precision_recall_fscore_support(labels, guesses, average=name)
        mean = getattr(metrics, name)
        assert mean(metrics.precision(matrix), matrix) == pytest.approx(p, abs=1e-12)
        assert mean(metrics.recall(matrix), matrix) == pytest.approx(r, abs=1e-12)
        assert mean(metrics.f1(matrix), matrix) == pytest.approx(f, abs=1e-12)


def test_a_class_without_images_is_left_out_of_the_mean_as_in_balanced_accuracy() -> None:
    labels, guesses = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])
    matrix = metrics.confusion_matrix(labels, guesses, 3)
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        balanced = reference.balanced_accuracy_score(labels, guesses)
    assert metrics.macro(metrics.recall(matrix), matrix) == pytest.approx(balanced)


def test_a_model_that_never_says_a_class_has_no_macro_precision_rather_than_a_flattering_one() -> None:
    # The paper's logistic regression never says Viral Pneumonia rightly; one that never says it at all must not win.
    matrix = np.array([[9, 1], [5, 0]])[:, [0, 1]]
    silent = np.array([[10, 0], [5, 0]])
    assert metrics.macro(metrics.precision(matrix), matrix) == pytest.approx((9 / 14 + 0) / 2)
    assert np.isnan(metrics.macro(metrics.precision(silent), silent))
    assert np.isnan(metrics.weighted(metrics.precision(silent), silent))


def test_a_stack_of_models_is_each_model_by_itself() -> None:
    pairs = [drawn(seed) for seed in range(3)]
    labels = pairs[0][0]
    stack = metrics.confusion_matrix(labels, np.stack([guesses for _, guesses in pairs]), 4)
    for i, (_, guesses) in enumerate(pairs):
        alone = metrics.confusion_matrix(labels, guesses, 4)
        np.testing.assert_array_equal(stack[i], alone)
        assert metrics.accuracies(stack)[i] == metrics.accuracy(alone)
        for rate in (metrics.precision, metrics.recall, metrics.f1, metrics.specificity):
            np.testing.assert_array_equal(rate(stack)[i], rate(alone))


def test_weights_are_repetitions() -> None:
    labels, guesses = drawn(0)
    weights = np.random.default_rng(1).integers(0, 4, len(labels))
    weighted = metrics.confusion_matrix(labels, guesses, 4, weights.astype(np.float64))
    repeated = metrics.confusion_matrix(np.repeat(labels, weights), np.repeat(guesses, weights), 4)
    np.testing.assert_array_equal(weighted, repeated)
    np.testing.assert_array_equal(
        weighted, reference.confusion_matrix(labels, guesses, labels=range(4), sample_weight=weights)
    )


def test_equation_9_on_the_papers_printed_figures() -> None:
    # Table 5, COVID: 98.28 and 97.71 give the printed 97.99.
    assert metrics.f1_of(np.array(98.28), np.array(97.71)) == pytest.approx(97.99, abs=0.005)
