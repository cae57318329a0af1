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
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.perturbations import PERTURBATIONS, Change, Picture, png
from benchmarks.timing import arguments_parser, machine, write_result
from lungassist.classes import COVID
from lungassist.dataset import DatasetIndex, index_folder
from lungassist.device import choose_device
from lungassist.errors import LungAssistError, UsageError
from lungassist.evaluation.origin import splits_for
from lungassist.imaging.reader import read_file, read_radiograph
from lungassist.metrics import Bootstrap, Measured, Roles, log_loss
from lungassist.models.weights import choose_model
from lungassist.predict import Classifier
from lungassist.preprocess import prepare_image
from lungassist.settings import Settings

_BATCH = 64
_LOSS_DIGITS = 4
_AS_THEY_ARE = "as they are"


@dataclass(frozen=True, slots=True)
class Sample:
    """The images that are changed: grey pictures, class indices `(N,)`, patients `(N,)`, a seed each."""

    pictures: list[Picture]
    labels: NDArray[np.int64]
    patients: NDArray[Any]
    seeds: list[int]


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
    p = arguments_parser("benchmarks.robustness", __doc__)
    p.add_argument("--data", type=Path, required=True, help="images as CLASS/images/* or CLASS/*")
    p.add_argument("--metadata", type=Path, help="CSV with file and patient_id")
    p.add_argument("--model", metavar="NAME", help="a model in weights/ (default: the one that triage starts with)")
    p.add_argument("--images", type=int, help="so many of the images at most, drawn evenly (default all)")
    p.add_argument(
        "--split", choices=("validation", "test"), default="test", help="a choice rests on validation (default test)"
    )
    p.add_argument("--only", nargs="+", metavar="NAME", choices=list(PERTURBATIONS), help="these changes")
    p.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")
    return p


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    settings = Settings.from_environment()
    folder = settings.weights_dir / choose_model(settings.weights_dir, arguments.model or settings.default_model)
    classifier = Classifier.load(folder, choose_device(arguments.device))
    sample = sample_of(arguments, folder, classifier, settings)
    names = arguments.only or list(PERTURBATIONS)
    changes: dict[str, Change] = {_AS_THEY_ARE: lambda picture, _: png(picture)}
    changes |= {name: PERTURBATIONS[name].change for name in (names[:1] if arguments.quick else names)}
    tables = {name: _probabilities(change, sample, classifier, settings) for name, change in changes.items()}
    bootstrap = Bootstrap(sample.patients)
    measured = bootstrap.measure(sample.labels, tables, Roles.of(classifier.classes))
    base = measured.pop(_AS_THEY_ARE)
    lines = {name: _line(name, bootstrap.difference(found, base)) for name, found in measured.items()}
    losses = {name: log_loss(probabilities, sample.labels) for name, probabilities in tables.items()}
    return {
        "benchmark": "robustness",
        "machine": machine(),
        "model": f"{classifier.card.name} {classifier.card.full_version}",
        "images": len(sample.labels),
        "split": arguments.split,
        "as_they_are": figures_of(base, losses[_AS_THEY_ARE], classifier.classes),
        "changed": {
            name: line | figures_of(measured[name], losses[name], classifier.classes) for name, line in lines.items()
        },
        "mean_loss_changed": round(float(np.mean([losses[name] for name in lines])), _LOSS_DIGITS),
        "worst_ordinary_points": min((line["points"] for line in lines.values() if line["ordinary"]), default=None),
    }


def sample_of(arguments: argparse.Namespace, folder: Path, classifier: Classifier, settings: Settings) -> Sample:
    """The images that the command line asks for: `--images` of `--split`, spread over the folder `--data`."""
    index = index_folder(arguments.data, arguments.metadata)
    rows = _rows(index, folder, classifier.classes, arguments.split)
    wanted = 8 if arguments.quick else arguments.images
    if wanted and wanted < len(rows):
        rows = rows[np.linspace(0, len(rows) - 1, wanted).astype(int)]
    table = index.table.iloc[rows]
    read = partial(_picture, index.root, settings)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        pictures = list(pool.map(read, table["file"]))
    order = {name: i for i, name in enumerate(classifier.classes)}
    return Sample(
        pictures,
        np.asarray(table["label"].map(order), np.int64),
        np.asarray([patient or f"\0{row}" for row, patient in zip(rows, table["patient_id"], strict=True)]),
        [zlib.crc32(file.encode()) for file in table["file"]],
    )


def _rows(index: DatasetIndex, folder: Path, classes: Sequence[str], split: str) -> NDArray[np.int64]:
    unknown = sorted(set(index.table["label"]) - set(classes))
    if unknown:
        raise UsageError(f"{index.root} has the class {unknown[0]!r}; the model knows {', '.join(classes)}.")
    rows = np.flatnonzero(splits_for(index, folder).splits == split)
    if not len(rows):
        raise UsageError(f"None of the images of {index.root} is a {split} image of this model.")
    return rows


def _picture(root: Path, settings: Settings, file: str) -> Picture:
    """As an archive would hold it: what was read, stretched to 8 bits."""
    pixels = read_file(root / file, settings).pixels
    low, high = float(pixels.min()), float(pixels.max())
    return np.asarray(np.rint((pixels - low) * (255 / max(high - low, 1e-6))), np.uint8)


def _probabilities(change: Change, sample: Sample, classifier: Classifier, settings: Settings) -> NDArray[np.float64]:
    def prepared(place: int) -> Picture:
        data = change(sample.pictures[place], np.random.default_rng(sample.seeds[place]))
        return prepare_image(read_radiograph(data, "changed", settings).pixels, classifier.card.preprocessing)

    found = []
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for first in range(0, len(sample.pictures), _BATCH):
            places = range(first, min(first + _BATCH, len(sample.pictures)))
            found.append(classifier.predict(np.stack(list(pool.map(prepared, places))), explain=None).probabilities)
    return np.concatenate(found)


def _line(name: str, difference: Measured) -> dict[str, Any]:
    ends = difference.interval("accuracy")
    return {
        "what": PERTURBATIONS[name].words,
        "ordinary": PERTURBATIONS[name].ordinary,
        "points": percent(float(difference.point.accuracy)),
        "points_interval": [percent(ends.low), percent(ends.high)],
    }


def figures_of(found: Measured, loss: float, classes: Sequence[str]) -> dict[str, Any]:
    """What a line of a benchmark says of one table of probabilities."""
    recall = dict(zip(classes, found.point.recall, strict=True))
    return {
        "accuracy": percent(float(found.point.accuracy)),
        "covid_recall": percent(recall[COVID]) if COVID in recall else None,
        "contagious_called_normal": int(found.point.contagious_called_normal),
        "loss": round(loss, _LOSS_DIGITS),
    }


def percent(share: float) -> float | None:
    """A share, or a difference of shares, in per cent with two places; None for NaN."""
    return None if np.isnan(share) else round(100 * share, 2)


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
