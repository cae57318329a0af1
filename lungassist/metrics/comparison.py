"""Two models on the same images: McNemar's test, the difference in every resample, and Holm for many of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lungassist.errors import UsageError
from lungassist.metrics.arrays import Floats, Truths


@dataclass(frozen=True, slots=True)
class McNemar:
    """Images that only one of two models gets right, and the chance of a split at least as uneven by luck alone."""

    only_a: int
    only_b: int
    p: float


def mcnemar(right_a: Truths, right_b: Truths) -> McNemar:
    """McNemar's exact test (McNemar 1947; the two-sided binomial test of the images on which the two differ).

    Takes every image for independent. Where a patient has several, read the paired bootstrap beside it.

    Args:
        right_a, right_b: `(N,)` bool, whether each model is right on each of the same images, in the same order.

    Returns:
        p in (0, 1]; 1 where the two never differ.

    Raises:
        UsageError: the two are of different length, so that they cannot be of the same images.
    """
    a, b = np.asarray(right_a, bool), np.asarray(right_b, bool)
    if a.shape != b.shape:
        raise UsageError(
            f"A paired test needs both models on the same images; {a.size} and {b.size} came. "
            "Compare the images that both have."
        )
    only_a, only_b = int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))
    return McNemar(only_a, only_b, discordance_p(only_a, only_b))


def discordance_p(only_a: int, only_b: int) -> float:
    """Two-sided p of a split of `only_a + only_b` images that would fall either way alike; 1 where there are none."""
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0


def holm(p_values: ArrayLike) -> Floats:
    """p-values adjusted for their number (Holm 1979): the chance of even one false alarm below 0.05 is at most 0.05.

    Args:
        p_values: any shape `(...)`, in [0, 1]. NaN is a comparison that was not made; it stays NaN and is not counted.

    Returns:
        The same shape, never smaller than what came, at most 1, in the same order.
    """
    p = np.asarray(p_values, np.float64)
    adjusted = np.full(p.shape, np.nan)
    made = ~np.isnan(p)
    given = p[made]
    order = np.argsort(given, kind="stable")
    steps = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)) if len(given) else given
    back = np.empty_like(given)
    back[order] = np.minimum(steps, 1.0)
    adjusted[made] = back
    return adjusted
