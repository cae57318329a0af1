"""Intervals: of a share (Wilson), and of whatever was resampled (percentiles)."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lungassist.metrics.arrays import Floats, ratio

LEVEL: Final = 0.95


class Interval(NamedTuple):
    """Lower and upper end, both NaN where there is none."""

    low: float
    high: float


def wilson(successes: ArrayLike, total: ArrayLike, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Ends of Wilson's score interval of a share (Wilson 1927), which stays in [0, 1] and has a width at 0 and at 1.

    Takes every image for independent; where a patient has several, the bootstrap by patient is the one to read.

    Args:
        successes, total: numbers or arrays `(...)`, `successes <= total`.
        level: of confidence, in (0, 1).

    Returns:
        Lower and upper ends `(...)`; NaN where `total` is 0.
    """
    from scipy.special import ndtri

    z = float(ndtri(0.5 + level / 2))
    k, n = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(total, np.float64))
    share = ratio(k, n)
    centre = ratio(k + z**2 / 2, n + np.where(n > 0, z**2, 0.0))
    half = ratio(z * np.sqrt(n * share * (1 - share) + z**2 / 4), n + np.where(n > 0, z**2, 0.0))
    low = np.where(k == 0, np.where(n > 0, 0.0, np.nan), np.maximum(centre - half, 0.0))
    high = np.where(k == n, np.where(n > 0, 1.0, np.nan), np.minimum(centre + half, 1.0))
    return low, high


def percentiles(replicates: Floats, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Ends of the percentile interval (Efron and Tibshirani 1993, section 13.3) over the first axis.

    Args:
        replicates: `(B, ...)`, a figure in every resample. NaN is a resample in which it is undefined; it is left out.
        level: of confidence, in (0, 1).

    Returns:
        Lower and upper ends `(...)`, between neighbours as `numpy.percentile` has it; NaN where the figure is undefined
        in more than half of the resamples.
    """
    ordered = np.sort(replicates, axis=0)  # NaN last
    defined = np.count_nonzero(~np.isnan(ordered), axis=0)
    enough = 2 * defined >= max(len(ordered), 1)
    low, high = (
        np.where(enough, _quantile(ordered, defined, share), np.nan) for share in ((1 - level) / 2, (1 + level) / 2)
    )
    return low, high


def _quantile(ordered: Floats, defined: NDArray[np.int64], share: float) -> Floats:
    if not len(ordered):
        return np.full(ordered.shape[1:], np.nan)
    place = share * np.maximum(defined - 1, 0)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(defined - 1, 0))
    lower = np.take_along_axis(ordered, below[None], axis=0)[0]
    upper = np.take_along_axis(ordered, above[None], axis=0)[0]
    return np.asarray(lower + (upper - lower) * (place - below))
