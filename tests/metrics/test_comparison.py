"""McNemar against SciPy and a table computed by hand, Holm against SciPy's cousin and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from lungassist.errors import UsageError
from lungassist.metrics import holm, mcnemar


def test_mcnemar_by_hand() -> None:
    # One model alone right on 1 image, the other on 5: twice the chance of at most 1 head in 6 throws, 2 * 7 / 64.
    a = np.array([1, 0, 0, 0, 0, 0, 1, 1, 0], bool)
    b = np.array([0, 1, 1, 1, 1, 1, 1, 1, 0], bool)
    result = mcnemar(a, b)
    assert (result.only_a, result.only_b) == (1, 5)
    assert result.p == pytest.approx(14 / 64, abs=1e-12)
    assert mcnemar(b, a).p == result.p


def test_mcnemar_is_scipys_binomial_test() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(800) < 0.9, rng.random(800) < 0.85
    result = mcnemar(a, b)
    expected = binomtest(int((a & ~b).sum()), int((a != b).sum())).pvalue
    assert result.p == pytest.approx(expected, abs=1e-12)


def test_models_that_never_differ_are_not_told_apart() -> None:
    same = np.array([True, False, True])
    assert mcnemar(same, same).p == 1


def test_models_on_different_images_are_refused() -> None:
    with pytest.raises(UsageError, match="same images; 3 and 2 came"):
        mcnemar(np.ones(3, bool), np.ones(2, bool))


def test_holm_by_hand() -> None:
    # 0.01 x 4; 0.02 x 3; 0.03 x 2 = 0.06 is not less than the step before; 0.04 x 1 is raised to it.
    np.testing.assert_allclose(holm([0.03, 0.01, 0.04, 0.02]), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1, 1])


def test_holm_leaves_out_what_was_not_compared_and_keeps_the_shape() -> None:
    matrix = np.array([[np.nan, 0.01], [0.04, np.nan]])
    np.testing.assert_allclose(holm(matrix), [[np.nan, 0.02], [0.04, np.nan]])
    assert holm([]).shape == (0,)
