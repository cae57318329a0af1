"""A comparison as plain values: shares in [0, 1], intervals as [low, high], what is undefined as null."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from lungassist.errors import PredictionsError
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.published_audit import audit_published


def comparison_json(comparison: Comparison, *, columns: Sequence[str] | None = None, target: float = 0.99) -> Any:
    """Everything that `compare` reports.

    Args:
        comparison: of which models.
        columns: to slice by; all that can be by default.
        target: sensitivity of the operating points.

    Raises:
        PredictionsError: no table has one of the columns.
    """
    points, missing = operating_points(comparison, target)
    return plain(
        {
            "split": comparison.split,
            "classes": comparison.classes,
            "resamples": comparison.resamples,
            "seed": comparison.seed,
            "notes": [*comparison.notes, *missing],
            "leaderboard": [{**_fields(row), "gap": row.gap} for row in comparison.leaderboard],
            "choice": comparison.choice,
            "published": {
                "rows": comparison.published,
                "findings": audit_published().findings if comparison.published else (),
            },
            "per_class": {name: comparison.class_rows(name) for name in comparison.models},
            "confusion": {name: comparison.confusion(name) for name in comparison.models},
            "tests": {"pairs": comparison.tests.pairs, "refused": comparison.tests.refused},
            "operating_points": points,
            "slices": [
                part
                for name in (comparison.slice_columns if columns is None else columns)
                for part in comparison.slices(name)
            ],
            "lung_shares": [{**_fields(share), "ratio": share.ratio} for share in comparison.lung_shares],
        }
    )


def operating_points(comparison: Comparison, target: float) -> tuple[list[Any], list[str]]:
    """Operating points of every model and question, and why some have none."""
    points, missing = [], []
    for name in comparison.models:
        for question in comparison.questions:
            try:
                points.append(comparison.operating_point(name, question, target))
            except PredictionsError as error:
                missing.append(f"No operating point. {error}")
    return points, missing


def plain(value: Any) -> Any:
    """Numbers, texts, lists and objects alone; NaN and infinity become null."""
    if is_dataclass(value) and not isinstance(value, type):
        value = _fields(value)
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _fields(record: Any) -> dict[str, Any]:
    """Of a dataclass; `asdict` would copy what lies deeper, and cannot copy everything."""
    return {field.name: getattr(record, field.name) for field in fields(record)}
