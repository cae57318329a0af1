"""Tables of predictions made up for tests: the same every time, and as good as asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lungassist.classes import CLASSES
from lungassist.evaluation.predictions import predictions_table, write_predictions
from lungassist.evaluation.tables import Predictions, read_predictions


def index_of(count: int = 600, seed: int = 1) -> pd.DataFrame:
    """Images of four classes in three splits, of patients with one to three images, from two sources."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    return pd.DataFrame(
        {
            "file": [f"{CLASSES[k]}/{CLASSES[k]}-{i}.png" for i, k in enumerate(labels)],
            "label": [CLASSES[k] for k in labels],
            "patient_id": [f"p{i // 2}" if i % 3 else "" for i in range(count)],
            "source": np.where(rng.random(count) < 0.7, "north", "south"),
            "split": rng.choice(["train", "validation", "test"], count, p=[0.4, 0.2, 0.4]),
        }
    )


def table_of(index: pd.DataFrame, skill: float = 2.0, seed: int = 1) -> pd.DataFrame:
    """A model's table; the greater `skill`, the more often it is right."""
    rng = np.random.default_rng(seed)
    truth = index["label"].map(CLASSES.index).to_numpy()
    logits = rng.normal(0, 1, (len(index), 4)) + skill * np.eye(4)[truth]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return predictions_table(index, p, CLASSES)


def written(folder: Path, name: str, table: pd.DataFrame) -> Path:
    """Write a table as CSV; returns where."""
    path = folder / f"{name}.csv"
    write_predictions(path, table)
    return path


def read(folder: Path, name: str, table: pd.DataFrame) -> Predictions:
    """Write and read a table."""
    return read_predictions(written(folder, name, table))
