"""All figures of a table: against scikit-learn one by one, and what is NaN without images or without a class Normal."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from lungassist.classes import CLASSES
from lungassist.errors import UsageError
from lungassist.metrics import Figures, Roles, figures
from lungassist.training.selection import missed
from tests.metrics.tables import simulated

ROLES = Roles.of(CLASSES)


@pytest.mark.parametrize("weighted", [False, True])
def test_every_figure_is_scikit_learns(weighted: bool) -> None:
    labels, (table,) = simulated(500, 2.0, decimals=2)
    table /= table.sum(axis=1, keepdims=True)
    w = np.random.default_rng(1).integers(0, 3, 500).astype(np.float64) if weighted else None
    guesses, sick = table.argmax(axis=1), labels != 2
    p, r, f, _ = reference.precision_recall_fscore_support(labels, guesses, sample_weight=w)
    aucs = [reference.roc_auc_score(labels == k, table[:, k], sample_weight=w) for k in range(4)]
    steps = [reference.average_precision_score(labels == k, table[:, k], sample_weight=w) for k in range(4)]
    expected = {
        "accuracy": reference.accuracy_score(labels, guesses, sample_weight=w),
        "precision": p,
        "recall": r,
        "f1": f,
        "macro_f1": reference.f1_score(labels, guesses, average="macro", sample_weight=w),
        "weighted_precision": reference.precision_score(labels, guesses, average="weighted", sample_weight=w),
        "weighted_recall": reference.accuracy_score(labels, guesses, sample_weight=w),
        "macro_recall": reference.balanced_accuracy_score(labels, guesses, sample_weight=w),
        "sick_sensitivity": reference.recall_score(sick, guesses != 2, sample_weight=w),
        "sick_specificity": reference.recall_score(~sick, guesses == 2, sample_weight=w),
        "roc_auc": aucs,
        "macro_roc_auc": reference.roc_auc_score(labels, table, multi_class="ovr", sample_weight=w),
        "sick_roc_auc": reference.roc_auc_score(sick, 1 - table[:, 2], sample_weight=w),
        "average_precision": steps,
        "macro_average_precision": np.mean(steps),
        "sick_average_precision": reference.average_precision_score(sick, 1 - table[:, 2], sample_weight=w),
        "brier": reference.brier_score_loss(labels, table, sample_weight=w, scale_by_half=False),
    }
    ours = dict(figures(labels, table, ROLES, w).items())
    for name, value in expected.items():
        np.testing.assert_allclose(ours[name], value, atol=1e-12, rtol=0, err_msg=name)
    confusion = reference.confusion_matrix(labels, guesses, sample_weight=w)
    np.testing.assert_array_equal(ours["called_normal"], [*confusion[:2, 2], np.nan, confusion[3, 2]])
    assert ours["contagious_called_normal"] == confusion[0, 2] + confusion[3, 2]


@pytest.mark.parametrize("classes", [CLASSES, ("Edema", "Normal", "Nodule"), ("Normal", "COVID")])
def test_what_the_rule_counts_is_what_training_counts(classes: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    labels, table = rng.integers(0, len(classes), 200), rng.dirichlet(np.ones(len(classes)), 200)
    matrix = reference.confusion_matrix(labels, table.argmax(axis=1))
    assert figures(labels, table, Roles.of(classes)).contagious_called_normal == missed(matrix, classes)


def test_no_class_normal_nobody_called_so() -> None:
    labels, (table,) = simulated(100, 2.0)
    result = figures(labels, table, Roles.of(("a", "b", "c", "d")))
    undefined = {name for name, values in result.items() if np.isnan(values).any()}
    assert undefined == {
        "called_normal",
        "contagious_called_normal",
        "sick_sensitivity",
        "sick_specificity",
        "sick_roc_auc",
        "sick_average_precision",
    }


def test_no_images_at_all_and_nothing_is_defined() -> None:
    result = figures(np.empty(0, np.int64), np.empty((0, 4)), ROLES)
    counts = {"images", "called_normal", "contagious_called_normal"}
    assert all(np.isnan(values).all() for name, values in result.items() if name not in counts)
    assert (result.images, result.contagious_called_normal) == (0, 0)


def test_a_table_of_one_class_has_its_recall_and_no_areas() -> None:
    _, (table,) = simulated(50, 2.0)
    result = figures(np.zeros(50, np.int64), table, ROLES)
    assert result.recall[0] == result.accuracy == result.macro_recall
    assert np.isnan(result.recall[1:]).all()
    assert np.isnan(result.roc_auc).all()
    assert np.isnan(result.sick_specificity)


def test_the_flat_record_names_each_class() -> None:
    labels, (table,) = simulated(100, 2.0)
    result = figures(labels, table, ROLES)
    flat = result.named(CLASSES)
    assert flat["accuracy"] == result.accuracy
    assert flat["recall Viral Pneumonia"] == result.recall[3]
    assert len(flat) == sum(4 if values.ndim else 1 for _, values in result.items())
    nothing = result.minus(result)
    assert isinstance(nothing, Figures)
    assert nothing.named(CLASSES)["f1 COVID"] == 0


@pytest.mark.parametrize(
    ("labels", "shape", "says"),
    [
        (np.array([0, 1, 2]), (2, 4), r"\(3, 4\) were expected.*\(2, 4\) came"),
        (np.array([0, 1]), (2, 3), r"\(2, 4\) were expected.*\(2, 3\) came"),
        (np.array([0, 4]), (2, 4), "from 0 to 3; 0 to 4 came"),
        (np.array([-1, 3]), (2, 4), "from 0 to 3; -1 to 3 came"),
    ],
)
def test_what_does_not_belong_together_is_refused(labels: np.ndarray, shape: tuple[int, int], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        figures(labels, np.full(shape, 0.25), ROLES)
