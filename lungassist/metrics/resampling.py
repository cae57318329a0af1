"""Figures of several models in a block of resamples, by two sparse products: tallies, and areas under curves.

Whatever is a sum over images (a cell of a confusion matrix, the gap of a calibration bin, a squared error) is one
product of a sparse matrix `(R, N)` with the weights `(N, b)`; one matrix holds the rows of all models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lungassist.metrics import calibration, curves
from lungassist.metrics.arrays import Floats, Labels
from lungassist.metrics.merit import Figures, Roles, assembled, split_areas
from lungassist.metrics.ranking import Ranking, Weights, ranked


@dataclass(frozen=True, slots=True)
class Tally:
    """What a block of `b` resamples adds up to."""

    matrices: Floats  #: (M, b, K, K)
    calibration_error: Floats  #: (M, b)
    brier: Floats  #: (M, b)
    roc: Floats  #: (M, b, Q), of each question
    precision_recall: Floats  #: (M, b, Q)


@dataclass(frozen=True, slots=True)
class Resampler:
    """Tables of `M` models on the same `N` images, made ready for weights."""

    roles: Roles
    sums: Any  #: (M R, N) sparse; of each model K * K cells, BINS gaps, 1 squared error
    rankings: Sequence[Sequence[Ranking]]  #: of each model, its questions one-vs-rest, then P(sick)

    @classmethod
    def of(cls, labels: Labels, tables: Sequence[Floats], roles: Roles) -> Resampler:
        """Sort and sort out. Labels `(N,)` and probabilities `(N, K)` as `merit.checked` leaves them."""
        from scipy.sparse import vstack

        sums = vstack([_summands(labels, table, roles.class_count) for table in tables], format="csr")
        return cls(roles, sums, [_rankings(labels, table, roles) for table in tables])

    def tally(self, weights: Weights) -> Tally:
        """Add up the resamples whose weights `(N, b)` these are."""
        k, models = self.roles.class_count, len(self.rankings)
        sums = (self.sums @ weights).astype(np.float64).reshape(models, -1, weights.shape[1]).swapaxes(1, 2)
        matrices = sums[..., : k * k].reshape(*sums.shape[:2], k, k)
        images = matrices.sum(axis=(-2, -1))
        gaps = np.abs(sums[..., k * k : -1]).sum(axis=-1)
        outside = images[..., None] - matrices.sum(axis=-1)
        if self.roles.normal is not None:
            healthy = matrices[..., self.roles.normal, :].sum(axis=-1)
            outside = np.concatenate([outside, healthy[..., None]], axis=-1)
        areas = np.array(
            [
                [ranking.areas(weights, outside[m, :, q]) for q, ranking in enumerate(rankings)]
                for m, rankings in enumerate(self.rankings)
            ]
        )
        roc, steps = areas.transpose(2, 0, 3, 1)
        return Tally(matrices, gaps / images, sums[..., -1] / images, roc, steps)

    def figures(self, tallies: Sequence[Tally]) -> list[Figures]:
        """Figures `(B, ...)` of each model, of the tallies of all blocks in order."""
        parts = (
            np.concatenate([getattr(tally, name) for tally in tallies], axis=1)
            for name in ("matrices", "calibration_error", "brier", "roc", "precision_recall")
        )
        return [
            assembled(matrices, split_areas(roc, steps, self.roles), error, brier, self.roles)
            for matrices, error, brier, roc, steps in zip(*parts, strict=True)
        ]


def _summands(labels: Labels, probabilities: Floats, class_count: int) -> Any:
    """Of one model: what each image adds to each sum, sparse `(R, N)`."""
    from scipy.sparse import csr_array

    confidence, right = calibration.confidence_of(probabilities, labels)
    cells = labels * class_count + probabilities.argmax(axis=1)
    bins = calibration.bin_of(confidence) + class_count**2
    last = class_count**2 + calibration.BINS
    rows = np.concatenate([cells, bins, np.full(len(labels), last)])
    values = np.concatenate(
        [np.ones(len(labels)), right - confidence, calibration.squared_errors(probabilities, labels)]
    )
    images: NDArray[np.intp] = np.tile(np.arange(len(labels)), 3)
    return csr_array((values.astype(np.float32), (rows, images)), shape=(last + 1, len(labels)))


def _rankings(labels: Labels, probabilities: Floats, roles: Roles) -> list[Ranking]:
    questions = [ranked(labels == k, probabilities[:, k]) for k in range(roles.class_count)]
    if roles.normal is not None:
        questions.append(ranked(labels != roles.normal, curves.sick_probability(probabilities, roles.normal)))
    return questions
