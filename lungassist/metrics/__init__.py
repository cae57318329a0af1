"""Figures of merit as pure functions of arrays: no torch, no pandas. Undefined is NaN, never 0.

`N` images, `K` classes, `B` resamples, `M` models. Labels are class indices `(N,)`, probabilities `(N, K)`; the
predicted class is the first of the largest. A table's figures, with intervals, for all models on the same images:

    roles = Roles.of(classes)                              # which index is Normal, which are contagious
    bootstrap = Bootstrap(patients, resamples=2000, seed=1)   # patients (N,); an unknown one needs a value of its own
    measured = bootstrap.measure(labels, {"ResNet50": p, "VGG19_bn": q}, roles)     # dict[str, Measured]
    measured["ResNet50"].point.recall                      # Figures: `(K,)`
    measured["ResNet50"].interval("recall", 0)             # Interval(low, high)
    measured["ResNet50"].low.accuracy, .high.accuracy      # Figures too, as is .replicates, `(B, ...)`
    bootstrap.difference(measured["ResNet50"], measured["VGG19_bn"]).interval("accuracy")    # paired

One at a time, point estimates only:

    figures(labels, probabilities, roles, weights=None) -> Figures;  .items()  .named(classes) -> dict  .map  .minus
    confusion_matrix(labels, predicted, K, weights=None)   # predicted (N,) or (M, N) -> (K, K) or (M, K, K)
    accuracy(matrix) -> float;  accuracies, precision, recall, f1, specificity, of (..., K, K)
    macro(rates, matrix), weighted(rates, matrix);  f1_of(precision, recall): equation 9 on printed figures
    called_normal(matrix, sick, normal) -> int             # the paper's (fn)
    roc_curve, precision_recall_curve, roc_auc, average_precision (positive, scores, weights=None)
    sick_probability(probabilities, normal)                # 1 - P(Normal)
    expected_calibration_error, brier_score, log_loss, reliability (probabilities, labels)
    reliability_of(positive, scores)
    fit_temperature(probabilities, labels), with_temperature(probabilities, t)     # fit on validation alone

Comparing, choosing, deciding:

    mcnemar(right_a, right_b) -> McNemar(only_a, only_b, p);   holm(p_values), NaN = not compared
    operating_point(p_sick, is_sick, target) -> threshold  # on validation
    outcome_at(threshold, p_sick, is_sick, bootstrap) -> Outcome(sensitivity, specificity, ruled_out, ...: Rate)
    sweep(p_sick, is_sick) -> Sweep                        # every threshold at once, for a curve or a slider
    choose([Candidate.of(name, family, labels, probabilities, roles), ...]) -> Choice(name, reason, note, ...)
    wilson(successes, total) -> (low, high);  percentiles(replicates (B, ...)) -> (low, high)
    bootstrap.totals(values (N, C)) -> (B, C)              # sums in every resample: any share of anything, by slices

Errors are `UsageError`: arrays of different images, labels that are no class, targets out of range.
"""

from lungassist.metrics.arrays import Floats, Labels, Matrix, Truths
from lungassist.metrics.bootstrap import RESAMPLES, Bootstrap, Measured
from lungassist.metrics.calibration import (
    Reliability,
    brier_score,
    expected_calibration_error,
    fit_temperature,
    fit_temperature_of_logits,
    log_loss,
    reliability,
    reliability_of,
    with_temperature,
)
from lungassist.metrics.comparison import McNemar, holm, mcnemar
from lungassist.metrics.confusion import called_normal, confusion_matrix
from lungassist.metrics.curves import (
    PrecisionRecallCurve,
    RocCurve,
    average_precision,
    precision_recall_curve,
    roc_auc,
    roc_curve,
    sick_probability,
)
from lungassist.metrics.intervals import LEVEL, Interval, percentiles, wilson
from lungassist.metrics.merit import Figures, Roles, figures
from lungassist.metrics.operating_point import Outcome, Rate, Sweep, operating_point, outcome_at, sweep
from lungassist.metrics.rates import accuracies, accuracy, f1, f1_of, macro, precision, recall, specificity, weighted
from lungassist.metrics.selection import Candidate, Choice, Rival, choose

__all__ = [
    "LEVEL",
    "RESAMPLES",
    "Bootstrap",
    "Candidate",
    "Choice",
    "Figures",
    "Floats",
    "Interval",
    "Labels",
    "Matrix",
    "McNemar",
    "Measured",
    "Outcome",
    "PrecisionRecallCurve",
    "Rate",
    "Reliability",
    "Rival",
    "RocCurve",
    "Roles",
    "Sweep",
    "Truths",
    "accuracies",
    "accuracy",
    "average_precision",
    "brier_score",
    "called_normal",
    "choose",
    "confusion_matrix",
    "expected_calibration_error",
    "f1",
    "f1_of",
    "figures",
    "fit_temperature",
    "fit_temperature_of_logits",
    "holm",
    "log_loss",
    "macro",
    "mcnemar",
    "operating_point",
    "outcome_at",
    "percentiles",
    "precision",
    "precision_recall_curve",
    "recall",
    "reliability",
    "reliability_of",
    "roc_auc",
    "roc_curve",
    "sick_probability",
    "specificity",
    "sweep",
    "weighted",
    "wilson",
    "with_temperature",
]
