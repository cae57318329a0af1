"""Simulated tables of predictions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]

#: COVID, Lung_Opacity, Normal, Viral Pneumonia in the paper's database.
SHARES = (0.171, 0.284, 0.4815, 0.0635)


def simulated(count: int, *skills: float, seed: int = 0, decimals: int = 5) -> tuple[Labels, list[Floats]]:
    """Labels `(N,)`, and for each skill the probabilities `(N, 4)` of a model that knows about as much."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(4, count, p=SHARES)
    shared = rng.normal(size=(count, 4))  # what is hard is hard for all
    tables = []
    for skill in skills:
        logits = shared + rng.normal(size=(count, 4)) + skill * np.eye(4)[labels]
        tables.append(np.round(softmax(1.5 * logits, axis=1), decimals))
    return labels.astype(np.int64), tables
