"""How far a model's answer rests on what lies around the lungs: every chest in the surroundings of another class.

The lungs are found in every image of a split, and each image gets the surroundings of an image of another class of the
same split (as `--surroundings` does in training). A model that looks at the lungs gives the same answers. One that has
learnt hospitals by their edges, markers and postures follows the surroundings: of the answers that change, `followed`
become the class that the surroundings are of. The lines are paired, with intervals by patient. Images whose lungs are
not found, or that no other fits, are left out and counted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.robustness import figures_of, percent, sample_of
from benchmarks.timing import arguments_parser, machine, write_result
from lungassist.device import choose_device
from lungassist.errors import LungAssistError, UsageError
from lungassist.metrics import Bootstrap, Roles, log_loss
from lungassist.models.weights import choose_model
from lungassist.predict import Classifier
from lungassist.preprocess import prepare_image
from lungassist.settings import Settings
from lungassist.training.pixels import LabelledImages
from lungassist.training.surroundings import Surroundings, find_chests

_BATCH = 64
_SEED = 1
#: How often another donor is drawn for an image that the first ones do not fit.
_TRIES = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0, or 2 for a folder that cannot be used."""
    p = _parser()
    arguments = p.parse_args(argv)
    try:
        result = _measure(arguments)
    except LungAssistError as error:
        p.error(str(error))
    write_result(result, _lines(result), arguments.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    p = arguments_parser("benchmarks.surroundings", __doc__)
    p.add_argument("--data", type=Path, required=True, help="images as CLASS/images/* or CLASS/*")
    p.add_argument("--metadata", type=Path, help="CSV with file and patient_id")
    p.add_argument("--model", metavar="NAME", help="a model in weights/ (default: the one that triage starts with)")
    p.add_argument("--images", type=int, help="so many of the images at most, drawn evenly (default all)")
    p.add_argument(
        "--split", choices=("validation", "test"), default="test", help="a choice rests on validation (default test)"
    )
    p.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")
    return p


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    settings = Settings.from_environment()
    folder = settings.weights_dir / choose_model(settings.weights_dir, arguments.model or settings.default_model)
    classifier = Classifier.load(folder, choose_device(arguments.device))
    sample = sample_of(arguments, folder, classifier, settings)
    wanted = classifier.card.preprocessing
    images = np.stack([prepare_image(each.astype(np.float32), wanted) for each in sample.pictures])
    exchanged, rows, donors = in_other_surroundings(images, sample.labels)
    if not len(rows):
        raise UsageError("No image of the split fits the surroundings of one of another class.")
    tables = {
        "as they are": _probabilities(images[rows], classifier),
        "exchanged": _probabilities(exchanged, classifier),
    }
    labels, others = sample.labels[rows], sample.labels[donors]
    bootstrap = Bootstrap(sample.patients[rows])
    measured = bootstrap.measure(labels, tables, Roles.of(classifier.classes))
    losses = {name: log_loss(probabilities, labels) for name, probabilities in tables.items()}
    difference = bootstrap.difference(measured["exchanged"], measured["as they are"])
    ends = difference.interval("accuracy")
    before, after = (table.argmax(axis=1) for table in tables.values())
    changed = before != after
    return {
        "benchmark": "surroundings",
        "machine": machine(),
        "model": f"{classifier.card.name} {classifier.card.full_version}",
        "images": len(rows),
        "left_out": len(sample.labels) - len(rows),
        "split": arguments.split,
        **{
            name.replace(" ", "_"): figures_of(found, losses[name], classifier.classes)
            for name, found in measured.items()
        },
        "points": percent(float(difference.point.accuracy)),
        "points_interval": [percent(ends.low), percent(ends.high)],
        "changed": int(changed.sum()),
        "followed": int((changed & (after == others)).sum()),
    }


def in_other_surroundings(
    images: NDArray[np.uint8], labels: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Every image in the surroundings of one of another class, the class drawn first.

    Args:
        images: `(N, S, S)`, prepared.
        labels: class indices `(N,)`.

    Returns:
        The images `(n, S, S)` for which a donor was found, which they are `(n,)`, and their donors `(n,)`.
    """
    data = LabelledImages(torch.from_numpy(images), torch.tensor(labels))
    surroundings = Surroundings(data, find_chests(images, workers=torch.get_num_threads()), 1.0)
    random = np.random.default_rng(_SEED)
    rows, donors = np.arange(len(labels)), np.full(len(labels), -1)
    for _ in range(_TRIES):
        drawn = _of_other_classes(labels, random)
        fitting = (donors < 0) & (drawn >= 0) & surroundings.fits(rows, drawn)
        donors[fitting] = drawn[fitting]
    rows = np.flatnonzero(donors >= 0)
    donors = donors[rows]
    parts = [
        surroundings.of_donors(torch.from_numpy(images[some]), some, donors[first : first + _BATCH]).numpy()
        for first in range(0, len(rows), _BATCH)
        for some in (rows[first : first + _BATCH],)
    ]
    return np.concatenate(parts) if parts else images[:0], rows, donors


def _of_other_classes(labels: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """For every image one of another class, `(N,)`; -1 where there is no other class."""
    places = {label: np.flatnonzero(labels == label) for label in np.unique(labels)}
    result = np.full(len(labels), -1)
    for place, label in enumerate(labels.tolist()):
        others = [other for other in places if other != label]
        if others:
            result[place] = random.choice(places[others[int(random.integers(len(others)))]])
    return result


def _probabilities(images: NDArray[np.uint8], classifier: Classifier) -> NDArray[np.float64]:
    parts = [
        classifier.predict(images[first : first + _BATCH], explain=None).probabilities
        for first in range(0, len(images), _BATCH)
    ]
    return np.concatenate(parts)


def _lines(result: dict[str, Any]) -> list[str]:
    return [
        f"{result['model']}, {result['images']:,} {result['split']} images ({result['left_out']} left out)",
        *(
            f"{words:<36} {line['accuracy']:6.2f} %, COVID recall {line['covid_recall']} %, "
            f"{line['contagious_called_normal']} contagious called Normal, loss {line['loss']:.4f}"
            for words, line in (
                ("as they are", result["as_they_are"]),
                ("in the surroundings of another class", result["exchanged"]),
            )
        ),
        f"{result['points']:+.2f} points [{result['points_interval'][0]:+.2f}, {result['points_interval'][1]:+.2f}]; "
        f"{result['changed']} answers changed, {result['followed']} of them to the class of the surroundings",
    ]


if __name__ == "__main__":
    sys.exit(main())
