"""Class weights and frozen parts, against a hand-made table and torch's own words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from lungassist.training.optimisation import class_weights_of
from lungassist.training.recipe import Recipe

LABELS = torch.tensor([0] * 1 + [1] * 4 + [2] * 16 + [3] * 4)
RECIPE = Recipe(architecture="resnet18", start="scratch")


def test_balanced_weights_are_scikit_learns() -> None:
    found = class_weights_of(LABELS, 4, replace(RECIPE, class_weights="balanced"))
    expected = compute_class_weight("balanced", classes=np.arange(4), y=LABELS.numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(("rule", "ratio"), [("none", 1.0), ("sqrt", 2.0), ("balanced", 4.0)])
def test_a_class_with_a_quarter_of_the_images_weighs(rule: str, ratio: float) -> None:
    weights = class_weights_of(LABELS, 4, replace(RECIPE, class_weights=rule))
    assert float(weights[0] / weights[1]) == pytest.approx(ratio)
    assert float(weights[1] / weights[2]) == pytest.approx(ratio)
    assert float(weights[LABELS].mean()) == pytest.approx(1.0)


def test_the_loss_of_a_batch_is_torchs_weighted_mean() -> None:
    """What the loop computes (a sum over the images' weights) is what torch calls the weighted mean."""
    logits = torch.randn(25, 4, generator=torch.Generator().manual_seed(1))
    weights = class_weights_of(LABELS, 4, replace(RECIPE, class_weights="sqrt"))
    total = functional.cross_entropy(logits, LABELS, weights, reduction="sum") / weights[LABELS].sum()
    torch.testing.assert_close(total, functional.cross_entropy(logits, LABELS, weights))
