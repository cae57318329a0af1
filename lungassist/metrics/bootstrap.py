"""Resampling by patient, the same resamples for every model and every figure.

A resample draws as many patients as there are, with replacement; an image counts as often as its patient was drawn
(cluster bootstrap: Davison and Hinkley 1997, section 3.8; multinomial weights: Efron and Tibshirani 1993, chapter 20).
Models are compared in the same resamples, so that differences are paired.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lungassist.errors import UsageError
from lungassist.metrics.arrays import Floats, Labels, Truths
from lungassist.metrics.intervals import LEVEL, Interval, percentiles
from lungassist.metrics.merit import Figures, Roles, checked, figures
from lungassist.metrics.ranking import Weights
from lungassist.metrics.resampling import Resampler

RESAMPLES: Final = 2000

#: Resamples at a time: few enough for their weights to stay near the processor. Part of what a seed means.
BLOCK: Final = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Measured:
    """A model's figures, the ends of their intervals, and the figures of every resample `(B, ...)`."""

    point: Figures
    low: Figures
    high: Figures
    replicates: Figures = field(repr=False)

    def interval(self, name: str, k: int | None = None) -> Interval:
        """The interval of a figure, of class number `k` where it has one value a class."""
        low, high = getattr(self.low, name), getattr(self.high, name)
        return Interval(float(low), float(high)) if k is None else Interval(float(low[k]), float(high[k]))


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Resamples of `N` images by patient; the same arguments give the same resamples on every machine.

    Draws are kept, a byte for each patient and resample, so that whatever is asked later costs no more of them.

    Args:
        patients: `(N,)` of any comparable values, equal for images of one patient. An image whose patient is unknown
            needs a value of its own.
        resamples: `B`.
        seed: of the draws.
        level: of the intervals, in (0, 1).
    """

    patients: NDArray[np.int64]
    resamples: int = RESAMPLES
    seed: int = 1
    level: float = LEVEL
    _drawn: dict[int, NDArray[np.unsignedinteger]] = field(init=False, repr=False)

    def __init__(self, patients: ArrayLike, resamples: int = RESAMPLES, seed: int = 1, level: float = LEVEL) -> None:
        if resamples < 1 or not 0 < level < 1:
            raise UsageError(
                f"At least 1 resample and a level between 0 and 1 were expected; {resamples} and {level} came."
            )
        _, numbers = np.unique(np.asarray(patients), return_inverse=True)
        for name, value in (("patients", numbers), ("resamples", resamples), ("seed", seed), ("level", level)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_drawn", {})

    @property
    def of_one_patient(self) -> bool:
        """Whether all images are of a single patient: every resample is the same, and says nothing of chance."""
        return bool(len(self.patients)) and not self.patients.any()

    def weights(self, block: int) -> Weights:
        """How often each image counts in the resamples of a block: `(N, b)`, whole numbers, `b` at most `BLOCK`."""
        if block not in self._drawn:
            self._drawn[block] = self._draw(block)
        drawn = self._drawn[block]
        each_alone = len(drawn) == len(self.patients) and bool((np.diff(self.patients) == 1).all())
        return (drawn if each_alone else drawn[self.patients]).astype(np.float32)

    def _draw(self, block: int) -> NDArray[np.unsignedinteger]:
        """How often each patient is drawn, `(P, b)`, in the fewest bytes: one each, in practice."""
        count = int(self.patients.max()) + 1 if len(self.patients) else 0
        draw = np.random.default_rng([self.seed, block])
        rows = [
            np.bincount(draw.integers(0, count, count, dtype=np.int32), minlength=count)
            for _ in range(min(BLOCK, self.resamples - block * BLOCK))
        ]
        drawn = np.array(rows)
        return np.ascontiguousarray(drawn.astype(np.min_scalar_type(int(drawn.max(initial=0)))).T)

    def each_block(self, function: Callable[[Weights], T]) -> list[T]:
        """What `function` makes of the weights of every block, in order; blocks are shared out over the cores."""
        blocks = range(-(-self.resamples // BLOCK))
        with ThreadPoolExecutor(min(os.cpu_count() or 1, len(blocks), 8)) as workers:
            return list(workers.map(lambda block: function(self.weights(block)), blocks))

    def totals(self, values: Floats | Truths) -> Floats:
        """Sums over the images of every resample, `(B, C)`, of what each adds, `(N, C)`; a share is their ratio.

        NaN where all images are of one patient.
        """
        self._check_length(len(values))
        if self.of_one_patient:
            return np.full((self.resamples, np.shape(values)[1]), np.nan)
        from scipy.sparse import csr_array

        # Not a dense product: BLAS brings threads of its own, which fight with those of the blocks.
        columns = csr_array(np.asarray(values, np.float32).T)
        return np.concatenate(self.each_block(lambda weights: (columns @ weights).T)).astype(np.float64)

    def interval(self, replicates: Floats) -> Interval:
        """The interval of a figure with these values `(B,)` in the resamples."""
        low, high = percentiles(replicates, self.level)
        return Interval(float(low), float(high))

    def measure(self, labels: Labels, tables: Mapping[str, Floats], roles: Roles) -> dict[str, Measured]:
        """Every figure of several models on the same `N` images, with intervals; of one patient's images, without.

        Args:
            labels: `(N,)` class indices.
            tables: probabilities `(N, K)` by name of the model.
            roles: of the `K` classes.

        Raises:
            UsageError: arrays are not of the same images, or a label is no class.
        """
        if not tables or not len(self.patients):
            raise UsageError("At least one model and one image were expected to resample; none came.")
        self._check_length(len(labels))
        ready = [checked(labels, probabilities, roles) for probabilities in tables.values()]
        resampler = Resampler.of(ready[0][0], [probabilities for _, probabilities in ready], roles)
        replicates = resampler.figures(self.each_block(resampler.tally))
        if self.of_one_patient:
            replicates = [each.map(lambda values: np.full_like(values, np.nan)) for each in replicates]
        return {
            name: measured(figures(*one, roles), each, self.level)
            for name, one, each in zip(tables, ready, replicates, strict=True)
        }

    def difference(self, a: Measured, b: Measured) -> Measured:
        """Figures of `a` less those of `b`, with the paired interval; both measured by this bootstrap."""
        return measured(a.point.minus(b.point), a.replicates.minus(b.replicates), self.level)

    def _check_length(self, images: int) -> None:
        if images != len(self.patients):
            raise UsageError(
                f"{len(self.patients)} images were to be resampled; {images} came. "
                "Make the bootstrap from the patients of these images."
            )


def measured(point: Figures, replicates: Figures, level: float) -> Measured:
    """Figures with percentile intervals of their replicates `(B, ...)`."""
    ends = {name: percentiles(values, level) for name, values in replicates.items()}
    low, high = (Figures(**{name: both[i] for name, both in ends.items()}) for i in (0, 1))
    return Measured(point, low, high, replicates)
