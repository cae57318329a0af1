"""Calibration against scikit-learn, by hand, and on probabilities whose temperature is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from lungassist import metrics


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


def test_nothing_is_calibrated_without_images() -> None:
    nothing, nobody = np.empty((0, 3)), np.array([], dtype=np.int64)
    assert np.isnan(metrics.expected_calibration_error(nothing, nobody))
    assert np.isnan(metrics.brier_score(nothing, nobody))
    assert np.isnan(metrics.log_loss(nothing, nobody))
    assert np.isnan(metrics.reliability(nothing, nobody).accuracy).all()
    assert metrics.fit_temperature(nothing, nobody) == 1


def drawn(seed: int, temperature: float = 1.0, count: int = 4000) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities, and labels drawn from them; the probabilities are then sharpened by `temperature`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, 4))
    labels = np.array([rng.choice(4, p=row) for row in softmax(logits, axis=1)])
    return softmax(logits * temperature, axis=1), labels


@pytest.mark.parametrize("weighted", [False, True])
def test_brier_is_scikit_learns(weighted: bool) -> None:
    probabilities, labels = drawn(0, count=300)
    weights = np.random.default_rng(1).integers(0, 3, 300).astype(np.float64) if weighted else None
    expected = reference.brier_score_loss(
        labels, probabilities, labels=range(4), sample_weight=weights, scale_by_half=False
    )
    assert metrics.brier_score(probabilities, labels, weights) == pytest.approx(expected, abs=1e-12)


def test_log_loss_is_scikit_learns() -> None:
    probabilities, labels = drawn(3, count=300)
    expected = reference.log_loss(labels, probabilities, labels=range(4))
    assert metrics.log_loss(probabilities, labels) == pytest.approx(expected, rel=1e-6)


def test_log_loss_of_what_a_table_rounds_to_nothing_is_finite() -> None:
    assert metrics.log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(np.log(4e5))


def test_reliability_of_a_question_is_scikit_learns_curve() -> None:
    probabilities, labels = drawn(2, count=500)
    true, said = calibration_curve(labels == 1, probabilities[:, 1], n_bins=10)
    bins = metrics.reliability_of(labels == 1, probabilities[:, 1], bins=10)
    filled = bins.count > 0
    np.testing.assert_allclose(bins.accuracy[filled], true, atol=1e-12)
    np.testing.assert_allclose(bins.confidence[filled], said, atol=1e-12)
    assert bins.count.sum() == 500
    assert (bins.low[0], bins.high[-1]) == (0, 1)


def test_the_diagrams_gaps_add_up_to_the_calibration_error() -> None:
    probabilities, labels = drawn(3, 2.0)
    bins = metrics.reliability(probabilities, labels)
    gaps = np.nansum(np.abs(bins.accuracy - bins.confidence) * bins.count) / bins.count.sum()
    assert metrics.expected_calibration_error(probabilities, labels) == pytest.approx(gaps, abs=1e-12)
    assert np.isnan(bins.accuracy[bins.count == 0]).all()
    assert (bins.count == 0).any(), "of four classes none is named with a confidence below a quarter"


@pytest.mark.parametrize("planted", [0.5, 1.0, 2.5])
def test_the_planted_temperature_is_found_and_undone(planted: float) -> None:
    sharpened, labels = drawn(4, planted)
    found = metrics.fit_temperature(sharpened, labels)
    assert found == pytest.approx(planted, rel=0.08)
    cooled = metrics.with_temperature(sharpened, found)
    np.testing.assert_allclose(cooled.sum(axis=1), 1)
    honest = metrics.expected_calibration_error(cooled, labels)
    assert honest < 0.025
    if planted != 1:
        assert honest < metrics.expected_calibration_error(sharpened, labels) / 3


def test_the_right_temperature_gives_back_the_probabilities_even_from_a_rounded_table() -> None:
    original, _ = drawn(5)
    sharpened, _ = drawn(5, 2.0)
    np.testing.assert_allclose(metrics.with_temperature(sharpened, 2.0), original, atol=1e-2)
    rounded = metrics.with_temperature(np.array([[1.0, 0.0, 0.0, 0.0]]), 1.0)
    np.testing.assert_allclose(rounded, [[1, 0, 0, 0]], atol=1e-5)
