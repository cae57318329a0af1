"""Whether a second model guards a first one: how often their findings differ, and how many errors are among those.

Both are asked about the same images as they are and under the changes of `benchmarks.robustness`; a finding is that of
triage, by the card's operating point. Where the two differ a reader would look again: `looked at again` is what that
costs, `errors among them` what it finds. Without `--second` the members of an ensemble are compared with each other,
each by its highest probability, as triage does.
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
    predictions_of,
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
    p.add_argument("--second", metavar="NAME", help="the model that reads after the first (default: its own members)")
    add_only(p)
    return carry_out(p, argv, _measure, _lines)


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    settings = Settings.from_environment()
    folder, first = chosen_model(arguments, settings)
    second = _second(arguments.second, first, settings)
    sample = sample_of(arguments, folder, first, settings)
    lines = {}
    for name, change in changes_asked_for(arguments).items():
        said = predictions_of(change, sample, first, settings)
        own = _findings(said.probabilities, first.card)
        if second is None:
            members = said.members.argmax(axis=2)
            lines[name] = _line(name, own, (members != members[0]).any(axis=0), sample.labels, first.classes)
        else:
            other = _findings(predictions_of(change, sample, second, settings).probabilities, second.card)
            lines[name] = _line(name, own, own != other, sample.labels, first.classes)
            lines[name]["second_accuracy"] = percent(float((other == sample.labels).mean()))
    return {
        "benchmark": "second_reading",
        "machine": machine(),
        "first": f"{first.card.name} {first.card.full_version}",
        "second": f"{second.card.name} {second.card.full_version}" if second else None,
        "images": len(sample.labels),
        "split": arguments.split,
        "changes": lines,
    }


def _second(wanted: str | None, first: Classifier, settings: Settings) -> Classifier | None:
    if wanted is None:
        if not first.card.members:
            raise UsageError(f"{first.card.name} is no ensemble: say with --second which model reads after it.")
        return None
    name = choose_model(settings.weights_dir, wanted)
    second = Classifier.load(settings.weights_dir / name, first.device)
    if second.classes != first.classes:
        raise UsageError(f"{name} tells other classes apart than {first.card.name}: {', '.join(second.classes)}.")
    return second


def _findings(probabilities: NDArray[np.float64], card: Card) -> NDArray[np.int64]:
    return np.asarray(decide(card.operating_point.thresholds, card.classes, probabilities), np.int64)


def _line(
    name: str,
    own: NDArray[np.int64],
    differ: NDArray[np.bool_],
    labels: NDArray[np.int64],
    classes: Sequence[str],
) -> dict[str, Any]:
    wrong = own != labels
    contagious = np.isin(labels, [classes.index(c) for c in CONTAGIOUS if c in classes])
    missed = contagious & (own == (classes.index(NORMAL) if NORMAL in classes else -1))
    return {
        "what": PERTURBATIONS[name].words if name in PERTURBATIONS else name,
        "accuracy": percent(float(1 - wrong.mean())),
        "second_accuracy": None,
        "looked_at_again": int(differ.sum()),
        "errors": int(wrong.sum()),
        "errors_among_them": int((wrong & differ).sum()),
        "contagious_called_normal": int(missed.sum()),
        "contagious_called_normal_among_them": int((missed & differ).sum()),
    }


def _lines(result: dict[str, Any]) -> list[str]:
    second = f"and then {result['second']}" if result["second"] else "and its members"
    return [
        f"{result['first']} {second}, {result['images']:,} {result['split']} images",
        *(
            f"{line['what']:<40} {line['accuracy']:6.2f} %{_also(line)}  "
            f"{line['looked_at_again']:>4} looked at again, {line['errors_among_them']} of {line['errors']} errors "
            f"among them, {line['contagious_called_normal_among_them']} of {line['contagious_called_normal']} "
            "contagious called Normal"
            for line in result["changes"].values()
        ),
    ]


def _also(line: dict[str, Any]) -> str:
    return "" if line["second_accuracy"] is None else f" and {line['second_accuracy']:6.2f} %"


if __name__ == "__main__":
    sys.exit(main())
