"""The arrays that figures are made of, and the one division."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Class indices `(N,)`.
Labels = NDArray[np.int64]
#: A confusion matrix `(K, K)`, or a stack of them `(..., K, K)`: true class in rows, predicted class in columns.
Matrix = NDArray[np.int64]
Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]


def ratio(above: ArrayLike, below: ArrayLike) -> Floats:
    """Divide, element by element; NaN where the denominator is not above 0 or is NaN itself."""
    numerator, denominator = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    result = np.full(denominator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result
