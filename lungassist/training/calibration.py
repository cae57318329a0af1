"""Temperature scaling: one number that makes probabilities mean what they say (Guo et al. 2017, section 4.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The temperature with the smallest negative log-likelihood.

    Args:
        logits: `(N, K)`, of validation images and of those alone.
        labels: `(N,)` class indices.

    Returns:
        A number in [0.2, 5]; above 1 when the network is too sure of itself.
    """

    def loss(log_temperature: float) -> float:
        scores = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-scores[np.arange(len(labels)), labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.2), np.log(5)), method="bounded").x))
