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

from lungassist.classes import CONTAGIOUS, NORMAL
from lungassist.errors import LungAssistError
from lungassist.evaluation.predictions import PREFIX
from lungassist.models.card import Card
from lungassist.models.decision import Thresholds, decide
from lungassist.models.weights import CARD_FILE, PREDICTIONS_FILE, choose_model
from lungassist.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Print; returns 0, or 2 where there is no such model."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.decisions", description=__doc__)
    p.add_argument("--model", metavar="NAME", help="a model in weights/ (default: the one that triage starts with)")
    p.add_argument("--split", default="test", help="default: %(default)s")
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
        share = figures["contagious_called_normal_share"]
        sys.stdout.write(f"  called Normal: {called}; {share:.1%} of the contagious ones\n")
    return 0


def measured(folder: Path, split: str) -> dict[str, Any]:
    """Figures by rule of the images of a split in the model's own table."""
    card = Card.read(folder / CARD_FILE)
    table = pd.read_csv(folder / PREDICTIONS_FILE, keep_default_na=False, dtype={"patient_id": str})
    table = table[table["split"] == split]
    probabilities = table[[f"{PREFIX}{name}" for name in card.classes]].to_numpy(np.float64)
    labels = table["label"].to_numpy(str)
    rules = {"highest probability": Thresholds(), card.operating_point.words: card.operating_point.thresholds}
    return {
        "model": f"{card.name} {card.full_version}",
        "images": len(table),
        "rules": {
            rule: _figures(labels, np.array(card.classes)[decide(thresholds, card.classes, probabilities)])
            for rule, thresholds in rules.items()
        },
    }


def _figures(labels: NDArray[np.str_], found: NDArray[np.str_]) -> dict[str, Any]:
    contagious = np.isin(labels, sorted(CONTAGIOUS))
    names = sorted(set(labels))
    return {
        "accuracy": float(np.mean(found == labels)),
        "recall": {name: float(np.mean(found[labels == name] == name)) for name in names},
        "called_normal": {name: int(np.sum(found[labels == name] == NORMAL)) for name in names if name != NORMAL},
        "contagious_called_normal_share": float(np.mean(found[contagious] == NORMAL)),
    }


if __name__ == "__main__":
    sys.exit(main())
