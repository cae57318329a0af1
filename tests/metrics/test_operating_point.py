"""Operating points by hand, against scikit-learn's ROC curve, and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from lungassist.errors import UsageError
from lungassist.metrics import Bootstrap, operating_point, outcome_at, sick_probability, sweep, wilson
from tests.metrics.tables import simulated


def test_by_hand() -> None:
    sick = np.array([True] * 4 + [False] * 4)
    p = np.array([0.9, 0.8, 0.3, 0.1, 0.6, 0.3, 0.2, 0.05])
    assert operating_point(p, sick, 0.5) == 0.8
    assert operating_point(p, sick, 0.51) == 0.3
    assert operating_point(p, sick, 0.75) == 0.3
    assert operating_point(p, sick, 1.0) == 0.1
    outcome = outcome_at(0.3, p, sick, Bootstrap(np.arange(8), 200))
    assert outcome.sensitivity.value == 3 / 4
    assert outcome.specificity.value == 2 / 4
    assert outcome.ruled_out.value == 3 / 8
    assert outcome.ruled_out_healthy.value == pytest.approx(2 / 3)
    assert (outcome.missed, outcome.images) == (1, 8)


@pytest.mark.parametrize("count", [20, 100, 700])
@pytest.mark.parametrize("target", [0.5, 0.55, 0.9, 0.95, 0.99, 1.0])
def test_it_is_the_largest_threshold_of_the_roc_curve_that_reaches_the_target(target: float, count: int) -> None:
    labels, (table,) = simulated(count, 2.0, decimals=3)
    p, sick = sick_probability(table, 2), labels != 2
    _, tpr, thresholds = reference.roc_curve(sick, p, drop_intermediate=False)
    expected = thresholds[tpr >= target - 1e-9].max()
    assert operating_point(p, sick, target) == expected


def test_a_target_is_what_people_mean_by_it() -> None:
    # 0.55 of 20 is 11, though 0.55 * 20 is 11.000000000000002.
    p = np.linspace(0.05, 1, 20)
    assert np.count_nonzero(p >= operating_point(p, np.ones(20, bool), 0.55)) == 11


def test_intervals_are_wilsons_and_that_of_the_resamples() -> None:
    labels, (table,) = simulated(300, 2.0)
    p, sick = sick_probability(table, 2), labels != 2
    patients = np.arange(300) // 3
    bootstrap = Bootstrap(patients, 400)
    outcome = outcome_at(0.4, p, sick, bootstrap)
    caught = np.count_nonzero(sick & (p >= 0.4))
    assert outcome.sensitivity.wilson == pytest.approx(tuple(map(float, wilson(caught, sick.sum()))))
    shares = []
    for block in range(7):
        for weights in bootstrap.weights(block).T:
            shares.append(np.average(p[sick] >= 0.4, weights=weights[sick]))
    assert outcome.sensitivity.bootstrap == pytest.approx(tuple(np.percentile(shares, [2.5, 97.5])), abs=1e-6)


def test_nobody_missed_is_no_proof_that_nobody_will_be() -> None:
    sick, p = np.array([True] * 20 + [False] * 20), np.array([0.9] * 20 + [0.1] * 20)
    outcome = outcome_at(0.5, p, sick, Bootstrap(np.arange(40), 200))
    assert outcome.sensitivity.bootstrap == (1, 1)
    assert outcome.sensitivity.wilson.low == pytest.approx(0.8389, abs=1e-4)


def test_what_is_undefined_is_nan() -> None:
    nobody_sick = outcome_at(0.5, np.array([0.1, 0.9]), np.zeros(2, bool), Bootstrap(np.arange(2), 50))
    assert np.isnan([nobody_sick.sensitivity.value, *nobody_sick.sensitivity.wilson]).all()
    assert np.isnan(nobody_sick.sensitivity.bootstrap).all()
    nobody_ruled_out = outcome_at(0.0, np.array([0.1, 0.9]), np.array([False, True]), Bootstrap(np.arange(2), 50))
    assert np.isnan(nobody_ruled_out.ruled_out_healthy.value)
    assert nobody_ruled_out.ruled_out.value == 0


def test_the_sweep_is_the_outcome_at_every_threshold() -> None:
    labels, (table,) = simulated(120, 1.5, decimals=2)
    p, sick = sick_probability(table, 2), labels != 2
    every = sweep(p, sick)
    bootstrap = Bootstrap(np.arange(120), 2)
    np.testing.assert_array_equal(every.threshold, np.unique(p))
    assert every.missed[0] == 0
    for i in range(0, len(every.threshold), 7):
        outcome = outcome_at(float(every.threshold[i]), p, sick, bootstrap)
        assert every.sensitivity[i] == pytest.approx(outcome.sensitivity.value, abs=1e-12)
        assert every.specificity[i] == pytest.approx(outcome.specificity.value, abs=1e-12)
        assert every.ruled_out[i] == pytest.approx(outcome.ruled_out.value, abs=1e-12)
        assert every.missed[i] == outcome.missed


def test_what_cannot_be_chosen_is_refused() -> None:
    for target in (0.0, -1.0, 1.01, float("nan")):
        with pytest.raises(UsageError, match="above 0 and at most 1"):
            operating_point(np.array([0.5]), np.array([True]), target)
    with pytest.raises(UsageError, match="at least one sick"):
        operating_point(np.array([0.5]), np.array([False]), 0.9)
    with pytest.raises(UsageError, match="3 images were to be resampled; 2 came"):
        outcome_at(0.5, np.array([0.1, 0.2]), np.array([True, False]), Bootstrap(np.arange(3)))
