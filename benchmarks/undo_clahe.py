"""Which images are taken for equalised in tiles (CLAHE), and how near they come to what they were when that is undone.

Every image is changed, written to a file in memory, read and prepared as triage does. A line says how many are taken
for equalised, and how far they are from the image as it came, in grey levels, before and after it is undone: where a
change is no CLAHE, an image that is taken for it is changed for nothing. Lines of CLAHE say, too, how often the model
is right about such images, prepared as it wants them: by the highest probability and as triage judges them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.perturbations import PERTURBATIONS, Change, Picture, png
from benchmarks.split_images import (
    AS_THEY_ARE,
    Sample,
    carry_out,
    chosen_model,
    parser,
    percent,
    probabilities_of,
    sample_of,
)
from benchmarks.timing import machine
from lungassist.imaging.reader import read_radiograph
from lungassist.models.decision import decide
from lungassist.predict import Classifier
from lungassist.preprocess import Preprocessing, prepare_image
from lungassist.settings import Settings
from lungassist.undo_clahe import SURE, undo_clahe

#: Limits of contrast, and tiles a side.
_EQUALISED: Final = ((1.0, 8), (1.5, 8), (2.0, 8), (3.0, 8), (4.0, 8), (2.0, 4), (2.0, 16))


def equalised(limit: float, tiles: int) -> Change:
    """CLAHE with that limit, in so many tiles a side."""

    def change(picture: Picture, _: np.random.Generator) -> bytes:
        return png(np.asarray(cv2.createCLAHE(limit, (tiles, tiles)).apply(picture), np.uint8))

    return change


def _untouched(picture: Picture, _: np.random.Generator) -> bytes:
    return png(picture)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every change, on the images of the split."""
    settings = Settings.from_environment()
    folder, classifier = chosen_model(arguments, settings)
    sample = sample_of(arguments, folder, classifier, settings)
    plain = _prepared(_untouched, sample, settings)
    changes: dict[str, Change] = {
        f"CLAHE, limited to {limit:g}, {tiles} x {tiles} tiles": equalised(limit, tiles) for limit, tiles in _EQUALISED
    }
    changes |= {other.words: other.change for name, other in PERTURBATIONS.items() if not name.startswith("clahe")}
    lines = {AS_THEY_ARE: _line(plain, plain) | _right(_untouched, sample, classifier, settings)}
    for place, (words, change) in enumerate(list(changes.items())[: 2 if arguments.quick else None]):
        lines[words] = _line(_prepared(change, sample, settings), plain)
        if place < len(_EQUALISED):
            lines[words] |= _right(change, sample, classifier, settings)
    return {
        "benchmark": "undo_clahe",
        "machine": machine(),
        "model": f"{classifier.card.name} {classifier.card.full_version}",
        "images": len(plain),
        "split": arguments.split,
        "sure": SURE,
        "changes": lines,
    }


def _prepared(change: Change, sample: Sample, settings: Settings) -> NDArray[np.uint8]:
    def one(place: int) -> NDArray[np.uint8]:
        data = change(sample.pictures[place], np.random.default_rng(sample.seeds[place]))
        return prepare_image(read_radiograph(data, "changed", settings).pixels, Preprocessing())

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return np.stack(list(pool.map(one, range(len(sample.pictures)))))


def _line(images: NDArray[np.uint8], plain: NDArray[np.uint8]) -> dict[str, Any]:
    after = np.stack([undo_clahe(image) for image in images])
    taken = (after != images).any(axis=(1, 2))
    return {
        "taken_for_equalised": int(taken.sum()),
        "share": percent(float(taken.mean())),
        "before": _distance(images, plain),
        "after": _distance(after, plain),
    }


def _right(change: Change, sample: Sample, classifier: Classifier, settings: Settings) -> dict[str, Any]:
    found = probabilities_of(change, sample, classifier, settings)
    judged = decide(classifier.card.operating_point.thresholds, classifier.classes, found)
    return {
        "accuracy": percent(float((found.argmax(axis=1) == sample.labels).mean())),
        "accuracy_judged": percent(float((judged == sample.labels).mean())),
    }


def _distance(images: NDArray[np.uint8], plain: NDArray[np.uint8]) -> float:
    return round(float(np.mean([np.abs(a.astype(np.int16) - b).mean() for a, b in zip(images, plain, strict=True)])), 2)


def _lines(result: dict[str, Any]) -> list[str]:
    return [
        f"{result['model']}, {result['images']:,} {result['split']} images",
        f"taken for equalised from a probability of {result['sure']} on",
        *(
            f"{words:<42} {line['taken_for_equalised']:>5} ({line['share']:6.2f} %)  "
            f"{line['before']:5.2f} grey levels from the image as it came, then {line['after']:5.2f}{_accuracy(line)}"
            for words, line in result["changes"].items()
        ),
    ]


def _accuracy(line: dict[str, Any]) -> str:
    if "accuracy" not in line:
        return ""
    return f"; right {line['accuracy']:.2f} %, as triage judges it {line['accuracy_judged']:.2f} %"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the lines, or the result as JSON."""
    return carry_out(parser("benchmarks.undo_clahe", __doc__), argv, measure, _lines)


if __name__ == "__main__":
    sys.exit(main())
