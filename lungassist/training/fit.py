"""The loop: an epoch is a seeded function of the state before it, so that a run can go on exactly from a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lungassist.errors import TrainingError
from lungassist.models.registry import architecture, parameters_of
from lungassist.preprocess import to_batch
from lungassist.training.augment import augment
from lungassist.training.batch_norm import with_clean_statistics
from lungassist.training.recipe import Recipe

#: Share of the one cycle in which the learning rate rises.
_RISE: Final = 0.2
_SHORTEST_CYCLE: Final = 6


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Prepared images `(N, S, S)` uint8 and class indices `(N,)` int64, on the training device."""

    images: torch.Tensor
    labels: torch.Tensor


@dataclass(slots=True)
class FitState:
    """Everything that the next epoch depends on, besides the data and the recipe."""

    model: nn.Module
    averaged: AveragedModel | None
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    epoch: int = 0
    best_loss: float = math.inf
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def kept(self) -> nn.Module:
        """The network that is evaluated and kept: the average where there is one."""
        return self.averaged.module if self.averaged else self.model

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values for a checkpoint."""
        return {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged else None,
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "epoch": self.epoch,
            "best_loss": self.best_loss,
            "best_weights": self.best_weights,
        }

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Go back to what `state_dict` returned."""
        self.model.load_state_dict(values["model"])
        if self.averaged:
            self.averaged.load_state_dict(values["averaged"])
        self.optimiser.load_state_dict(values["optimiser"])
        self.schedule.load_state_dict(values["schedule"])
        self.epoch, self.best_loss = values["epoch"], values["best_loss"]
        self.best_weights = values["best_weights"]


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """One epoch's figures; losses are mean cross-entropies, seconds are for the whole epoch."""

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float


def start(model: nn.Module, recipe: Recipe, train_images: int) -> FitState:
    """Freeze what the recipe does not train and set up optimiser, schedule and average."""
    model.requires_grad_(False)
    for part in parameters_of(model, architecture(recipe.architecture), recipe.groups):
        part.requires_grad_(True)
    optimiser = _optimiser(model, recipe)
    steps = recipe.epochs * steps_in_epoch(train_images, recipe.batch_size)
    schedule = _schedule(optimiser, recipe, steps)
    averaged = None
    if recipe.averaging:
        # Buffers too: batch norm's statistics must belong to the averaged weights.
        average = get_ema_multi_avg_fn(recipe.averaging)  # type: ignore[no-untyped-call]
        averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    return FitState(model, averaged, optimiser, schedule)


def placed(model: nn.Module, device: torch.device) -> nn.Module:
    """Put `model` on its device, channels last: convolutions are faster so."""
    moved: nn.Module = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def steps_in_epoch(images: int, batch_size: int) -> int:
    """Batches in an epoch; a last batch of a single image is dropped, since batch norm cannot use it."""
    return images // batch_size + (images % batch_size > 1)


def _optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
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


def _schedule(optimiser: torch.optim.Optimizer, recipe: Recipe, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    if recipe.schedule == "one_cycle":
        # torch divides by the length of the rise less one step, so that exactly one step of rise is an error.
        planned = max(steps, _SHORTEST_CYCLE)
        return torch.optim.lr_scheduler.OneCycleLR(
            optimiser, recipe.learning_rate, total_steps=planned, pct_start=_RISE
        )
    return torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0)


def fit(
    state: FitState,
    train: LabelledImages,
    validation: LabelledImages,
    recipe: Recipe,
    *,
    report: Callable[[int, int, float], None] | None = None,
) -> Iterator[EpochFigures]:
    """Train from `state.epoch` on, yielding after every epoch; a checkpoint taken then resumes exactly.

    Args:
        state: from `start`, possibly restored; changed in place.
        train, validation: the data.
        recipe: the settings.
        report: called after every step with (step, steps of the epoch, loss).

    Raises:
        TrainingError: the loss is not finite.
    """
    while state.epoch < recipe.epochs:
        began = time.monotonic()
        rate = state.optimiser.param_groups[0]["lr"]
        train_loss, train_accuracy = _epoch(state, train, recipe, report)
        judged = with_clean_statistics(state.kept, train.images, recipe)
        loss, right = evaluate(judged, validation, recipe)
        state.epoch += 1
        if loss < state.best_loss:
            state.best_loss = loss
            state.best_weights = {k: v.detach().cpu().clone() for k, v in judged.state_dict().items()}
        seconds = time.monotonic() - began
        yield EpochFigures(state.epoch, train_loss, train_accuracy, loss, right, rate, seconds)


def _epoch(
    state: FitState, train: LabelledImages, recipe: Recipe, report: Callable[[int, int, float], None] | None
) -> tuple[float, float]:
    device = train.images.device
    # Seeded by (seed, epoch): an epoch after a resume draws what it would have drawn without the interruption.
    seed = recipe.seed * 100_003 + state.epoch
    torch.manual_seed(seed)
    generator = torch.Generator(device).manual_seed(seed)
    _set_modes(state.model)
    order = torch.randperm(len(train.labels), generator=generator, device=device)
    steps = steps_in_epoch(len(order), recipe.batch_size)
    losses = torch.zeros(2, device=device)
    for step in range(steps):
        chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        loss, right = _step(state, train.images[chosen], train.labels[chosen], recipe, generator)
        losses += torch.stack([loss * len(chosen), right])
        if report:
            report(step + 1, steps, float(loss))
    seen = min(steps * recipe.batch_size, len(order))
    return float(losses[0] / seen), float(losses[1] / seen)


def _step(
    state: FitState, images: torch.Tensor, labels: torch.Tensor, recipe: Recipe, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    batch = to_batch(augment(images, recipe, generator), recipe.preprocessing)
    with _precision(batch.device, recipe):
        logits = state.model(batch.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
    if not torch.isfinite(loss):
        raise TrainingError(
            f"The loss became {loss.item()} in epoch {state.epoch + 1}. Lower the learning rate "
            f"(now {recipe.learning_rate:g}) or train in float32."
        )
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([p for p in state.model.parameters() if p.requires_grad], 5.0)
    state.optimiser.step()
    state.optimiser.zero_grad(set_to_none=True)
    state.schedule.step()
    if state.averaged:
        state.averaged.update_parameters(state.model)
    return loss.detach(), (logits.argmax(1) == labels).sum().float()


def _set_modes(model: nn.Module) -> None:
    """Training mode, but frozen batch norm keeps its statistics."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.weight is not None and not module.weight.requires_grad:
            module.eval()


def _precision(device: torch.device, recipe: Recipe) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16")


@torch.no_grad()
def evaluate(model: nn.Module, data: LabelledImages, recipe: Recipe) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of `model` on `data`, in evaluation mode."""
    logits = predict_logits(model, data.images, recipe)
    labels = data.labels.to(logits.device)
    loss = functional.cross_entropy(logits, labels)
    return float(loss), float((logits.argmax(1) == labels).float().mean())


@torch.no_grad()
def predict_logits(model: nn.Module, images: torch.Tensor, recipe: Recipe, batch_size: int = 64) -> torch.Tensor:
    """Logits `(N, K)` float32 on the CPU for prepared images `(N, S, S)` uint8."""
    model.eval()
    device = next(model.parameters()).device
    parts = []
    for first in range(0, len(images), batch_size):
        batch = to_batch(images[first : first + batch_size].to(device), recipe.preprocessing)
        with _precision(device, recipe):
            parts.append(model(batch.contiguous(memory_format=torch.channels_last)).float().cpu())
    return torch.cat(parts)
