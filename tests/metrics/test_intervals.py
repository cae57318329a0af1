"""Intervals against SciPy and numpy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from lungassist import metrics


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_is_scipys(level: float) -> None:
    pairs = [(0, 10), (10, 10), (3, 7), (1, 1), (81, 263), (2000, 2116)]
    low, high = metrics.wilson([k for k, _ in pairs], [n for _, n in pairs], level)
    for i, (k, n) in enumerate(pairs):
        expected = binomtest(k, n).proportion_ci(level, method="wilson")
        assert (low[i], high[i]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_no_images_no_interval() -> None:
    assert np.isnan(metrics.wilson(0, 0)).all()


def test_percentiles_are_numpys_over_what_is_defined() -> None:
    values = np.random.default_rng(0).normal(size=(501, 3))
    values[:100, 1] = np.nan
    low, high = metrics.percentiles(values)
    np.testing.assert_allclose([low, high], np.nanpercentile(values, [2.5, 97.5], axis=0), atol=1e-12)


def test_a_figure_undefined_in_most_resamples_has_no_interval() -> None:
    values = np.ones((10, 2))
    values[:5, 0] = np.nan
    values[:6, 1] = np.nan
    low, high = metrics.percentiles(values)
    np.testing.assert_array_equal(np.isnan(low), [False, True])
    np.testing.assert_array_equal(np.isnan(high), [False, True])
