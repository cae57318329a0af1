"""What a model's accuracy loses when its images come otherwise: other sizes, formats, exposure, crops, markers.

Every test image is changed, written to a file in memory, read and prepared as triage does, and classified. Each line
is paired with the images as they are: the same images, intervals by patient. `ordinary` changes are what practice
brings; the others show where the end is. The mean loss over all of them tells models apart more finely than accuracy.
The images are those of the split in the model's own table of predictions, or all of the folder, as test, if it is not
what the model was trained on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

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
    points_of,
    probabilities_of,
    sample_of,
)
from benchmarks.timing import machine
from lungassist.metrics import Bootstrap, Measured, Roles, log_loss
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
    lines = {name: _line(name, bootstrap.difference(found, base)) for name, found in measured.items()}
    losses = {name: log_loss(probabilities, sample.labels) for name, probabilities in tables.items()}
    return {
        "benchmark": "robustness",
        "machine": machine(),
        "model": f"{classifier.card.name} {classifier.card.full_version}",
        "images": len(sample.labels),
        "split": arguments.split,
        "as_they_are": figures_of(base, losses[AS_THEY_ARE], classifier.classes),
        "changed": {
            name: line | figures_of(measured[name], losses[name], classifier.classes) for name, line in lines.items()
        },
        "mean_loss_changed": round(float(np.mean([losses[name] for name in lines])), LOSS_DIGITS),
        "worst_ordinary_points": min((line["points"] for line in lines.values() if line["ordinary"]), default=None),
    }


def _line(name: str, difference: Measured) -> dict[str, Any]:
    points, interval = points_of(difference)
    return {
        "what": PERTURBATIONS[name].words,
        "ordinary": PERTURBATIONS[name].ordinary,
        "points": points,
        "points_interval": interval,
    }


def _lines(result: dict[str, Any]) -> list[str]:
    base = result["as_they_are"]
    return [
        f"{result['model']}, {result['images']:,} {result['split']} images: accuracy {base['accuracy']} %, "
        f"COVID recall {base['covid_recall']} %, {base['contagious_called_normal']} contagious called Normal, "
        f"loss {base['loss']:.4f}",
        *(
            f"{line['what']:<40} {line['accuracy']:6.2f} %  {line['points']:+6.2f} points "
            f"[{line['points_interval'][0]:+.2f}, {line['points_interval'][1]:+.2f}]"
            f"  COVID recall {line['covid_recall']} %, {line['contagious_called_normal']} called Normal, "
            f"loss {line['loss']:.4f}"
            f"{'' if line['ordinary'] else '  (beyond the ordinary)'}"
            for line in result["changed"].values()
        ),
        f"worst of the ordinary: {result['worst_ordinary_points']} points; "
        f"mean loss over these changes {result['mean_loss_changed']:.4f}",
    ]


if __name__ == "__main__":
    sys.exit(main())
