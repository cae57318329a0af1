"""Whether probabilities mean what they say: calibration error, Brier score, reliability, temperature.

A table of predictions holds probabilities, not logits; since softmax forgets what is added to all logits of an image,
the logarithm of its probabilities serves as well (up to the table's rounding).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lungassist.metrics.arrays import Floats, Labels, Truths, ratio

BINS: Final = 15

#: Tables are rounded to 5 decimals; a probability of 0 in one is taken for the middle of what rounds to it.
_LEAST: Final = 2.5e-6


@dataclass(frozen=True, slots=True)
class Reliability:
    """Confidence against accuracy, a row a bin `(B,)`; NaN in the means of an empty bin."""

    low: Floats
    high: Floats
    confidence: Floats
    accuracy: Floats
    count: Floats


def expected_calibration_error(
    probabilities: Floats, labels: Labels, bins: int = BINS, weights: Floats | None = None
) -> float:
    """Mean distance between confidence and accuracy over equal-width bins, weighted by size (Guo et al. 2017, eq. 5).

    Args:
        probabilities: `(N, K)`, rows sum to 1.
        labels: `(N,)` class indices.
        bins: of equal width in [0, 1], closed above.
        weights: `(N,)`, how often each image counts.

    Returns:
        In [0, 1]; NaN without images.
    """
    confidence, right = confidence_of(probabilities, labels)
    each = np.ones(len(right)) if weights is None else weights
    gaps = np.bincount(bin_of(confidence, bins), (right - confidence) * each, bins)
    return float(ratio(np.abs(gaps).sum(), each.sum()))


def confidence_of(probabilities: Floats, labels: Labels) -> tuple[Floats, Truths]:
    """Probability of the predicted class, and whether that class is the true one, each `(N,)`."""
    values = np.asarray(probabilities, np.float64)
    return values.max(axis=1), values.argmax(axis=1) == labels


def bin_of(confidence: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """Number of the bin, `(N,)` in [0, bins); bins are closed above, as in Guo et al."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def reliability(probabilities: Floats, labels: Labels, bins: int = BINS, weights: Floats | None = None) -> Reliability:
    """The reliability diagram of the predicted class (Guo et al. 2017, section 2). Arguments as of the error above."""
    return _binned(*confidence_of(probabilities, labels), bins, weights)


def reliability_of(positive: Truths, scores: Floats, bins: int = BINS, weights: Floats | None = None) -> Reliability:
    """The reliability diagram of a two-way question: how often `positive` `(N,)` where `scores` say how likely."""
    return _binned(np.asarray(scores, np.float64), np.asarray(positive, bool), bins, weights)


def _binned(confidence: Floats, right: Truths, bins: int, weights: Floats | None) -> Reliability:
    each = np.ones(len(right)) if weights is None else weights
    place = bin_of(confidence, bins)
    count = np.bincount(place, each, bins)
    edges = np.linspace(0.0, 1.0, bins + 1)
    said, true = (ratio(np.bincount(place, values * each, bins), count) for values in (confidence, right))
    return Reliability(edges[:-1], edges[1:], said, true, count.astype(np.float64))


def brier_score(probabilities: Floats, labels: Labels, weights: Floats | None = None) -> float:
    """Mean over images of the sum over classes of (p - y) squared (Brier 1950), in [0, 2]; 0 is best; NaN if empty.

    Of two classes it is twice what is called so for a single probability.
    """
    each = np.ones(len(labels)) if weights is None else weights
    return float(ratio(np.sum(squared_errors(probabilities, labels) * each), each.sum()))


def squared_errors(probabilities: Floats, labels: Labels) -> Floats:
    """What each image adds to the Brier score, `(N,)` in [0, 2]."""
    values = np.asarray(probabilities, np.float64)
    return np.asarray(np.square(values - np.eye(values.shape[1])[labels]).sum(axis=1))


def log_loss(probabilities: Floats, labels: Labels) -> float:
    """Mean over images of -ln p of the true class, 0 is best; NaN if empty. A p below 2.5e-6 is taken for that.

    Unlike scikit-learn's, whose floor is that of floating point: there a single 0 of a rounded table counts 36.
    """
    return float(ratio(-_logs(probabilities)[np.arange(len(labels)), labels].sum(), len(labels)))


def fit_temperature(probabilities: Floats, labels: Labels) -> float:
    """The temperature that makes these probabilities most likely; see `fit_temperature_of_logits`.

    Args:
        probabilities: `(N, K)`, of validation images and of those alone.
        labels: `(N,)` class indices.
    """
    return fit_temperature_of_logits(_logs(probabilities), labels)


def fit_temperature_of_logits(logits: Floats, labels: Labels) -> float:
    """The temperature with the smallest negative log-likelihood (Guo et al. 2017, section 4.2).

    Args:
        logits: `(N, K)`, of validation images and of those alone.
        labels: `(N,)` class indices.

    Returns:
        In [0.2, 5]; above 1 when the model is too sure of itself, 1 when it is right or there are no images.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    if not len(labels):
        return 1.0

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-scaled[np.arange(len(labels)), labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.2), np.log(5)), method="bounded").x))


def with_temperature(probabilities: Floats, temperature: float) -> Floats:
    """Probabilities `(N, K)` as they were, had the logits been divided by `temperature`; the class stays."""
    from scipy.special import softmax

    return np.asarray(softmax(_logs(probabilities) / temperature, axis=1), np.float64)


def _logs(probabilities: Floats) -> Floats:
    return np.log(np.maximum(np.asarray(probabilities, np.float64), _LEAST))
