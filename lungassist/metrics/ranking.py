"""Areas under ROC and precision-recall steps in many resamples at once: sorted once, summed by a sparse product.

A resample keeps the order of the scores and changes only how often each image counts. So the images are sorted once
into steps, one for each distinct score of a positive; the weights of a step's positives and of the negatives since the
step before are sums of rows of the weights, which is one product with a sparse matrix of ones; cumulative sums over
the steps are true and false positives at every threshold that matters, and both areas are sums over the steps:

    1 - ROC area = sum_i p[i] (FP[i] - tied[i] / 2) / (P N)          (Mann and Whitney 1947, weighted)
    average precision = sum_i p[i] / P * TP[i] / (TP[i] + FP[i])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lungassist.metrics.arrays import Floats, Truths, ratio

Weights = NDArray[np.float32]

#: Steps of a run. Runs lie side by side, so that one addition is of all their first steps, the next of all second ...
_RUN: Final = 32

#: Called positive before anything is: nothing gained over nothing called is 0, and 1 and more absorb it.
_NOTHING: Final = np.float32(1e-30)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The order of one question's scores: sparse matrices of ones over `N` images, and which steps have ties.

    Step `s` of `D` lies in row `s % _RUN * (D / _RUN) + s // _RUN`; `D` is filled up to a multiple of `_RUN`.
    """

    steps: Any  #: (2 D, N): positives of every step, then negatives from the step before on
    ties: Any  #: (E, N): negatives that score as the positives of their step
    tied: NDArray[np.intp]  #: (E,) rows of these steps

    def areas(self, weights: Weights, negatives: Floats) -> tuple[Floats, Floats]:
        """ROC area and average precision, each `(b,)`.

        Args:
            weights: `(N, b)`, whole numbers, whose sums are exact in float32 up to 16 million images.
            negatives: `(b,)`, the weight of all of them.

        Returns:
            NaN where there are no positives (both) or no negatives (the first).
        """
        sums = self.steps @ weights
        gained, raised = sums.reshape(2, _RUN, -1, weights.shape[1])
        lost, won, positives = _summed(gained, raised)
        if len(self.tied):
            lost -= 0.5 * (sums[self.tied] * (self.ties @ weights)).sum(axis=0, dtype=np.float64)
        return 1 - ratio(lost, positives * negatives), ratio(won, positives)


def ranked(positive: Truths, scores: Floats) -> Ranking:
    """Sort a question's scores, `(N,)` each, into steps."""
    falling = -np.asarray(scores, np.float64)
    levels = np.unique(falling[positive])
    # A negative counts from the first step that calls it on: the first level of a positive at or below its score.
    step = np.searchsorted(levels, falling)
    # While no negative is called, precision is 1 and nothing is lost: the steps before the first negative are one.
    merged = max(int(step[~positive].min(initial=len(levels))) - 1, 0)
    depth = max(len(levels) - merged, 1)
    runs = -(-depth // _RUN)
    step = np.maximum(step - merged, 0)
    row = step % _RUN * runs + step // _RUN
    called = np.flatnonzero(step < len(levels) - merged)
    ties = np.flatnonzero(~positive & np.isin(falling, levels))
    tied, of_tie = np.unique(row[ties], return_inverse=True)
    rows = row[called] + np.where(positive[called], 0, runs * _RUN)
    steps = _ones(rows, called, (2 * runs * _RUN, len(falling)))
    return Ranking(steps, _ones(of_tie, ties, (len(tied), len(falling))), tied)


def _ones(rows: NDArray[np.intp], images: NDArray[np.intp], shape: tuple[int, int]) -> Any:
    from scipy.sparse import csr_array

    return csr_array((np.ones(len(images), np.float32), (rows, images)), shape=shape)


def _summed(gained: Weights, raised: Weights) -> tuple[Floats, Floats, Floats]:
    """Sums over all steps of p FP, of p TP / (TP + FP), and of p, each `(b,)`.

    Args:
        gained, raised: weights of positives and negatives of every step, `(_RUN, runs, b)`.
    """
    hits, positives = _before(gained)
    alarms, _ = _before(raised)
    alarms += _NOTHING
    lost, won, part = np.zeros_like(hits), np.zeros_like(hits), np.empty_like(hits)
    for p, n in zip(gained, raised, strict=True):
        hits += p
        alarms += n
        lost += np.multiply(p, alarms, out=part)
        np.add(hits, alarms, out=part)
        np.divide(hits, part, out=part)
        won += np.multiply(part, p, out=part)
    return lost.sum(axis=0, dtype=np.float64), won.sum(axis=0, dtype=np.float64), positives


def _before(values: Weights) -> tuple[Weights, Floats]:
    """Of `(_RUN, runs, b)`: what comes before each run, `(runs, b)`, and the whole, `(b,)`."""
    upto = np.cumsum(values.sum(axis=0), axis=0)
    return np.concatenate([np.zeros_like(upto[:1]), upto[:-1]]), upto[-1].astype(np.float64)
