"""A network on images as they come: its logits, and its figures on a labelled set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from lightning.fabric import Fabric
from torch import nn
from torch.nn import functional

from lungassist.flip_test import logits_of
from lungassist.metrics import accuracy, confusion_matrix
from lungassist.preprocess import to_batch
from lungassist.training.pixels import Images, LabelledImages, taken
from lungassist.training.processes import joined, own_slice
from lungassist.training.recipe import Recipe
from lungassist.training.selection import missed


@dataclass(frozen=True, slots=True)
class Verdict:
    """Mean cross-entropy, accuracy in [0, 1], and COVID and Viral Pneumonia called Normal."""

    loss: float
    accuracy: float
    called_normal: int


def judge(
    model: nn.Module, data: LabelledImages, recipe: Recipe, classes: tuple[str, ...], fabric: Fabric | None = None
) -> Verdict:
    """The figures of `model` on `data`, in evaluation mode; several processes share the work."""
    own = own_slice(len(data.labels), fabric) if fabric else slice(0, len(data.labels))
    logits = predict_logits(model, data.images, recipe, rows=torch.arange(own.start, own.stop))
    logits = joined(logits, fabric) if fabric else logits
    labels = data.labels.cpu()
    matrix = confusion_matrix(labels.numpy(), logits.argmax(1).numpy(), len(classes))
    return Verdict(float(functional.cross_entropy(logits, labels)), accuracy(matrix), missed(matrix, classes))


@torch.no_grad()
def predict_logits(
    model: nn.Module,
    images: torch.Tensor | Images,
    recipe: Recipe,
    *,
    rows: torch.Tensor | None = None,
    batch_size: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> torch.Tensor:
    """Logits `(n, K)` float32 on the CPU for prepared images `(N, S, S)` uint8.

    Args:
        model: where it is, it computes.
        images: the images.
        recipe: says how they are prepared, in which precision the network runs, and whether it is also asked about
            their mirror images.
        rows: which of them, `(n,)`; all by default.
        batch_size: images at a time.
        progress: called with (done, all) after every batch.
    """
    model.eval()
    device = next(model.parameters()).device
    chosen = torch.arange(len(images)) if rows is None else rows
    parts = []
    for first in range(0, len(chosen), batch_size):
        batch = to_batch(taken(images, chosen[first : first + batch_size], device), recipe.preprocessing)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            parts.append(logits_of(model, batch, flip_test=recipe.flip_test).cpu())
        if progress:
            progress(min(first + batch_size, len(chosen)), len(chosen))
    return torch.cat(parts)
