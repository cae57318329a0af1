"""The table of predictions: a row an image, a probability a class. Every figure is computed from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lungassist import metrics
from lungassist.classes import COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA
from lungassist.files import write_atomically
from lungassist.models import decision

PREFIX: Final = "probability_"

#: Of a written probability.
DECIMALS: Final = decision.DECIMALS


def predictions_table(index: pd.DataFrame, probabilities: NDArray[np.float64], classes: Sequence[str]) -> pd.DataFrame:
    """Join an index (`file`, `label`, `patient_id`, `source`, `split`, ...) and `(N, K)` probabilities.

    They are rounded as they will be written, so that what is computed from the table before and after is the same.
    """
    rounded = np.round(probabilities, DECIMALS)
    columns = {f"{PREFIX}{name}": rounded[:, i] for i, name in enumerate(classes)}
    return index.reset_index(drop=True).assign(**columns)


def write_predictions(path: Path, table: pd.DataFrame) -> None:
    """Write as CSV, atomically."""
    write_atomically(path, lambda temporary: table.to_csv(temporary, index=False, float_format=f"%.{DECIMALS}f"))


def arrays_of(table: pd.DataFrame, classes: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Class indices `(N,)` and probabilities `(N, K)` of a table."""
    order = {name: i for i, name in enumerate(classes)}
    labels: NDArray[np.int64] = table["label"].map(order).to_numpy().astype(np.int64)
    probabilities: NDArray[np.float64] = table[[f"{PREFIX}{name}" for name in classes]].to_numpy(np.float64)
    return labels, probabilities


def figures_of(table: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    """What a card reports of one split: accuracy, per-class figures, the paper's (fn) counts, calibration.

    Undefined figures are None, so that the result is JSON.
    """
    labels, probabilities = arrays_of(table, classes)
    matrix = metrics.confusion_matrix(labels, probabilities.argmax(axis=1), len(classes))
    per_class = {
        "precision": metrics.precision(matrix),
        "recall": metrics.recall(matrix),
        "f1": metrics.f1(matrix),
    }
    figures: dict[str, Any] = {
        "images": len(table),
        "accuracy": _plain(metrics.accuracy(matrix)),
        "per_class": {
            name: {
                **{key: _plain(values[i]) for key, values in per_class.items()},
                "images": int(matrix[i].sum()),
            }
            for i, name in enumerate(classes)
        },
        "confusion_matrix": matrix.tolist(),
        "expected_calibration_error": _plain(metrics.expected_calibration_error(probabilities, labels)),
    }
    if NORMAL in classes:
        normal = classes.index(NORMAL)
        figures["called_normal"] = {
            name: metrics.called_normal(matrix, classes.index(name), normal)
            for name in (COVID, VIRAL_PNEUMONIA, LUNG_OPACITY)
            if name in classes
        }
    return figures


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)
