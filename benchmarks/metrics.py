"""The comparison page's figures with their intervals, against a loop over scikit-learn.

  lungassist    every figure of every model in all resamples, intervals, McNemar and paired differences of all pairs,
                the rule, and an operating point for each model, from arrays in memory
  scikit-learn  the same figures of a table, one resample and one model after the other, without intervals and pairs;
                measured on a few resamples and scaled to all, since all would take the better part of an hour

Tables are simulated: classes as in the paper's database, models from 60 % to 98 % accuracy, probabilities rounded to
five decimals as `lungassist.evaluation` writes them, every image a patient of its own, which is the most work.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as reference

from benchmarks.simulated import drawn_labels, drawn_probabilities
from benchmarks.timing import arguments_parser, interleaved, machine, run_benchmark
from lungassist import metrics
from lungassist.classes import CLASSES

ROLES = metrics.Roles.of(CLASSES)
NORMAL = CLASSES.index("Normal")


@dataclass(frozen=True, slots=True)
class Tables:
    """Labels `(N,)`, probabilities `(N, 4)` by model, and how often they are resampled."""

    labels: NDArray[np.int64]
    models: dict[str, NDArray[np.float64]]
    resamples: int

    @classmethod
    def simulated(cls, images: int, models: int, resamples: int) -> Tables:
        """Models that know ever more, and find the same images hard."""
        rng = np.random.default_rng(0)
        labels = drawn_labels(images, rng)
        tables = {f"model {i}": table for i, table in enumerate(drawn_probabilities(labels, models, rng))}
        return cls(labels, tables, resamples)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0."""
    p = arguments_parser("benchmarks.metrics", __doc__)
    p.add_argument("--rows", type=int, default=21165, help="images (default: %(default)s)")
    p.add_argument("--models", type=int, default=10, help="default: %(default)s")
    p.add_argument("--resamples", type=int, default=2000, help="default: %(default)s")
    p.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    return run_benchmark(p, _measure, _lines, argv)


def _measure(arguments: argparse.Namespace, _place: Path) -> dict[str, Any]:
    rows, models, resamples, rounds = arguments.rows, arguments.models, arguments.resamples, arguments.rounds
    if arguments.quick:
        rows, models, resamples, rounds = 400, 2, 100, 1
    tables = Tables.simulated(rows, models, resamples)
    timings = interleaved({"ours": lambda: page(tables), "theirs": lambda: loop(tables, 1)}, rounds, warm_up=1)
    # Theirs is one resample; all of them take so many times as long.
    seconds = {
        "lungassist": round(statistics.median(timings.rounds["ours"]), 3),
        "lungassist_fastest": round(min(timings.rounds["ours"]), 3),
        "scikit_learn_scaled": round(statistics.median(timings.rounds["theirs"]) * resamples, 1),
    }
    return {
        "benchmark": "metrics",
        "machine": machine(),
        "rows": rows,
        "models": models,
        "resamples": resamples,
        "scikit_learn_resamples_measured": rounds,
        "seconds": seconds,
        "times_scikit_learn": round(resamples / timings.ratio("ours", "theirs"), 1),
        "largest_difference": largest_difference(tables),
    }


def page(tables: Tables) -> metrics.Choice:
    """What the page shows of these tables, from nothing."""
    bootstrap = metrics.Bootstrap(np.arange(len(tables.labels)), tables.resamples)
    measured = bootstrap.measure(tables.labels, tables.models, ROLES)
    pairs = list(itertools.combinations(measured, 2))
    right = {name: table.argmax(axis=1) == tables.labels for name, table in tables.models.items()}
    metrics.holm([metrics.mcnemar(right[a], right[b]).p for a, b in pairs])
    for a, b in pairs:
        bootstrap.difference(measured[a], measured[b])
    sick = tables.labels != NORMAL
    for table in tables.models.values():
        p_sick = metrics.sick_probability(table, NORMAL)
        metrics.outcome_at(metrics.operating_point(p_sick, sick, 0.99), p_sick, sick, bootstrap)
    return metrics.choose(
        [metrics.Candidate.of(name, name, tables.labels, table, ROLES) for name, table in tables.models.items()]
    )


def loop(tables: Tables, resamples: int) -> None:
    """The figures of every model in some resamples, by scikit-learn."""
    rng, images = np.random.default_rng(1), len(tables.labels)
    for _ in range(resamples):
        drawn = rng.integers(0, images, images)
        for table in tables.models.values():
            by_scikit_learn(tables.labels[drawn], table[drawn])


def by_scikit_learn(labels: NDArray[np.int64], table: NDArray[np.float64]) -> dict[str, Any]:
    """What scikit-learn has of `metrics.Figures`, by the same names."""
    guesses, sick = table.argmax(axis=1), labels != NORMAL
    confusion = reference.confusion_matrix(labels, guesses, labels=range(4))
    per_class = reference.precision_recall_fscore_support(labels, guesses, labels=range(4), zero_division=np.nan)
    roc = [reference.roc_auc_score(labels == k, table[:, k]) for k in range(4)]
    steps = [reference.average_precision_score(labels == k, table[:, k]) for k in range(4)]
    figures = dict(zip(("precision", "recall", "f1"), per_class, strict=False))
    for mean in ("macro", "weighted"):
        values = reference.precision_recall_fscore_support(labels, guesses, average=mean, zero_division=np.nan)
        figures |= dict(zip((f"{mean}_precision", f"{mean}_recall", f"{mean}_f1"), values, strict=False))
    return figures | {
        "accuracy": reference.accuracy_score(labels, guesses),
        "specificity": [reference.recall_score(labels != k, guesses != k) for k in range(4)],
        "contagious_called_normal": confusion[list(ROLES.contagious), NORMAL].sum(),
        "sick_sensitivity": reference.recall_score(sick, guesses != NORMAL),
        "sick_specificity": reference.recall_score(~sick, guesses == NORMAL),
        "roc_auc": roc,
        "macro_roc_auc": np.mean(roc),
        "sick_roc_auc": reference.roc_auc_score(sick, 1 - table[:, NORMAL]),
        "average_precision": steps,
        "macro_average_precision": np.mean(steps),
        "sick_average_precision": reference.average_precision_score(sick, 1 - table[:, NORMAL]),
        # scikit-learn refuses rows whose rounded probabilities do not sum to one, so its parts are added up.
        "brier": sum(reference.brier_score_loss(labels == k, table[:, k]) for k in range(4)),
    }


def largest_difference(tables: Tables) -> float:
    """Between point estimates and scikit-learn's, over all figures and models."""
    return max(
        float(np.max(np.abs(getattr(ours, name) - np.asarray(value))))
        for table in tables.models.values()
        for ours in [metrics.figures(tables.labels, table, ROLES)]
        for name, value in by_scikit_learn(tables.labels, table).items()
    )


def _lines(result: dict[str, Any]) -> list[str]:
    seconds = result["seconds"]
    return [
        f"{result['rows']} images, {result['models']} models, {result['resamples']} resamples",
        f"lungassist    {seconds['lungassist']:10.2f} s (fastest {seconds['lungassist_fastest']:.2f} s)",
        f"scikit-learn  {seconds['scikit_learn_scaled']:10.1f} s, scaled from "
        f"{result['scikit_learn_resamples_measured']} resamples = {result['times_scikit_learn']:.0f} x",
        f"point estimates differ by at most {result['largest_difference']:.1e}",
    ]


if __name__ == "__main__":
    sys.exit(main())
