"""Figures of merit as pure functions of arrays. Undefined is NaN, never 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Labels = NDArray[np.int64]
Matrix = NDArray[np.int64]
Floats = NDArray[np.float64]


def confusion_matrix(labels: Labels, predicted: Labels, class_count: int) -> Matrix:
    """Count images by true class (rows) and predicted class (columns).

    Args:
        labels, predicted: `(N,)` class indices in `[0, class_count)`.

    Returns:
        `(K, K)` int64.
    """
    flat = np.bincount(labels * class_count + predicted, minlength=class_count**2)
    return flat.reshape(class_count, class_count).astype(np.int64)


def accuracy(matrix: Matrix) -> float:
    """Share of images whose predicted class is the true one (paper, equation 5), in [0, 1]; NaN without images."""
    return float(_ratio(np.trace(matrix), matrix.sum()))


def precision(matrix: Matrix) -> Floats:
    """True positives over all predicted so, a class (equation 7); NaN for a class that was never predicted."""
    return _ratio(np.diag(matrix), matrix.sum(axis=0))


def recall(matrix: Matrix) -> Floats:
    """True positives over all that are so, a class (equation 8), or sensitivity; NaN for a class without images."""
    return _ratio(np.diag(matrix), matrix.sum(axis=1))


def f1(matrix: Matrix) -> Floats:
    """Harmonic mean of precision and recall, a class (equation 9); NaN where either is undefined or both are 0."""
    p, r = precision(matrix), recall(matrix)
    return _ratio(2 * p * r, p + r)


def called_normal(matrix: Matrix, sick: int, normal: int) -> int:
    """The paper's (fn): images of class `sick` that were predicted as `normal`."""
    return int(matrix[sick, normal])


def expected_calibration_error(probabilities: Floats, labels: Labels, bins: int = 15) -> float:
    """Mean distance between confidence and accuracy over equal-width bins, weighted by size (Guo et al. 2017, eq. 5).

    Args:
        probabilities: `(N, K)`, rows sum to 1.
        labels: `(N,)` class indices.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, right - confidence, bins)
    return float(np.abs(gaps).sum() / len(labels)) if len(labels) else float("nan")


def _ratio(above: ArrayLike, below: ArrayLike) -> Floats:
    numerator, denominator = np.asarray(above, np.float64), np.asarray(below, np.float64)
    ratio = np.full(denominator.shape, np.nan)
    np.divide(numerator, denominator, out=ratio, where=denominator > 0)
    return ratio
