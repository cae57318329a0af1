"""Every figure of the comparison page for one table of predictions, or for all of its resamples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from lungassist.classes import CONTAGIOUS, NORMAL
from lungassist.errors import UsageError
from lungassist.metrics import calibration, curves, rates
from lungassist.metrics.arrays import Floats, Labels, ratio
from lungassist.metrics.confusion import confusion_matrix


@dataclass(frozen=True, slots=True)
class Roles:
    """What the `K` classes of a table are: how many, which one is Normal, which are contagious. Indices.

    Where no class is known to be contagious, `contagious` are all but Normal, and `known_contagious` is False.
    """

    class_count: int
    normal: int | None = None
    contagious: tuple[int, ...] = ()
    known_contagious: bool = True

    @classmethod
    def of(cls, classes: Sequence[str]) -> Roles:
        """The roles of classes by name: Normal; COVID and Viral Pneumonia (paper, section 5), else all but Normal."""
        spread = [i for i, name in enumerate(classes) if name in CONTAGIOUS]
        counted = spread or [i for i, name in enumerate(classes) if name != NORMAL]
        normal = list(classes).index(NORMAL) if NORMAL in classes else None
        return cls(len(classes), normal, tuple(counted), known_contagious=bool(spread))

    @property
    def counted(self) -> str:
        """What the images are that the rule counts, in a word."""
        return "contagious" if self.known_contagious else "sick"


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one table, each `()` or `(K,)`; of `B` resamples, `(B,)` or `(B, K)`. NaN where undefined.

    Shares are in [0, 1]. Where there is no class Normal, what needs one is NaN.
    """

    images: Floats  #: number of them, or their weight
    accuracy: Floats
    precision: Floats  #: (K,)
    recall: Floats  #: (K,)
    f1: Floats  #: (K,)
    specificity: Floats  #: (K,)
    macro_precision: Floats
    macro_recall: Floats  #: balanced accuracy
    macro_f1: Floats
    weighted_precision: Floats
    weighted_recall: Floats  #: the accuracy again, wherever there are images
    weighted_f1: Floats
    called_normal: Floats  #: (K,), the paper's (fn): a number of images; NaN of Normal itself
    contagious_called_normal: Floats  #: their sum over contagious classes; what the selection rule counts
    sick_sensitivity: Floats  #: share of the sick whose predicted class is any but Normal
    sick_specificity: Floats  #: share of the healthy whose predicted class is Normal
    roc_auc: Floats  #: (K,), one-vs-rest
    macro_roc_auc: Floats
    sick_roc_auc: Floats  #: of P(sick) = 1 - P(Normal)
    average_precision: Floats  #: (K,), one-vs-rest
    macro_average_precision: Floats
    sick_average_precision: Floats
    expected_calibration_error: Floats  #: resamples lie higher than the table: luck within a bin is taken for a gap
    brier: Floats  #: in [0, 2]

    def items(self) -> Iterator[tuple[str, Floats]]:
        """Name and values of each figure, in the order above."""
        for field in fields(self):
            yield field.name, getattr(self, field.name)

    def map(self, function: Callable[[Floats], Floats]) -> Figures:
        """The figures that `function` makes of each of these."""
        return Figures(**{name: function(values) for name, values in self.items()})

    def minus(self, other: Figures) -> Figures:
        """Difference, figure by figure; of resamples, in each resample, which is what makes it paired."""
        return Figures(**{name: values - getattr(other, name) for name, values in self.items()})

    def named(self, classes: Sequence[str]) -> dict[str, float]:
        """One table's figures as a flat record: `accuracy`, ..., and `recall COVID`, ... for each class."""
        flat: dict[str, float] = {}
        for name, values in self.items():
            per_class = zip(classes, values, strict=True) if values.ndim else ()
            flat |= {f"{name} {label}": float(value) for label, value in per_class}
            if not values.ndim:
                flat[name] = float(values)
        return flat


@dataclass(frozen=True, slots=True)
class Areas:
    """Areas under curves: one-vs-rest `(..., K)`, and of P(sick) `(...)`."""

    roc: Floats
    precision_recall: Floats
    sick_roc: Floats
    sick_precision_recall: Floats


def figures(labels: Labels, probabilities: Floats, roles: Roles, weights: Floats | None = None) -> Figures:
    """Every figure of one table; equal to scikit-learn's where it has the same.

    Args:
        labels: `(N,)` class indices in `[0, K)`.
        probabilities: `(N, K)` in [0, 1], rows sum to 1. The predicted class is the first of the largest.
        roles: of the `K` classes.
        weights: `(N,)`, how often each image counts; once by default.

    Raises:
        UsageError: the shapes do not belong together, or a label is no class.
    """
    labels, probabilities = checked(labels, probabilities, roles)
    matrix = confusion_matrix(labels, probabilities.argmax(axis=1), roles.class_count, weights)
    error = calibration.expected_calibration_error(probabilities, labels, weights=weights)
    brier = calibration.brier_score(probabilities, labels, weights)
    return assembled(matrix.astype(np.float64), areas(labels, probabilities, roles, weights), error, brier, roles)


