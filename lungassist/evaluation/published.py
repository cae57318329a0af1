"""What the paper printed: Tables 1 to 5 of Yang, Wang and Park, *Detection of Lung Diseases through image
classification*, letter by letter, percentages as printed. Never mixed with what is measured; see `audit_published`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from lungassist.classes import COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA

SOURCE: Final = "Yang, Wang, Park: Detection of Lung Diseases through image classification"

#: Of 21,165 images, seed 1 (paper, section 5.2).
SPLIT_SIZES: Final[Mapping[str, int]] = MappingProxyType({"train": 16_932, "validation": 2_117, "test": 2_116})


@dataclass(frozen=True, slots=True)
class PrintedClass:
    """A row of Tables 2 to 5, in percent; NaN where the paper prints nan."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """A row of Table 1 with its table of classes.

    Attributes:
        name: as the paper has it.
        table: the number of its table of classes.
        train_accuracy, test_accuracy: in percent.
        called_normal: test images of a class that were taken for Normal, the paper's (fn).
        per_class: class -> what is printed.
    """

    name: str
    table: int
    train_accuracy: float
    test_accuracy: float
    called_normal: Mapping[str, int]
    per_class: Mapping[str, PrintedClass]

    @property
    def contagious_called_normal(self) -> int:
        """COVID and Viral Pneumonia taken for Normal, which the paper's rule wants fewest of."""
        return self.called_normal[COVID] + self.called_normal[VIRAL_PNEUMONIA]


_Row = tuple[float, float, float]


def _model(
    name: str,
    table: int,
    accuracies: tuple[float, float],
    fn: tuple[int, int, int],
    rows: tuple[_Row, _Row, _Row, _Row],
) -> PublishedModel:
    counts = dict(zip((COVID, VIRAL_PNEUMONIA, LUNG_OPACITY), fn, strict=True))
    order = (COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA)
    per_class = {label: PrintedClass(*row) for label, row in zip(order, rows, strict=True)}
    return PublishedModel(name, table, *accuracies, MappingProxyType(counts), MappingProxyType(per_class))


PUBLISHED: Final = (
    _model(
        "AlexNet", 3, (97.87, 93.86), (5, 3, 63),
        ((96.55, 94.65, 95.59), (88.78, 94.22, 91.42), (95.65, 93.17, 94.39), (96.97, 95.52, 96.24)),
    ),
    _model(
        "VGG19_bn", 4, (98.12, 94.33), (6, 5, 51),
        ((97.7, 94.44, 96.05), (90.38, 94.31, 92.31), (95.36, 93.96, 94.65), (96.21, 96.95, 96.58)),
    ),
    _model(
        "ResNet50", 5, (98.59, 95.46), (3, 6, 54),
        ((98.28, 97.71, 97.99), (90.71, 96.42, 93.48), (97.43, 93.99, 95.68), (95.45, 96.92, 96.18)),
    ),
    _model(
        "Logistic Regression", 2, (60.84, 62.24), (214, 25, 197),
        ((25.86, 28.75, 27.23), (53.85, 70.59, 61.09), (88.04, 67.14, 76.19), (0.0, math.nan, math.nan)),
    ),
)  # fmt: skip
