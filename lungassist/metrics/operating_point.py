"""Operating points: from which probability on a study is called sick, and what that does to others.

The threshold is chosen on validation images and judged on test images; choosing on the test images would flatter it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lungassist.errors import UsageError
from lungassist.metrics.arrays import Floats, Truths, ratio
from lungassist.metrics.bootstrap import Bootstrap
from lungassist.metrics.intervals import Interval, percentiles, wilson


@dataclass(frozen=True, slots=True)
class Rate:
    """A share in [0, 1] with both of its intervals.

    Images are independent to Wilson's, patients to the bootstrap's. Where a share is 0 or 1 the bootstrap's has no
    width, since no resample can differ; Wilson's has.
    """

    value: float
    wilson: Interval
    bootstrap: Interval


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a threshold does on a set of images."""

    threshold: float
    sensitivity: Rate  #: sick at or above the threshold, of the sick
    specificity: Rate  #: healthy below it, of the healthy
    ruled_out: Rate  #: all below it, of all
    ruled_out_healthy: Rate  #: healthy below it, of all below it (negative predictive value)
    missed: int  #: sick below it
    images: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """What every threshold would do, rising: arrays `(T,)`, one entry a distinct probability."""

    threshold: Floats
    sensitivity: Floats
    specificity: Floats
    ruled_out: Floats
    missed: Floats


def operating_point(p_sick: Floats, is_sick: Truths, target: float) -> float:
    """The largest threshold at which sensitivity is still at least `target`; sick is called what is at or above it.

    Args:
        p_sick: `(N,)` in [0, 1], of validation images alone: `sick_probability`, or that of being contagious.
        is_sick: `(N,)`.
        target: sensitivity wanted, in (0, 1].

    Raises:
        UsageError: `target` is out of range, or nobody is sick, so that no sensitivity can be had.
    """
    if not 0 < target <= 1:
        raise UsageError(f"A target sensitivity above 0 and at most 1 was expected; {target} came. Say 0.99 for 99 %.")
    sick = np.sort(np.asarray(p_sick, np.float64)[np.asarray(is_sick, bool)])[::-1]
    if not len(sick):
        raise UsageError("Validation images with at least one sick were expected to choose a threshold on; none came.")
    # 0.55 x 20 is 11.000000000000002 in binary and means 11.
    needed = max(int(np.ceil(target * len(sick) - 1e-9)), 1)
    return float(sick[needed - 1])


def outcome_at(threshold: float, p_sick: Floats, is_sick: Truths, bootstrap: Bootstrap) -> Outcome:
    """What `threshold` does on test images, with intervals.

    Args:
        threshold: from `operating_point`, or where the user has dragged it.
        p_sick, is_sick: `(N,)`, as there, of test images.
        bootstrap: of the same `N` images.

    Returns:
        Shares that are undefined (nobody sick, nobody ruled out) are NaN, and their intervals too.
    """
    sick, above = np.asarray(is_sick, bool), np.asarray(p_sick, np.float64) >= threshold
    cells = np.column_stack([sick & above, sick & ~above, ~sick & above, ~sick & ~above])
    counted, of = _shares(cells.sum(axis=0, dtype=np.float64))
    ends = percentiles(ratio(*_shares(bootstrap.totals(cells))), bootstrap.level)
    columns = zip(ratio(counted, of), *wilson(counted, of, bootstrap.level), *ends, strict=True)
    rates = [
        Rate(value, Interval(wilson_low, wilson_high), Interval(low, high))
        for value, wilson_low, wilson_high, low, high in (map(float, column) for column in columns)
    ]
    sensitivity, specificity, ruled_out, healthy = rates
    missed = int(np.count_nonzero(sick & ~above))
    return Outcome(float(threshold), sensitivity, specificity, ruled_out, healthy, missed, len(sick))


def _shares(cells: Floats) -> tuple[Floats, Floats]:
    """Numerators and denominators `(..., 4)`, in the order of `Outcome`.

    Args:
        cells: `(..., 4)`, sick at or above the threshold and below it, healthy at or above and below.
    """
    caught, missed, alarmed, spared = np.moveaxis(cells, -1, 0)
    below = missed + spared
    every = below + caught + alarmed
    counted = np.stack([caught, spared, below, spared], axis=-1)
    return counted, np.stack([caught + missed, alarmed + spared, every, below], axis=-1)


def sweep(p_sick: Floats, is_sick: Truths) -> Sweep:
    """What every threshold would do on these `(N,)` images, for the curve beside the slider.

    The thresholds are the distinct probabilities, rising; at the first nothing is ruled out.
    """
    p, sick = np.asarray(p_sick, np.float64), np.asarray(is_sick, bool)
    thresholds = np.unique(p)
    missed = np.searchsorted(np.sort(p[sick]), thresholds).astype(np.float64)
    spared = np.searchsorted(np.sort(p[~sick]), thresholds).astype(np.float64)
    sensitivity = 1 - ratio(missed, np.count_nonzero(sick))
    return Sweep(
        thresholds, sensitivity, ratio(spared, np.count_nonzero(~sick)), ratio(missed + spared, len(p)), missed
    )
