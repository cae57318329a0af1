"""Confusion matrices: of one model, of many, and weighted; and who was called Normal."""

from __future__ import annotations

from typing import overload

import numpy as np

from lungassist.metrics.arrays import Floats, Labels, Matrix


@overload
def confusion_matrix(labels: Labels, predicted: Labels, class_count: int) -> Matrix: ...
@overload
def confusion_matrix(labels: Labels, predicted: Labels, class_count: int, weights: Floats) -> Floats: ...
@overload
def confusion_matrix(
    labels: Labels, predicted: Labels, class_count: int, weights: Floats | None
) -> Matrix | Floats: ...
def confusion_matrix(
    labels: Labels, predicted: Labels, class_count: int, weights: Floats | None = None
) -> Matrix | Floats:
    """Count images by true class (rows) and predicted class (columns).

    Args:
        labels, predicted: `(N,)` class indices in `[0, class_count)`. `predicted` may be `(M, N)`, a row a model.
        class_count: `K`.
        weights: `(N,)`, how often each image counts; once by default.

    Returns:
        `(K, K)`, or `(M, K, K)`: int64, or float64 where there are weights.
    """
    cells = np.asarray(labels) * class_count + np.atleast_2d(predicted)
    flat = np.stack([np.bincount(row, weights, minlength=class_count**2) for row in cells])
    matrices = flat.reshape(*np.shape(predicted)[:-1], class_count, class_count)
    return matrices.astype(np.int64) if weights is None else matrices.astype(np.float64)


def called_normal(matrix: Matrix, sick: int, normal: int) -> int:
    """The paper's (fn), of table 1: images of class `sick` that were predicted as `normal`."""
    return int(matrix[sick, normal])