def areas(labels: Labels, probabilities: Floats, roles: Roles, weights: Floats | None = None) -> Areas:
    """Areas under every curve of one table; arguments as of `figures`."""
    questions = [(labels == k, probabilities[:, k]) for k in range(roles.class_count)]
    if roles.normal is not None:
        questions.append((labels != roles.normal, curves.sick_probability(probabilities, roles.normal)))
    roc, steps = np.array([curves.areas(*question, weights) for question in questions]).reshape(-1, 2).T
    return split_areas(roc, steps, roles)


def split_areas(roc: Floats, precision_recall: Floats, roles: Roles) -> Areas:
    """Areas of questions `(..., K)`, or `(..., K + 1)` with P(sick) last where there is a class Normal."""
    count = roles.class_count
    undefined = np.full(roc.shape[:-1], np.nan)
    sick = (undefined, undefined) if roles.normal is None else (roc[..., count], precision_recall[..., count])
    return Areas(roc[..., :count], precision_recall[..., :count], *sick)


def assembled(
    matrices: Floats, under: Areas, calibration_error: Floats | float, brier: Floats | float, roles: Roles
) -> Figures:
    """Figures `(...)` of confusion matrices `(..., K, K)`, areas, calibration errors and Brier scores `(...)`."""
    p, r, f = rates.precision(matrices), rates.recall(matrices), rates.f1(matrices)
    counts, contagious = _called_normal(matrices, roles)
    sensitivity, specificity = _sick_rates(matrices, roles)
    return Figures(
        images=matrices.sum(axis=(-2, -1)),
        accuracy=rates.accuracies(matrices),
        precision=p,
        recall=r,
        f1=f,
        specificity=rates.specificity(matrices),
        **{f"macro_{name}": rates.macro(each, matrices) for name, each in (("precision", p), ("recall", r), ("f1", f))},
        **{
            f"weighted_{name}": rates.weighted(each, matrices)
            for name, each in (("precision", p), ("recall", r), ("f1", f))
        },
        called_normal=counts,
        contagious_called_normal=contagious,
        sick_sensitivity=sensitivity,
        sick_specificity=specificity,
        roc_auc=under.roc,
        macro_roc_auc=rates.macro(under.roc, matrices),
        sick_roc_auc=under.sick_roc,
        average_precision=under.precision_recall,
        macro_average_precision=rates.macro(under.precision_recall, matrices),
        sick_average_precision=under.sick_precision_recall,
        expected_calibration_error=np.asarray(calibration_error, np.float64),
        brier=np.asarray(brier, np.float64),
    )


def checked(labels: Labels, probabilities: Floats, roles: Roles) -> tuple[Labels, Floats]:
    """Labels and probabilities as int64 and float64, or a UsageError that says what does not belong together."""
    labels, probabilities = np.asarray(labels, np.int64), np.asarray(probabilities, np.float64)
    expected = (len(labels), roles.class_count)
    if probabilities.shape != expected:
        raise UsageError(
            f"Probabilities of shape {expected} were expected, a row an image and a column a class; "
            f"{probabilities.shape} came. Pass the probabilities of the same images as the labels."
        )
    if len(labels) and not (labels.min() >= 0 and labels.max() < roles.class_count):
        raise UsageError(
            f"Labels were expected to be class indices from 0 to {roles.class_count - 1}; "
            f"{labels.min()} to {labels.max()} came. Leave out images whose label is unknown."
        )
    return labels, probabilities


def _called_normal(matrices: Floats, roles: Roles) -> tuple[Floats, Floats]:
    if roles.normal is None:
        return np.full(matrices.shape[:-1], np.nan), np.full(matrices.shape[:-2], np.nan)
    counts = matrices[..., roles.normal].copy()
    counts[..., roles.normal] = np.nan
    return counts, counts[..., list(roles.contagious)].sum(axis=-1)


def _sick_rates(matrices: Floats, roles: Roles) -> tuple[Floats, Floats]:
    if roles.normal is None:
        undefined = np.full(matrices.shape[:-2], np.nan)
        return undefined, undefined
    sick = np.delete(matrices, roles.normal, axis=-2)
    caught = sick.sum(axis=(-2, -1)) - sick[..., roles.normal].sum(axis=-1)
    return ratio(caught, sick.sum(axis=(-2, -1))), rates.recall(matrices)[..., roles.normal]
