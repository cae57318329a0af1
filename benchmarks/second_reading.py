"""Whether a second model guards a first one: how often their findings differ, and how many errors are among those.

Both are asked about the same images as they are and under the changes of `benchmarks.robustness`; a finding is that of
triage, by the card's operating point. Where the two differ a reader would look again: `looked at again` is what that
costs, `errors among them` what it finds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.perturbations import PERTURBATIONS
from benchmarks.split_images import (
    add_only,
    carry_out,
    changes_asked_for,
    chosen_model,
    parser,
    percent,
    probabilities_of,
    sample_of,
)
from benchmarks.timing import machine
from lungassist.classes import CONTAGIOUS, NORMAL
from lungassist.errors import UsageError
from lungassist.models.card import Card
from lungassist.models.decision import decide
from lungassist.models.weights import choose_model
from lungassist.predict import Classifier
from lungassist.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0, or 2 for a folder or a model that cannot be used."""
    p = parser("benchmarks.second_reading", __doc__)
    p.add_argument("--second", metavar="NAME", required=True, help="the model that reads after the first")
    add_only(p)
    return carry_out(p, argv, _measure, _lines)


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    settings = Settings.from_environment()
    folder, first = chosen_model(arguments, settings)
    name = choose_model(settings.weights_dir, arguments.second)
    second = Classifier.load(settings.weights_dir / name, first.device)
    if second.classes != first.classes:
        raise UsageError(f"{name} tells other classes apart than {first.card.name}: {', '.join(second.classes)}.")
    sample = sample_of(arguments, folder, first, settings)
    lines = {}
    for change_name, change in changes_asked_for(arguments).items():
        own, other = (_findings(probabilities_of(change, sample, c, settings), c.card) for c in (first, second))
        lines[change_name] = _line(change_name, own, other, sample.labels, first.classes)
    return {
        "benchmark": "second_reading",
        "machine": machine(),
        "first": f"{first.card.name} {first.card.full_version}",
        "second": f"{second.card.name} {second.card.full_version}",
        "images": len(sample.labels),
        "split": arguments.split,
        "changes": lines,
    }


def _findings(probabilities: NDArray[np.float64], card: Card) -> NDArray[np.int64]:
    return np.asarray(decide(card.operating_point.thresholds, card.classes, probabilities), np.int64)


def _line(
    name: str,
    own: NDArray[np.int64],
    other: NDArray[np.int64],
    labels: NDArray[np.int64],
    classes: Sequence[str],
) -> dict[str, Any]:
    differ, wrong = own != other, own != labels
    contagious = np.isin(labels, [classes.index(c) for c in CONTAGIOUS if c in classes])
    missed = contagious & (own == (classes.index(NORMAL) if NORMAL in classes else -1))
    return {
        "what": PERTURBATIONS[name].words if name in PERTURBATIONS else name,
        "accuracy": percent(float(1 - wrong.mean())),
        "second_accuracy": percent(float((other == labels).mean())),
        "looked_at_again": int(differ.sum()),
        "errors": int(wrong.sum()),
        "errors_among_them": int((wrong & differ).sum()),
        "contagious_called_normal": int(missed.sum()),
        "contagious_called_normal_among_them": int((missed & differ).sum()),
    }


def _lines(result: dict[str, Any]) -> list[str]:
    return [
        f"{result['first']} and then {result['second']}, {result['images']:,} {result['split']} images",
        *(
            f"{line['what']:<40} {line['accuracy']:6.2f} and {line['second_accuracy']:6.2f} %  "
            f"{line['looked_at_again']:>4} looked at again, {line['errors_among_them']} of {line['errors']} errors "
            f"among them, {line['contagious_called_normal_among_them']} of {line['contagious_called_normal']} "
            "contagious called Normal"
            for line in result["changes"].values()
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
