"""What benchmarks share that ask a model about the images of one of its splits: command line, images, figures."""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.perturbations import PERTURBATIONS, Change, Picture, png
from benchmarks.timing import arguments_parser, write_result
from lungassist.classes import COVID
from lungassist.dataset import DatasetIndex, index_folder
from lungassist.device import choose_device
from lungassist.errors import LungAssistError, UsageError
from lungassist.evaluation.origin import splits_for
from lungassist.imaging.reader import read_file, read_radiograph
from lungassist.metrics import Measured
from lungassist.models.weights import choose_model
from lungassist.predict import Classifier, Prediction
from lungassist.preprocess import prepare_image
from lungassist.settings import Settings

LOSS_DIGITS: Final = 4
#: What the images without a change are called.
AS_THEY_ARE: Final = "as they are"
_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class Sample:
    """The images that are changed: grey pictures, class indices `(N,)`, patients `(N,)`, a seed each."""

    pictures: list[Picture]
    labels: NDArray[np.int64]
    patients: NDArray[Any]
    seeds: list[int]


def parser(name: str, doc: str | None) -> argparse.ArgumentParser:
    """The options of such a benchmark."""
    p = arguments_parser(name, doc)
    p.add_argument("--data", type=Path, required=True, help="images as CLASS/images/* or CLASS/*")
    p.add_argument("--metadata", type=Path, help="CSV with file and patient_id")
    p.add_argument("--model", metavar="NAME", help="a model in weights/ (default: the one that triage starts with)")
    p.add_argument("--images", type=int, help="so many of the images at most, drawn evenly (default all)")
    p.add_argument(
        "--split", choices=("validation", "test"), default="test", help="a choice rests on validation (default test)"
    )
    p.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")
    return p


def carry_out(
    p: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    measure: Callable[[argparse.Namespace], dict[str, Any]],
    lines: Callable[[dict[str, Any]], list[str]],
) -> int:
    """Measure and print; returns 0, or ends with 2 for a folder or a model that cannot be used."""
    arguments = p.parse_args(argv)
    try:
        result = measure(arguments)
    except LungAssistError as error:
        p.error(str(error))
    write_result(result, lines(result), arguments.json)
    return 0


def chosen_model(arguments: argparse.Namespace, settings: Settings) -> tuple[Path, Classifier]:
    """The folder and the network of `--model`, on `--device`."""
    folder = settings.weights_dir / choose_model(settings.weights_dir, arguments.model or settings.default_model)
    return folder, Classifier.load(folder, choose_device(arguments.device))


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


def predictions_of(change: Change, sample: Sample, classifier: Classifier, settings: Settings) -> Prediction:
    """What a model says of every changed image, read and prepared as in triage, without maps."""

    def prepared(place: int) -> Picture:
        data = change(sample.pictures[place], np.random.default_rng(sample.seeds[place]))
        return prepare_image(read_radiograph(data, "changed", settings).pixels, classifier.card.preprocessing)

    found = []
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for first in range(0, len(sample.pictures), _BATCH):
            places = range(first, min(first + _BATCH, len(sample.pictures)))
            found.append(classifier.predict(np.stack(list(pool.map(prepared, places))), explain=None))
    probabilities = np.concatenate([each.probabilities for each in found])
    return Prediction(probabilities, None, np.concatenate([each.members for each in found], axis=1))


def probabilities_of(change: Change, sample: Sample, classifier: Classifier, settings: Settings) -> NDArray[np.float64]:
    """What a model says of every changed image, `(N, K)`."""
    return predictions_of(change, sample, classifier, settings).probabilities


def changes_asked_for(arguments: argparse.Namespace) -> dict[str, Change]:
    """None at all, then those of `--only`, or all of `PERTURBATIONS`; with `--quick` the first."""
    names = arguments.only or list(PERTURBATIONS)
    changes: dict[str, Change] = {AS_THEY_ARE: lambda picture, _: png(picture)}
    return changes | {name: PERTURBATIONS[name].change for name in (names[:1] if arguments.quick else names)}


def add_only(p: argparse.ArgumentParser) -> None:
    """The option `--only`."""
    p.add_argument("--only", nargs="+", metavar="NAME", choices=list(PERTURBATIONS), help="these changes")


def figures_of(found: Measured, loss: float, classes: Sequence[str]) -> dict[str, Any]:
    """What a line of a benchmark says of one table of probabilities."""
    recall = dict(zip(classes, found.point.recall, strict=True))
    return {
        "accuracy": percent(float(found.point.accuracy)),
        "covid_recall": percent(recall[COVID]) if COVID in recall else None,
        "contagious_called_normal": int(found.point.contagious_called_normal),
        "loss": round(loss, LOSS_DIGITS),
    }


def points_of(difference: Measured) -> tuple[float | None, list[float | None]]:
    """A difference of accuracies in points, and its interval."""
    ends = difference.interval("accuracy")
    return percent(float(difference.point.accuracy)), [percent(ends.low), percent(ends.high)]


def percent(share: float) -> float | None:
    """A share, or a difference of shares, in per cent with two places; None for NaN."""
    return None if np.isnan(share) else round(100 * share, 2)
