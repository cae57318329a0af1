"""Optimiser, learning rate and class weights, as a recipe asks for them."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, OneCycleLR

from lungassist.training.recipe import Recipe

#: Share of the one cycle in which the learning rate rises.
_RISE: Final = 0.2
_SHORTEST_CYCLE: Final = 6


def optimiser_of(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser over what is to train."""
    trained = [p for p in model.parameters() if p.requires_grad]
    # Biases and batch norm's scales are not decayed: it would only change what the next layer must undo.
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=0.9, nesterov=True)
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=recipe.learning_rate)


def schedule_of(optimiser: torch.optim.Optimizer, recipe: Recipe, steps: int) -> LRScheduler:
    """The learning rate over all `steps` of the run."""
    if recipe.schedule == "one_cycle":
        # torch divides by the length of the rise less one step, so that exactly one step of rise is an error.
        planned = max(steps, _SHORTEST_CYCLE)
        return OneCycleLR(optimiser, recipe.learning_rate, total_steps=planned, pct_start=_RISE)
    if recipe.schedule == "cosine":
        return CosineAnnealingLR(optimiser, T_max=max(steps, 1))
    return ConstantLR(optimiser, factor=1.0)


def class_weights_of(labels: torch.Tensor, classes: int, recipe: Recipe) -> torch.Tensor:
    """Weight of every class in the loss, `(K,)` float32; the mean over the images is 1.

    Args:
        labels: `(N,)` class indices of the training images.
        classes: K.
        recipe: `class_weights` is none, balanced (inverse frequency) or sqrt (its root).
    """
    power = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}[recipe.class_weights]
    counts = torch.bincount(labels.cpu(), minlength=classes).float().clamp(min=1)
    weights = (len(labels) / (classes * counts)) ** power
    return weights * (len(labels) / (weights * counts).sum())
