"""ROC and precision-recall curves of a two-way question, and the areas under them, as scikit-learn defines them.

A question is `positive` `(N,)` bool and `scores` `(N,)`, higher for yes: 'is it COVID' with P(COVID), or 'is it sick'
with `sick_probability`. A table of `K` classes asks `K` questions one-vs-rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lungassist.metrics.arrays import Floats, Truths, ratio


@dataclass(frozen=True, slots=True)
class RocCurve:
    """Points `(T,)` from (0, 0) to (1, 1); at `threshold[i]` and above is called positive; the first is infinite."""

    false_positive_rate: Floats
    true_positive_rate: Floats
    threshold: Floats


@dataclass(frozen=True, slots=True)
class PrecisionRecallCurve:
    """Points `(T,)` by falling threshold, recall rising; a step function, not to be joined by straight lines."""

    precision: Floats
    recall: Floats
    threshold: Floats


def sick_probability(probabilities: Floats, normal: int) -> Floats:
    """P(sick) = 1 - P(Normal), `(N,)`, of probabilities `(N, K)`."""
    return 1.0 - np.asarray(probabilities, np.float64)[:, normal]


def roc_curve(positive: Truths, scores: Floats, weights: Floats | None = None, *, brief: bool = True) -> RocCurve:
    """Sensitivity over 1 - specificity, a point a distinct score.

    Args:
        positive: `(N,)`.
        scores: `(N,)`.
        weights: `(N,)`, how often each image counts.
        brief: leave out points on a straight line between their neighbours, as `sklearn.metrics.roc_curve` does.

    Returns:
        The curve; a rate is NaN where there are no positives, or no negatives.
    """
    hits, alarms, thresholds = _steps(positive, scores, weights)
    if brief and len(hits) > 2:
        bends = np.diff(alarms, 2).astype(bool) | np.diff(hits, 2).astype(bool)
        kept = np.flatnonzero(np.r_[True, bends, True])
        hits, alarms, thresholds = hits[kept], alarms[kept], thresholds[kept]
    x, y = np.r_[0.0, alarms], np.r_[0.0, hits]
    return RocCurve(ratio(x, np.broadcast_to(x[-1], x.shape)), ratio(y, y[-1]), np.r_[np.inf, thresholds])


def roc_auc(positive: Truths, scores: Floats, weights: Floats | None = None) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, a tie being half a chance.

    Returns:
        In [0, 1]; NaN without positives or without negatives.
    """
    return areas(positive, scores, weights)[0]


def precision_recall_curve(positive: Truths, scores: Floats, weights: Floats | None = None) -> PrecisionRecallCurve:
    """Precision over recall, a point a distinct score (equations 7 and 8); recall is NaN without positives."""
    hits, alarms, thresholds = _steps(positive, scores, weights)
    total = hits[-1] if len(hits) else 0.0
    return PrecisionRecallCurve(ratio(hits, hits + alarms), ratio(hits, total), thresholds)


def average_precision(positive: Truths, scores: Floats, weights: Floats | None = None) -> float:
    """Area under the precision-recall steps, sum of (R[i] - R[i-1]) P[i], as `average_precision_score` has it.

    Returns:
        In [0, 1]; by chance alone it is the share of positives, not a half. NaN without positives.
    """
    return areas(positive, scores, weights)[1]


def areas(positive: Truths, scores: Floats, weights: Floats | None = None) -> tuple[float, float]:
    """`roc_auc` and `average_precision`, sorting once."""
    hits, alarms, _ = _steps(positive, scores, weights)
    if not len(hits):
        return float("nan"), float("nan")
    gained, raised = np.diff(hits, prepend=0.0), np.diff(alarms, prepend=0.0)
    under = np.sum(raised * (hits - gained / 2))
    precise = np.sum(gained * ratio(hits, hits + alarms))
    return float(ratio(under, hits[-1] * alarms[-1])), float(ratio(precise, hits[-1]))


def _steps(positive: Truths, scores: Floats, weights: Floats | None) -> tuple[Floats, Floats, Floats]:
    """True and false positives `(T,)` at every distinct score, from the highest down, and these scores."""
    truth, values = np.asarray(positive, bool), np.asarray(scores, np.float64)
    each = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    order = np.argsort(-values, kind="stable")
    order = order[each[order] > 0]  # an image that counts nought times is not there
    truth, values, each = truth[order], values[order], each[order]
    last = np.flatnonzero(np.r_[np.diff(values) != 0, True][: len(values)])
    hits, alarms = np.cumsum(np.where(truth, each, 0.0))[last], np.cumsum(np.where(truth, 0.0, each))[last]
    return hits, alarms, values[last]
