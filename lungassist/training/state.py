"""What a run is made of between two steps, and how it begins."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lungassist.models.registry import architecture, parameters_of
from lungassist.training import selection
from lungassist.training.optimisation import optimiser_of, schedule_of
from lungassist.training.processes import launch, share_batch_norm
from lungassist.training.recipe import Recipe
from lungassist.training.steps import steps_in_epoch


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """One epoch's figures.

    Losses are mean cross-entropies; `contagious_called_normal` counts validation images; the rate is the training's,
    seconds are for the whole epoch.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    contagious_called_normal: int
    learning_rate: float
    seconds: float
    images_per_second: float


@dataclass(slots=True)
class FitState:
    """Everything that the next step depends on, besides the data and the recipe.

    Attributes:
        model: what trains; `wrapped` is the same behind Fabric's precision and DDP.
        averaged: the moving average of its weights, or None.
        epoch, step: finished ones; steps of the epoch that is under way.
        totals: sums over the epoch under way: loss times weight, weight, right, images.
        seconds, learning_rate: spent on the epoch under way; at its beginning.
        best_epoch, best_rank, best_weights: the epoch to keep, 0 before there is one.
        history: the epochs so far.
    """

    model: nn.Module
    wrapped: nn.Module
    averaged: AveragedModel | None
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    totals: torch.Tensor
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    learning_rate: float = 0.0
    best_epoch: int = 0
    best_rank: selection.Rank = selection.WORST
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[EpochFigures] = field(default_factory=list)

    @property
    def kept(self) -> nn.Module:
        """The network that is evaluated and kept: the average where there is one."""
        return self.averaged.module if self.averaged else self.model

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values for a checkpoint; the best weights are kept apart."""
        return {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged else None,
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "totals": self.totals.cpu(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "learning_rate": self.learning_rate,
            "best_epoch": self.best_epoch,
            "best_rank": list(self.best_rank),
            "history": [asdict(figures) for figures in self.history],
        }

    def load_state_dict(self, values: dict[str, Any], best_weights: dict[str, torch.Tensor]) -> None:
        """Go back to what `state_dict` returned."""
        self.model.load_state_dict(values["model"])
        if self.averaged:
            self.averaged.load_state_dict(values["averaged"])
        self.optimiser.load_state_dict(values["optimiser"])
        self.schedule.load_state_dict(values["schedule"])
        self.totals.copy_(values["totals"])
        self.epoch, self.step = values["epoch"], values["step"]
        self.seconds, self.learning_rate = values["seconds"], values["learning_rate"]
        self.best_epoch, self.best_rank = values["best_epoch"], tuple(values["best_rank"])
        self.best_weights = best_weights
        self.history = [EpochFigures(**figures) for figures in values["history"]]


def start(model: nn.Module, recipe: Recipe, train_images: int, fabric: Fabric | None = None) -> FitState:
    """Freeze what the recipe does not train and set up optimiser, schedule and average.

    Args:
        model: on its device already where that is not the CPU.
        recipe: the settings.
        train_images: how many there are.
        fabric: from `processes.launch`; by default one process on the model's device.
    """
    device = next(model.parameters()).device
    fabric = fabric or launch(device, recipe.precision)
    model.requires_grad_(False)
    for part in parameters_of(model, architecture(recipe.architecture), recipe.groups):
        part.requires_grad_(True)
    optimiser = optimiser_of(model, recipe)
    steps = recipe.epochs * steps_in_epoch(train_images, recipe.batch_size, fabric.world_size)
    averaged = None
    if recipe.averaging:
        # Buffers too: batch norm's statistics must belong to the averaged weights.
        average = get_ema_multi_avg_fn(recipe.averaging)  # type: ignore[no-untyped-call]
        averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    if fabric.world_size > 1:
        share_batch_norm(model)
    wrapped = fabric.setup_module(model, move_to_device=False)
    schedule = schedule_of(optimiser, recipe, steps)
    return FitState(model, wrapped, averaged, optimiser, schedule, torch.zeros(4, device=device))


def placed(model: nn.Module, device: torch.device) -> nn.Module:
    """Put `model` on its device, channels last: convolutions are faster so."""
    moved: nn.Module = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved
