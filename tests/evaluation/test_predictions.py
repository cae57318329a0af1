"""The table of predictions, and the figures that are computed from it alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from lungassist.classes import CLASSES, COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA
from lungassist.evaluation.predictions import arrays_of, figures_of, predictions_table, write_predictions


def table_of(count: int = 400, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    logits = rng.normal(0, 1, (count, 4)) + 2 * np.eye(4)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    index = pd.DataFrame({"file": [f"{i}.png" for i in range(count)], "label": [CLASSES[i] for i in labels]})
    return predictions_table(index.assign(split="test"), probabilities, CLASSES)


def test_a_written_table_gives_exactly_the_figures_of_the_one_in_memory(tmp_path: Path) -> None:
    table = table_of()
    write_predictions(tmp_path / "predictions.csv", table)
    again = pd.read_csv(tmp_path / "predictions.csv")
    assert figures_of(again, CLASSES) == figures_of(table, CLASSES)
    np.testing.assert_array_equal(arrays_of(again, CLASSES)[1], arrays_of(table, CLASSES)[1])


def test_a_near_tie_is_decided_before_and_after_writing_alike(tmp_path: Path) -> None:
    index = pd.DataFrame({"file": ["a.png"], "label": [NORMAL], "split": ["test"]})
    table = predictions_table(index, np.array([[0.4999991, 0.0, 0.5000009, 0.0]]), CLASSES)
    write_predictions(tmp_path / "predictions.csv", table)
    again = pd.read_csv(tmp_path / "predictions.csv")
    assert figures_of(again, CLASSES)["accuracy"] == figures_of(table, CLASSES)["accuracy"]


def test_the_figures_are_scikit_learns() -> None:
    table = table_of()
    labels, probabilities = arrays_of(table, CLASSES)
    guesses = probabilities.argmax(axis=1)
    figures = figures_of(table, CLASSES)
    p, r, f, support = reference.precision_recall_fscore_support(labels, guesses)
    assert figures["images"] == len(table)
    assert figures["accuracy"] == pytest.approx(reference.accuracy_score(labels, guesses), abs=1e-6)
    matrix = reference.confusion_matrix(labels, guesses)
    assert figures["confusion_matrix"] == matrix.tolist()
    for i, name in enumerate(CLASSES):
        row = figures["per_class"][name]
        assert row["precision"] == pytest.approx(p[i], abs=1e-6)
        assert row["recall"] == pytest.approx(r[i], abs=1e-6)
        assert row["f1"] == pytest.approx(f[i], abs=1e-6)
        assert row["images"] == support[i]
    assert figures["called_normal"] == {
        COVID: matrix[0, 2],
        VIRAL_PNEUMONIA: matrix[3, 2],
        LUNG_OPACITY: matrix[1, 2],
    }


def test_what_is_undefined_is_none() -> None:
    table = table_of().query("label != 'COVID'")
    row = figures_of(table, CLASSES)["per_class"][COVID]
    assert row["recall"] is None
    assert row["images"] == 0
    assert figures_of(table.iloc[:0], CLASSES)["accuracy"] is None


def test_classes_of_another_data_set_have_no_called_normal() -> None:
    index = pd.DataFrame({"file": ["a", "b"], "label": ["x", "y"]})
    table = predictions_table(index, np.array([[0.9, 0.1], [0.6, 0.4]]), ("x", "y"))
    figures = figures_of(table, ("x", "y"))
    assert "called_normal" not in figures
    assert figures["confusion_matrix"] == [[1, 0], [1, 0]]
