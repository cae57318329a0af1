"""The paper's tables, held against themselves."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from lungassist.classes import COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA
from lungassist.evaluation.leaderboard import published_rows
from lungassist.evaluation.published import PUBLISHED, SPLIT_SIZES, PrintedClass
from lungassist.evaluation.published_audit import audit_published, hits


def test_table_1_is_the_papers() -> None:
    """Typed from the paper once more, apart from the module."""
    typed = {
        "AlexNet": (97.87, 93.86, 5, 3, 63),
        "VGG19_bn": (98.12, 94.33, 6, 5, 51),
        "ResNet50": (98.59, 95.46, 3, 6, 54),
        "Logistic Regression": (60.84, 62.24, 214, 25, 197),
    }
    found = {
        model.name: (
            model.train_accuracy,
            model.test_accuracy,
            *(model.called_normal[label] for label in (COVID, VIRAL_PNEUMONIA, LUNG_OPACITY)),
        )
        for model in PUBLISHED
    }
    assert found == typed
    assert sum(SPLIT_SIZES.values()) == 21_165


@pytest.mark.parametrize("model", PUBLISHED, ids=lambda model: model.name)
def test_f1_columns_follow_from_precision_and_recall(model: object) -> None:
    """Equation 9 with the rounding of both, by trying both ends; 15 hold and the 16th is undefined."""
    for label, row in model.per_class.items():  # type: ignore[attr-defined]
        ends = []
        for shift in (-0.005, 0.005):
            p, r = row.precision + shift, row.recall + shift
            ends.append(2 * p * r / (p + r))
        if math.isnan(row.f1):
            assert (model.name, label) == ("Logistic Regression", VIRAL_PNEUMONIA)  # type: ignore[attr-defined]
        else:
            assert ends[0] - 0.005 <= row.f1 <= ends[1] + 0.005


def test_every_printed_f1_is_possible_and_a_wrong_one_is_found() -> None:
    assert all(check.possible for check in audit_published().f1)
    resnet = PUBLISHED[2]
    wrong = replace(resnet, per_class={**resnet.per_class, NORMAL: PrintedClass(97.43, 93.99, 95.71)})
    audit = audit_published([*PUBLISHED[:2], wrong, PUBLISHED[3]])
    assert [(check.model, check.label) for check in audit.f1 if not check.possible] == [("ResNet50", NORMAL)]
    assert "95.71" in audit.findings[0]


def test_precision_and_recall_are_exchanged_in_the_paper() -> None:
    """Worked by hand: 342 + 566 + 986 + 126 of 2,116 are the 95.46 % of ResNet50, with the printed 'precisions'."""
    audit = audit_published()
    assert audit.swapped
    assert audit.sizes == {COVID: 348, LUNG_OPACITY: 624, NORMAL: 1012, VIRAL_PNEUMONIA: 132}
    right = [hits(PUBLISHED[2].per_class[label].precision, n) for label, n in audit.sizes.items()]
    assert right == [342, 566, 986, 126]
    assert round(100 * sum(filter(None, right)) / 2116, 2) == 95.46
    # 6 of 132 were called Normal: no more than 126 can have been found, which are 95.45 %, not the printed 96.92 %.
    assert round(100 * 126 / 132, 2) == PUBLISHED[2].per_class[VIRAL_PNEUMONIA].precision
    assert any("exchanged" in finding for finding in audit.findings)


def test_columns_put_right_are_not_called_exchanged() -> None:
    mended = [
        replace(
            model,
            per_class={k: PrintedClass(row.recall, row.precision, row.f1) for k, row in model.per_class.items()},
        )
        for model in PUBLISHED
    ]
    audit = audit_published(mended)
    assert not audit.swapped
    assert audit.sizes[VIRAL_PNEUMONIA] == 132


def test_hits_are_whole_images() -> None:
    assert hits(95.45, 132) == 126
    assert hits(96.92, 132) is None
    assert hits(math.nan, 132) is None


def test_published_rows_are_shares_with_an_interval() -> None:
    row = next(row for row in published_rows() if row.model == "ResNet50")
    assert (row.accuracy.value, row.images, row.contagious_called_normal) == (0.9546, 2116, 9)
    assert row.accuracy.interval.low < 0.9546 < row.accuracy.interval.high
