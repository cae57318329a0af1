"""How far a model's answer rests on what lies around the lungs: every chest in the surroundings of another image.

The lungs are found in every image of a split, and each image gets the surroundings of another of the same split (as
`--surroundings` does in training), once of its own class and once of another. A model that looks at the lungs gives the
same answers. What the surroundings of its own class cost is the exchange itself, with its seams and empty margins; what
another class's cost beyond that is what the model has learnt of hospitals: of the answers that change, `followed`
become the class that the surroundings are of. The lines are paired, with intervals by patient. Images whose lungs are
not found, or that no other fits, are left out and counted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.split_images import carry_out, chosen_model, figures_of, parser, points_of, sample_of
from benchmarks.timing import machine
from lungassist.errors import UsageError
from lungassist.metrics import Bootstrap, Measured, Roles, log_loss
from lungassist.predict import Classifier
from lungassist.preprocess import prepare_image
from lungassist.settings import Settings
from lungassist.training.pixels import LabelledImages
from lungassist.training.surroundings import Surroundings, find_chests

_BATCH = 64
_AS_THEY_ARE = "as they are"
_OWN = "in surroundings of their own class"
_OTHER = "in surroundings of another class"
_SEED = 1
#: How often another donor is drawn for an image that the first ones do not fit.
_TRIES = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0, or 2 for a folder that cannot be used."""
    return carry_out(parser("benchmarks.surroundings", __doc__), argv, _measure, _lines)


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    settings = Settings.from_environment()
    folder, classifier = chosen_model(arguments, settings)
    sample = sample_of(arguments, folder, classifier, settings)
    wanted = classifier.card.preprocessing
    images = np.stack([prepare_image(each.astype(np.float32), wanted) for each in sample.pictures])
    exchanged = in_other_surroundings(images, sample.labels)
    rows = exchanged.rows
    if not len(rows):
        raise UsageError("No image of the split fits the surroundings of one of its own and of one of another class.")
    shown = {_AS_THEY_ARE: images[rows], _OWN: exchanged.of_own_class, _OTHER: exchanged.of_other_class}
    tables = {name: _probabilities(pictures, classifier) for name, pictures in shown.items()}
    labels, others = sample.labels[rows], sample.labels[exchanged.donors]
    bootstrap = Bootstrap(sample.patients[rows])
    measured = bootstrap.measure(labels, tables, Roles.of(classifier.classes))
    losses = {name: log_loss(probabilities, labels) for name, probabilities in tables.items()}
    answers = {name: probabilities.argmax(axis=1) for name, probabilities in tables.items()}
    changed = answers[_AS_THEY_ARE] != answers[_OTHER]
    return {
        "benchmark": "surroundings",
        "machine": machine(),
        "model": f"{classifier.card.name} {classifier.card.full_version}",
        "images": len(rows),
        "left_out": len(sample.labels) - len(rows),
        "split": arguments.split,
        "lines": {name: figures_of(found, losses[name], classifier.classes) for name, found in measured.items()},
        "exchange": _points(bootstrap.difference(measured[_OWN], measured[_AS_THEY_ARE])),
        "other_class": _points(bootstrap.difference(measured[_OTHER], measured[_OWN])),
        "changed": int(changed.sum()),
        "followed": int((changed & (answers[_OTHER] == others)).sum()),
    }


def _points(difference: Measured) -> dict[str, Any]:
    points, interval = points_of(difference)
    return {"points": points, "interval": interval}


@dataclass(frozen=True, slots=True, eq=False)
class Exchanged:
    """Images in other surroundings.

    Attributes:
        rows: `(n,)`, the images for which two donors were found.
        of_own_class, of_other_class: `(n, S, S)` uint8, with surroundings of the same and of another class.
        donors: `(n,)`, the donors of another class.
    """

    rows: NDArray[np.int64]
    of_own_class: NDArray[np.uint8]
    of_other_class: NDArray[np.uint8]
    donors: NDArray[np.int64]


def in_other_surroundings(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Exchanged:
    """Every image in the surroundings of one of its own and of one of another class, which is drawn first.

    Args:
        images: `(N, S, S)`, prepared.
        labels: class indices `(N,)`.
    """
    data = LabelledImages(torch.from_numpy(images), torch.tensor(labels))
    surroundings = Surroundings(data, find_chests(images, workers=torch.get_num_threads()), 1.0)
    random = np.random.default_rng(_SEED)
    others = _donors(surroundings, labels, random, other=True)
    own = _donors(surroundings, labels, random, other=False)
    rows = np.flatnonzero((own >= 0) & (others >= 0))
    in_own, in_other = (_dressed(surroundings, images, rows, donors[rows]) for donors in (own, others))
    return Exchanged(rows, in_own, in_other, others[rows])


def _dressed(
    surroundings: Surroundings, images: NDArray[np.uint8], rows: NDArray[np.int64], donors: NDArray[np.int64]
) -> NDArray[np.uint8]:
    parts = [images[:0]]
    for first in range(0, len(rows), _BATCH):
        some = slice(first, first + _BATCH)
        parts.append(surroundings.of_donors(torch.from_numpy(images[rows[some]]), rows[some], donors[some]).numpy())
    return np.concatenate(parts)


def _donors(
    surroundings: Surroundings, labels: NDArray[np.int64], random: np.random.Generator, *, other: bool
) -> NDArray[np.int64]:
    """For every image one that fits, `(N,)`; -1 where none was found."""
    rows, donors = np.arange(len(labels)), np.full(len(labels), -1)
    for _ in range(_TRIES):
        drawn = _drawn(labels, random, other)
        fitting = (donors < 0) & (drawn >= 0) & (drawn != rows) & surroundings.fits(rows, drawn)
        donors[fitting] = drawn[fitting]
    return donors


def _drawn(labels: NDArray[np.int64], random: np.random.Generator, other: bool) -> NDArray[np.int64]:
    places = {label: np.flatnonzero(labels == label) for label in np.unique(labels).tolist()}
    result = np.full(len(labels), -1)
    for place, label in enumerate(labels.tolist()):
        classes = [each for each in places if each != label] if other else [label]
        if classes:
            result[place] = random.choice(places[classes[int(random.integers(len(classes)))]])
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
            f"{name:<38} {line['accuracy']:6.2f} %, COVID recall {line['covid_recall']} %, "
            f"{line['contagious_called_normal']} contagious called Normal, loss {line['loss']:.4f}"
            for name, line in result["lines"].items()
        ),
        f"the exchange itself costs {_in_words(result['exchange'])}, another class {_in_words(result['other_class'])}",
        f"{result['changed']} answers changed, {result['followed']} of them to the class of the surroundings",
    ]


def _in_words(change: dict[str, Any]) -> str:
    low, high = change["interval"]
    return f"{change['points']:+.2f} points [{low:+.2f}, {high:+.2f}]"


if __name__ == "__main__":
    sys.exit(main())
