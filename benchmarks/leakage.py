"""How much of a model's test accuracy rests on films that it has seen in training: exact and near duplicates.

Images of one film that lie on both sides of a split make a test easier than the next patient will be. The model is
asked about its test images again; they are told apart by whether an image of the same film is in its training split.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.split_images import chosen_model
from benchmarks.timing import arguments_parser, machine, write_result
from lungassist.dataset import PreparedImages, index_folder, open_cache
from lungassist.dataset.duplicates import duplicate_groups
from lungassist.evaluation.origin import splits_for
from lungassist.metrics import wilson
from lungassist.predict import Classifier
from lungassist.settings import Settings

_BATCH = 64


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0."""
    arguments = _parser().parse_args(argv)
    result = _measure(arguments)
    write_result(result, _lines(result), arguments.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    p = arguments_parser("benchmarks.leakage", __doc__)
    p.add_argument("--data", type=Path, required=True, help="the folder that the model was trained on")
    p.add_argument("--model", metavar="NAME", help="a model in weights/ (default: the one that triage starts with)")
    p.add_argument("--split", type=Path, metavar="FILE", help="CSV with file, label, split (default: the model's own)")
    p.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")
    return p


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    settings = Settings.from_environment()
    folder, classifier = chosen_model(arguments, settings)
    index = index_folder(arguments.data)
    splits = splits_for(index, folder, arguments.split).splits
    prepared = open_cache(index, classifier.card.preprocessing, settings)
    rows = np.flatnonzero((splits == "test") & prepared.readable)
    seen = _has_twin(prepared, splits)[rows]
    right = _right(classifier, prepared, rows, index.table["label"].to_numpy(str))
    return {
        "benchmark": "leakage",
        "machine": machine(),
        "model": f"{classifier.card.name} {classifier.card.full_version}",
        "test": {
            "all": _share(right),
            "without a duplicate in training": _share(right[~seen]),
            "with a duplicate in training": _share(right[seen]),
        },
    }


def _has_twin(prepared: PreparedImages, splits: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Whether an image of the same film is in the training split, `(N,)`."""
    groups = duplicate_groups(prepared)
    return np.asarray((groups >= 0) & np.isin(groups, groups[splits == "train"]), bool)


def _right(
    classifier: Classifier, prepared: PreparedImages, rows: NDArray[np.int64], labels: NDArray[np.str_]
) -> NDArray[np.bool_]:
    called = [
        classifier.predict(np.asarray(prepared.images[part]), explain=None).probabilities.argmax(axis=1)
        for part in np.array_split(rows, max(1, -(-len(rows) // _BATCH)))
        if len(part)
    ]
    return np.asarray(classifier.classes)[np.concatenate(called)] == labels[rows] if called else np.zeros(0, bool)


def _share(right: NDArray[np.bool_]) -> dict[str, Any]:
    if not len(right):
        return {"images": 0, "accuracy": None, "interval": None}
    ends = wilson(int(right.sum()), len(right))
    return {
        "images": len(right),
        "accuracy": round(100 * float(right.mean()), 2),
        "interval": [round(100 * float(end), 2) for end in ends],
    }


def _lines(result: dict[str, Any]) -> list[str]:
    lines = [result["model"]]
    for name, part in result["test"].items():
        told = f"{part['accuracy']} % {part['interval']}" if part["images"] else "none"
        lines.append(f"test images {name:<33} {part['images']:>6,}  accuracy {told}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
