"""What a bundled model's saved operating point does to the images of its own table, beside the highest probability."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lungassist import metrics
from lungassist.classes import NORMAL
from lungassist.dataset import SPLITS
from lungassist.errors import LungAssistError, PredictionsError
from lungassist.evaluation.predictions import arrays_of
from lungassist.models.card import Card
from lungassist.models.decision import CONTAGIOUS_QUESTION, Thresholds, decide, positive_classes
from lungassist.models.weights import CARD_FILE, PREDICTIONS_FILE, choose_model
from lungassist.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Print; returns 0, or 2 where there is no such model."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.decisions", description=__doc__)
    p.add_argument("--model", metavar="NAME", help="a model in weights/ (default: the one that triage starts with)")
    p.add_argument("--split", choices=SPLITS, default="test", help="default: %(default)s")
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    arguments = p.parse_args(argv)
    settings = Settings.from_environment()
    try:
        folder = settings.weights_dir / choose_model(settings.weights_dir, arguments.model or settings.default_model)
        result = measured(folder, arguments.split)
    except (LungAssistError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if arguments.json:
        sys.stdout.write(f"{json.dumps(result)}\n")
        return 0
    sys.stdout.write(f"{result['model']}, {result['images']:,} {arguments.split} images\n")
    for rule, figures in result["rules"].items():
        recalls = ", ".join(f"{name} {share:.1%}" for name, share in figures["recall"].items())
        called = ", ".join(f"{name} {count}" for name, count in figures["called_normal"].items())
        sys.stdout.write(f"{rule}\n  accuracy {figures['accuracy']:.2%}; recall {recalls}\n")
        count, whole = figures["contagious_called_normal"], figures["contagious"]
        share = f" ({count / whole:.1%})" if whole else ""
        sys.stdout.write(f"  called Normal: {called}; {count} of {whole} contagious ones{share}\n")
    return 0


def measured(folder: Path, split: str) -> dict[str, Any]:
    """Figures by rule of the images of a split in the model's own table.

    Raises:
        PredictionsError: it has none.
    """
    card = Card.read(folder / CARD_FILE)
    table = pd.read_csv(folder / PREDICTIONS_FILE, keep_default_na=False, dtype={"patient_id": str})
    table = table[table["split"] == split]
    if table.empty:
        raise PredictionsError(f"The table of {folder.name} has no {split} images. Choose another split.")
    labels, probabilities = arrays_of(table, card.classes)
    rules = {"highest probability": Thresholds(), card.operating_point.words: card.operating_point.thresholds}
    return {
        "model": f"{card.name} {card.full_version}",
        "images": len(table),
        "rules": {
            rule: _figures(labels, decide(thresholds, card.classes, probabilities), card.classes)
            for rule, thresholds in rules.items()
        },
    }


def _figures(labels: NDArray[np.int64], found: NDArray[np.int64], classes: Sequence[str]) -> dict[str, Any]:
    matrix = metrics.confusion_matrix(labels, found, len(classes))
    recall, normal = metrics.recall(matrix), list(classes).index(NORMAL)
    contagious = list(positive_classes(classes, CONTAGIOUS_QUESTION))
    return {
        "accuracy": float(metrics.accuracy(matrix)),
        "recall": {name: float(recall[k]) for k, name in enumerate(classes)},
        "called_normal": {
            name: metrics.called_normal(matrix, k, normal) for k, name in enumerate(classes) if k != normal
        },
        "contagious": int(matrix[contagious].sum()),
        "contagious_called_normal": int(matrix[contagious, normal].sum()),
        "contagious_called_neither": int(np.delete(matrix[contagious], contagious, axis=1).sum()),
    }


if __name__ == "__main__":
    sys.exit(main())
