"""What a model's accuracy loses when its images come otherwise: other sizes, formats, exposure, crops, markers.

Every test image is changed, written to a file in memory, read and prepared as triage does, and classified. Each line
is paired with the images as they are: the same images, intervals by patient; once as called what is most probable, once
as triage calls them, by the card's operating point. `ordinary` changes are what practice
brings; the others show where the end is. The mean loss over all of them tells models apart more finely than accuracy.
The images are those of the split in the model's own table of predictions, or all of the folder, as test, if it is not
what the model was trained on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.perturbations import PERTURBATIONS
from benchmarks.split_images import (
    AS_THEY_ARE,
    LOSS_DIGITS,
    add_only,
    carry_out,
    changes_asked_for,
    chosen_model,
    figures_of,
    parser,
    percent,
    points_of,
    probabilities_of,
    sample_of,
)
from benchmarks.timing import machine
from lungassist.metrics import Bootstrap, Measured, Roles, log_loss
from lungassist.models.card import Card
from lungassist.models.decision import decide
from lungassist.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0, or 2 for a folder that cannot be used."""
    p = parser("benchmarks.robustness", __doc__)
    add_only(p)
    return carry_out(p, argv, _measure, _lines)


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    settings = Settings.from_environment()
    folder, classifier = chosen_model(arguments, settings)
    sample = sample_of(arguments, folder, classifier, settings)
    changes = changes_asked_for(arguments)
    tables = {name: probabilities_of(change, sample, classifier, settings) for name, change in changes.items()}
    bootstrap = Bootstrap(sample.patients)
    measured = bootstrap.measure(sample.labels, tables, Roles.of(classifier.classes))
    base = measured.pop(AS_THEY_ARE)
    judged = bootstrap.measure(
        sample.labels,
        {name: _found(table, classifier.card) for name, table in tables.items()},
        Roles.of(classifier.classes),
    )
    judged_base = judged.pop(AS_THEY_ARE)
    lines = {
        name: _line(name, bootstrap.difference(found, base))
        | {"judged": _judged(judged[name]) | _points(bootstrap.difference(judged[name], judged_base))}
        for name, found in measured.items()
    }
    losses = {name: log_loss(probabilities, sample.labels) for name, probabilities in tables.items()}
    return {
        "benchmark": "robustness",
        "machine": machine(),
        "model": f"{classifier.card.name} {classifier.card.full_version}",
        "images": len(sample.labels),
        "split": arguments.split,
        "operating_point": classifier.card.operating_point.words,
        "as_they_are": figures_of(base, losses[AS_THEY_ARE], classifier.classes) | {"judged": _judged(judged_base)},
        "changed": {
            name: line | figures_of(measured[name], losses[name], classifier.classes) for name, line in lines.items()
        },
        "mean_loss_changed": round(float(np.mean([losses[name] for name in lines])), LOSS_DIGITS),
        "worst_ordinary_points": _worst(lines, lambda line: line["points"]),
        "worst_ordinary_points_judged": _worst(lines, lambda line: line["judged"]["points"]),
    }


def _found(probabilities: NDArray[np.float64], card: Card) -> NDArray[np.float64]:
    """Triage's findings as probabilities of 0 and 1."""
    found = decide(card.operating_point.thresholds, card.classes, probabilities)
    return np.eye(len(card.classes))[found]


def _line(name: str, difference: Measured) -> dict[str, Any]:
    return {"what": PERTURBATIONS[name].words, "ordinary": PERTURBATIONS[name].ordinary} | _points(difference)


def _points(difference: Measured) -> dict[str, Any]:
    points, interval = points_of(difference)
    return {"points": points, "points_interval": interval}


def _judged(found: Measured) -> dict[str, Any]:
    return {
        "accuracy": percent(float(found.point.accuracy)),
        "contagious_called_normal": int(found.point.contagious_called_normal),
    }


def _worst(lines: dict[str, dict[str, Any]], points: Callable[[dict[str, Any]], float]) -> float | None:
    return min((points(line) for line in lines.values() if line["ordinary"]), default=None)


def _lines(result: dict[str, Any]) -> list[str]:
    base = result["as_they_are"]
    return [
        f"{result['model']}, {result['images']:,} {result['split']} images: accuracy {base['accuracy']} %, "
        f"COVID recall {base['covid_recall']} %, {base['contagious_called_normal']} contagious called Normal, "
        f"loss {base['loss']:.4f}",
        *(
            f"{_change(line, line)}  COVID recall {line['covid_recall']} %, {line['contagious_called_normal']} "
            f"called Normal, loss {line['loss']:.4f}{_beyond(line)}"
            for line in result["changed"].values()
        ),
        f"worst of the ordinary: {result['worst_ordinary_points']} points; "
        f"mean loss over these changes {result['mean_loss_changed']:.4f}",
        f"as triage judges them ({result['operating_point']}): accuracy {base['judged']['accuracy']} %, "
        f"{base['judged']['contagious_called_normal']} contagious called Normal",
        *(
            f"{_change(line, line['judged'])}  {line['judged']['contagious_called_normal']} called Normal"
            f"{_beyond(line)}"
            for line in result["changed"].values()
        ),
        f"worst of the ordinary: {result['worst_ordinary_points_judged']} points",
    ]


def _change(line: dict[str, Any], figures: dict[str, Any]) -> str:
    low, high = figures["points_interval"]
    return (
        f"{line['what']:<40} {figures['accuracy']:6.2f} %  {figures['points']:+6.2f} points [{low:+.2f}, {high:+.2f}]"
    )


def _beyond(line: dict[str, Any]) -> str:
    return "" if line["ordinary"] else "  (beyond the ordinary)"


if __name__ == "__main__":
    sys.exit(main())
