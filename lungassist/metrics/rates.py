"""Rates of confusion matrices `(..., K, K)`; all at once for a stack of models or resamples.

What is undefined is NaN and never 0: a class that was never predicted has no precision, a class without images no
recall. scikit-learn says the same when asked with `zero_division=nan`, but for F1, which by the paper's equation (9)
is undefined when precision is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lungassist.metrics.arrays import Floats, Matrix, ratio

Matrices = Matrix | Floats | NDArray[np.float32]


def accuracy(matrix: Matrices) -> float:
    """Share of images whose predicted class is the true one (paper, equation 5), in [0, 1]; NaN without images."""
    return float(accuracies(matrix))


def accuracies(matrices: Matrices) -> Floats:
    """`accuracy` of a stack `(..., K, K)`: `(...)`."""
    return ratio(_hits(matrices).sum(axis=-1), matrices.sum(axis=(-2, -1)))


def precision(matrix: Matrices) -> Floats:
    """True positives over all predicted so (equation 7), `(..., K)`; NaN for a class that was never predicted."""
    return ratio(_hits(matrix), matrix.sum(axis=-2))


def recall(matrix: Matrices) -> Floats:
    """True positives over all that are so (equation 8), or sensitivity, `(..., K)`; NaN for a class without images."""
    return ratio(_hits(matrix), matrix.sum(axis=-1))


def f1(matrix: Matrices) -> Floats:
    """Harmonic mean of precision and recall (equation 9), `(..., K)`; NaN where either is undefined or both are 0."""
    return f1_of(precision(matrix), recall(matrix))


def f1_of(precisions: Floats, recalls: Floats) -> Floats:
    """Equation 9 itself, for precisions and recalls that come from elsewhere, such as the paper's tables."""
    return ratio(2 * precisions * recalls, precisions + recalls)


def specificity(matrix: Matrices) -> Floats:
    """True negatives over all that are not of the class, `(..., K)`; NaN where every image is of the class."""
    total = matrix.sum(axis=(-2, -1))[..., None]
    others = total - matrix.sum(axis=-1)
    return ratio(others - (matrix.sum(axis=-2) - _hits(matrix)), others)


def macro(per_class: Floats, matrix: Matrices) -> Floats:
    """Plain mean of a per-class rate `(..., K)` over the classes that have images: `(...)`.

    NaN if the rate of any of these is undefined: a model that never says a class has no macro precision, not a better
    one than a model that says it and errs. Of recall, this is the balanced accuracy.
    """
    return _mean(per_class, (matrix.sum(axis=-1) > 0).astype(np.float64))


def weighted(per_class: Floats, matrix: Matrices) -> Floats:
    """Mean of a per-class rate `(..., K)` weighted by the images of each class: `(...)`. NaN as of `macro`."""
    return _mean(per_class, matrix.sum(axis=-1).astype(np.float64))


def _mean(per_class: Floats, weights: Floats) -> Floats:
    parts = np.where(weights > 0, per_class * weights, 0.0)
    return ratio(parts.sum(axis=-1), weights.sum(axis=-1))


def _hits(matrices: Matrices) -> Floats:
    return np.asarray(np.diagonal(matrices, axis1=-2, axis2=-1), np.float64)
