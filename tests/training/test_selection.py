"""The paper's rule for the best epoch, on hand-made tables."""

from __future__ import annotations

import numpy as np
import pytest

from lungassist.classes import CLASSES
from lungassist.training.selection import WORST, missed, rank

MATRIX = np.array([[10, 1, 2, 0], [3, 20, 30, 1], [4, 5, 40, 6], [0, 0, 7, 9]])


def test_sick_called_normal_are_covid_and_viral_pneumonia() -> None:
    assert missed(MATRIX, CLASSES) == 2 + 7


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (("Effusion", "Mass", "Normal", "Nodule"), 2 + 30 + 7),
        (("COVID", "Mass", "Normal", "Nodule"), 2),
        (("a", "b", "c", "d"), 0),
    ],
)
def test_other_classes(classes: tuple[str, ...], expected: int) -> None:
    assert missed(MATRIX, classes) == expected


def test_fewest_missed_comes_before_accuracy_and_accuracy_before_loss() -> None:
    def of(called_normal: int, accuracy: float, loss: float, rule: str = "paper") -> tuple[float, ...]:
        return rank(rule, called_normal=called_normal, accuracy=accuracy, loss=loss)

    assert of(3, 0.90, 0.9) < of(4, 0.99, 0.1)
    assert of(3, 0.91, 0.9) < of(3, 0.90, 0.1)
    assert of(3, 0.90, 0.1) < of(3, 0.90, 0.2)
    assert of(9, 0.10, 0.1, "validation_loss") < of(3, 0.90, 0.2, "validation_loss")
    assert of(10**6, 0.0, 100.0) < WORST
