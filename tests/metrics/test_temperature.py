"""Temperature scaling recovers the temperature by which logits were sharpened."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from lungassist.metrics import expected_calibration_error, fit_temperature_of_logits


def honest(count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits that mean what they say: labels are drawn with their probabilities."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 1.5, (count, 4))
    chances = softmax(logits, axis=1).cumsum(axis=1)
    return logits, (rng.random((count, 1)) > chances).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.8, 3.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    logits, labels = honest()
    assert fit_temperature_of_logits(logits * temperature, labels) == pytest.approx(temperature, rel=0.04)


def test_the_calibration_error_falls_and_the_findings_stay() -> None:
    logits, labels = honest()
    sharpened = logits * 2.5
    temperature = fit_temperature_of_logits(sharpened, labels)
    before, after = softmax(sharpened, axis=1), softmax(sharpened / temperature, axis=1)
    assert expected_calibration_error(after, labels) < expected_calibration_error(before, labels) / 5
    np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))


@pytest.mark.parametrize("right", [True, False])
def test_a_network_that_is_always_right_or_wrong_gets_a_bounded_temperature(right: bool) -> None:
    logits = 10 * np.eye(4)[np.arange(40) % 4]
    labels = (np.arange(40) + (0 if right else 1)) % 4
    assert 0.2 <= fit_temperature_of_logits(logits, labels) <= 5.0
