"""The bootstrap: every resample against scikit-learn on the repeated images, intervals against SciPy's bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from lungassist.classes import CLASSES
from lungassist.errors import UsageError
from lungassist.metrics import Bootstrap, Roles, figures
from tests.metrics.tables import simulated

ROLES = Roles.of(CLASSES)


@pytest.mark.parametrize("decimals", [2, 5, 12])
@pytest.mark.parametrize("skill", [0.0, 2.0, 6.0])
def test_each_resample_is_the_table_with_images_repeated(skill: float, decimals: int) -> None:
    labels, tables = simulated(240, skill, 1.0, decimals=decimals)
    patients = np.random.default_rng(1).integers(0, 90, 240)
    bootstrap = Bootstrap(patients, resamples=70, seed=3)
    measured = bootstrap.measure(labels, {"a": tables[0], "b": tables[1]}, ROLES)
    weights = np.concatenate([bootstrap.weights(block) for block in (0, 1)], axis=1).astype(np.int64)
    assert weights.shape == (240, 70)
    for name, table in zip("ab", tables, strict=True):
        for b in (0, 5, 63, 64, 69):
            drawn = np.repeat(np.arange(240), weights[:, b])
            alone = figures(labels[drawn], table[drawn], ROLES)
            for figure, values in measured[name].replicates.items():
                expected = getattr(alone, figure)
                np.testing.assert_allclose(values[b], expected, atol=1e-5, rtol=1e-6, err_msg=f"{name} {figure} {b}")


def test_a_resamples_areas_are_scikit_learns() -> None:
    labels, (table,) = simulated(300, 1.5, decimals=2)
    bootstrap = Bootstrap(np.arange(300), resamples=4)
    replicates = bootstrap.measure(labels, {"a": table}, ROLES)["a"].replicates
    for b, weights in enumerate(bootstrap.weights(0).T):
        for k in range(4):
            roc = reference.roc_auc_score(labels == k, table[:, k], sample_weight=weights)
            steps = reference.average_precision_score(labels == k, table[:, k], sample_weight=weights)
            assert replicates.roc_auc[b, k] == pytest.approx(roc, abs=1e-6)
            assert replicates.average_precision[b, k] == pytest.approx(steps, abs=1e-6)


def test_patients_are_drawn_whole_and_as_many_as_there_are() -> None:
    patients = np.array(["b", "a", "b", "c", "a", "b"])
    weights = np.concatenate([Bootstrap(patients, resamples=200).weights(block) for block in range(4)], axis=1)
    np.testing.assert_array_equal(weights[0], weights[2])
    np.testing.assert_array_equal(weights[0], weights[5])
    np.testing.assert_array_equal(weights[1], weights[4])
    np.testing.assert_array_equal(weights[[0, 1, 3]].sum(axis=0), 3)
    assert weights.shape == (6, 200)
    assert weights[0].mean() == pytest.approx(1, abs=0.2)


def test_the_interval_is_scipys_percentile_bootstrap() -> None:
    labels, (table,) = simulated(400, 1.5)
    right = (table.argmax(axis=1) == labels).astype(np.float64)
    theirs = stats.bootstrap(
        (right,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    ours = Bootstrap(np.arange(400), resamples=4000).measure(labels, {"a": table}, ROLES)["a"].interval("accuracy")
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.006)


def test_images_of_few_patients_say_less_than_as_many_images_of_many() -> None:
    # Ten images a patient, all right or all wrong together: the interval is that of patients.
    right = np.repeat(np.random.default_rng(0).random(100) < 0.7, 10)
    labels = np.zeros(1000, np.int64)
    table = np.where(right[:, None], [[0.9, 0.1]], [[0.1, 0.9]])
    width = {}
    for name, patients in (("images", np.arange(1000)), ("patients", np.repeat(np.arange(100), 10))):
        low, high = Bootstrap(patients).measure(labels, {"a": table}, Roles(2))["a"].interval("accuracy")
        width[name] = high - low
    assert width["patients"] == pytest.approx(width["images"] * np.sqrt(10), rel=0.15)


def test_a_difference_is_paired() -> None:
    labels, tables = simulated(600, 1.5, 1.6)
    bootstrap = Bootstrap(np.arange(600))
    measured = bootstrap.measure(labels, {"a": tables[0], "b": tables[1]}, ROLES)
    difference = bootstrap.difference(measured["a"], measured["b"])
    right = [table.argmax(axis=1) == labels for table in tables]
    theirs = stats.bootstrap(
        right, lambda a, b: a.mean() - b.mean(), paired=True, method="percentile", vectorized=False, n_resamples=2000,
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    assert difference.point.accuracy == pytest.approx(right[0].mean() - right[1].mean(), abs=1e-12)
    assert difference.interval("accuracy") == pytest.approx((theirs.low, theirs.high), abs=0.006)
    itself = bootstrap.difference(measured["a"], measured["a"])
    assert itself.interval("recall", 0) == (0, 0)


def test_a_model_has_the_same_resamples_alone_and_among_others() -> None:
    labels, tables = simulated(150, 1.0, 2.0)
    alone = Bootstrap(np.arange(150), 100, seed=7).measure(labels, {"b": tables[1]}, ROLES)["b"]
    among = Bootstrap(np.arange(150), 100, seed=7).measure(labels, {"a": tables[0], "b": tables[1]}, ROLES)["b"]
    for name, values in alone.replicates.items():
        np.testing.assert_allclose(values, getattr(among.replicates, name), atol=1e-7, err_msg=name)
    other = Bootstrap(np.arange(150), 100, seed=8).measure(labels, {"b": tables[1]}, ROLES)["b"]
    assert not np.array_equal(other.replicates.accuracy, alone.replicates.accuracy)


def test_a_rare_class_that_drops_out_of_resamples_leaves_an_interval_of_the_others() -> None:
    labels, (table,) = simulated(60, 2.0)
    labels[labels == 3] = 0
    labels[:2] = 3
    measured = Bootstrap(np.arange(60), 500).measure(labels, {"a": table}, ROLES)["a"]
    gone = np.isnan(measured.replicates.recall[:, 3])
    assert 0 < gone.mean() < 0.5
    assert np.isfinite(measured.interval("recall", 3)).all()
    assert np.isnan(measured.replicates.roc_auc[gone, 3]).all()


def test_classes_without_images_have_no_figures_in_any_resample() -> None:
    _, (table,) = simulated(30, 2.0)
    measured = Bootstrap(np.arange(30), 40).measure(np.full(30, 2), {"a": table}, ROLES)["a"]
    assert np.isnan(measured.replicates.roc_auc).all()
    assert np.isnan(measured.replicates.sick_sensitivity).all()
    np.testing.assert_allclose(measured.replicates.average_precision[:, 2], 1)
    assert np.isnan(measured.interval("recall", 0)).all()
    assert measured.replicates.accuracy == pytest.approx(measured.replicates.recall[:, 2])


def test_totals_give_the_interval_of_any_share() -> None:
    labels, (table,) = simulated(200, 1.5)
    bootstrap = Bootstrap(np.arange(200), resamples=130)
    right, covid = table.argmax(axis=1) == labels, labels == 0
    totals = bootstrap.totals(np.column_stack([right & covid, covid]))
    recall = bootstrap.measure(labels, {"a": table}, ROLES)["a"]
    np.testing.assert_allclose(totals[:, 0] / totals[:, 1], recall.replicates.recall[:, 0])
    assert bootstrap.interval(totals[:, 0] / totals[:, 1]) == pytest.approx(recall.interval("recall", 0))


def test_what_cannot_be_resampled_is_refused() -> None:
    labels, (table,) = simulated(20, 1.0)
    with pytest.raises(UsageError, match="19 images were to be resampled; 20 came"):
        Bootstrap(np.arange(19)).measure(labels, {"a": table}, ROLES)
    with pytest.raises(UsageError, match="none came"):
        Bootstrap(np.arange(0)).measure(labels[:0], {"a": table[:0]}, ROLES)
    with pytest.raises(UsageError, match="none came"):
        Bootstrap(np.arange(20)).measure(labels, {}, ROLES)
    with pytest.raises(UsageError, match=r"0 and 0\.95 came"):
        Bootstrap(np.arange(20), resamples=0)
