"""Flip test: a network is asked about an image and its mirror image, and the mean of both is the answer.

The commonest test-time augmentation (Krizhevsky et al. 2012 average over mirrored crops). A network that was trained
with mirrored images answers almost the same twice, and where the two differ, their mean errs less. An image and its
mirror image then get the same answer, and their evidence is each other's mirror image. It costs twice the work.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


def logits_of(network: nn.Module, batch: torch.Tensor, *, flip_test: bool) -> torch.Tensor:
    """Logits `(N, K)` float32 of a batch `(N, 3, S, S)`, asked both ways where `flip_test` says so."""
    views = with_mirrored(batch) if flip_test else batch
    logits: torch.Tensor = network(views.contiguous(memory_format=torch.channels_last)).float()
    return mean_of_logits(logits) if flip_test else logits


def with_mirrored(batch: torch.Tensor) -> torch.Tensor:
    """`(2N, ..., S)`: a batch `(N, ..., S)`, and after it every image mirrored left to right."""
    return torch.cat([batch, batch.flip(-1)])


def mean_of_logits(logits: torch.Tensor) -> torch.Tensor:
    """`(N, K)`: of logits `(2N, K)` for a batch of `with_mirrored`, the mean of each image's two."""
    return torch.stack(logits.chunk(2)).mean(0)


def mean_of_maps(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(N, K, h, w)`: of maps `(2N, K, h, w)`, the mean of each image's two, the second turned back."""
    straight, mirrored = np.split(maps, 2)
    return np.asarray((straight + mirrored[..., ::-1]) / np.float32(2), np.float32)
