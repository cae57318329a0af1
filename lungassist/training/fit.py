"""The loop: a step is a seeded function of the state before it, so that a run can go on exactly from any step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import torch
from lightning.fabric import Fabric
from torch import nn
from torch.nn import functional

from lungassist.errors import TrainingError
from lungassist.training import selection
from lungassist.training.augment import augment_batch
from lungassist.training.batch_norm import with_clean_statistics, with_training_statistics
from lungassist.training.judge import judge
from lungassist.training.optimisation import class_weights_of
from lungassist.training.pixels import LabelledImages
from lungassist.training.processes import added_up, launch, own_slice
from lungassist.training.recipe import Recipe
from lungassist.training.state import EpochFigures, FitState
from lungassist.training.steps import steps_in_epoch
from lungassist.training.surroundings import Surroundings
from lungassist.training.teachers import Teachers

#: On a GPU a look at the loss waits for all that was queued, so it is looked at only so often.
_STEPS_A_LOOK: Final = 10
_LARGEST_GRADIENT: Final = 5.0

#: Called after every step with the steps done, the steps of the epoch, and the loss (which may still be computing).
Report = Callable[[int, int, torch.Tensor], None]


def fit(
    state: FitState,
    train: LabelledImages,
    validation: LabelledImages,
    recipe: Recipe,
    *,
    classes: tuple[str, ...] = (),
    fabric: Fabric | None = None,
    report: Report | None = None,
    teachers: Teachers | None = None,
    surroundings: Surroundings | None = None,
) -> Iterator[EpochFigures]:
    """Train from where `state` is, yielding after every epoch; a checkpoint taken at any step resumes exactly.

    With 0 epochs nothing is yielded; what is kept is the start, its batch norm measured.

    Args:
        state: from `start`, possibly restored; changed in place.
        train, validation: the data; `train` not enhanced where the recipe says `enhance_changed`.
        recipe: the settings.
        classes: names of the classes, for the paper's rule; without them it counts nothing as called Normal.
        fabric: as given to `start`.
        report: called after every step, when a checkpoint may be taken.
        teachers: the recipe's, on the network's device.
        surroundings: of `train`, where the recipe exchanges them.

    Raises:
        TrainingError: the loss is not finite.
    """
    fabric = fabric or launch(next(state.model.parameters()).device, recipe.precision)
    names = classes or tuple(str(i) for i in range(int(train.labels.max()) + 1))
    if _holds_statistics(recipe) and not state.epoch and not state.step:
        _hold_statistics(state, train, recipe, surroundings)
    if not recipe.epochs:
        state.best_weights = _copied(_as_read(state, train, recipe))
    while state.epoch < recipe.epochs and not _is_stale(state, recipe):
        began, before = time.monotonic(), state.seconds
        if not state.step:
            state.learning_rate = float(state.optimiser.param_groups[0]["lr"])
        _epoch(state, train, recipe, fabric, len(names), report, teachers, surroundings)
        trained = time.monotonic() - began + before
        judged = _as_read(state, train, recipe)
        verdict = judge(judged, validation, recipe, names, fabric)
        train_loss, train_accuracy, seen = _totals(state, fabric)
        figures = EpochFigures(
            epoch=state.epoch + 1,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            validation_loss=verdict.loss,
            validation_accuracy=verdict.accuracy,
            contagious_called_normal=verdict.called_normal,
            learning_rate=state.learning_rate,
            seconds=time.monotonic() - began + before,
            images_per_second=seen / max(trained, 1e-9),
        )
        _finish(state, figures, judged, recipe)
        yield figures


def _holds_statistics(recipe: Recipe) -> bool:
    return recipe.batch_norm == "held"


def _hold_statistics(state: FitState, train: LabelledImages, recipe: Recipe, surroundings: Surroundings | None) -> None:
    statistics = with_training_statistics(state.kept, train.images, recipe, surroundings).state_dict()
    state.model.load_state_dict(statistics)
    if state.averaged:
        state.averaged.module.load_state_dict(statistics)


def _as_read(state: FitState, train: LabelledImages, recipe: Recipe) -> nn.Module:
    """The network as a reader would get it."""
    if _holds_statistics(recipe):
        return state.kept.eval()  # other statistics than those that it was trained with would make it another one
    return with_clean_statistics(state.kept, train.images, recipe)


def _totals(state: FitState, fabric: Fabric) -> tuple[float, float, int]:
    """Training loss, training accuracy and images of the epoch, over all processes."""
    loss, weight, right, seen = added_up(state.totals, fabric).tolist()
    return loss / weight, right / seen, int(seen)


def _finish(state: FitState, figures: EpochFigures, judged: nn.Module, recipe: Recipe) -> None:
    state.epoch, state.step, state.seconds = figures.epoch, 0, 0.0
    state.totals.zero_()
    state.history.append(figures)
    called_normal, accuracy = figures.contagious_called_normal, figures.validation_accuracy
    place = selection.rank(
        recipe.choose_by, called_normal=called_normal, accuracy=accuracy, loss=figures.validation_loss
    )
    if math.isfinite(figures.validation_loss) and place < state.best_rank:
        state.best_epoch, state.best_rank = state.epoch, place
        state.best_weights = _copied(judged)


def _copied(model: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}


def _is_stale(state: FitState, recipe: Recipe) -> bool:
    return bool(recipe.patience and state.epoch - state.best_epoch >= recipe.patience)


def _epoch(
    state: FitState,
    train: LabelledImages,
    recipe: Recipe,
    fabric: Fabric,
    classes: int,
    report: Report | None,
    teachers: Teachers | None,
    surroundings: Surroundings | None,
) -> None:
    device = next(state.model.parameters()).device
    began, before = time.monotonic(), state.seconds
    order = torch.randperm(len(train.labels), generator=torch.Generator().manual_seed(_seed(recipe, state.epoch, -1)))
    weights = class_weights_of(train.labels, classes, recipe).to(device)
    steps = steps_in_epoch(len(order), recipe.batch_size, fabric.world_size)
    generator = torch.Generator(device)
    buffer = _buffer(min(recipe.batch_size, len(order)), recipe.size, device)
    _set_modes(state.model, recipe)
    while state.step < steps:
        batch = order[state.step * recipe.batch_size : (state.step + 1) * recipe.batch_size]
        # By epoch and step: one after a resume draws what it would have drawn without the interruption.
        seed = _seed(recipe, state.epoch, state.step)
        torch.manual_seed(seed + fabric.global_rank)
        generator.manual_seed(seed)
        loss = _step(state, train, batch, recipe, fabric, weights, generator, buffer, teachers, surroundings)
        state.step += 1
        state.seconds = before + time.monotonic() - began
        if device.type == "cpu" or state.step % _STEPS_A_LOOK == 0 or state.step == steps:
            _refuse_no_number(loss, state, recipe)
        if report:
            report(state.step, steps, loss)


def _buffer(images: int, side: int, device: torch.device) -> torch.Tensor | None:
    """On the CPU, room for a batch that every step fills again; fresh room would cost as much as filling it."""
    if device.type != "cpu":
        return None
    return torch.empty(images, 3, side, side).to(memory_format=torch.channels_last)


def _seed(recipe: Recipe, epoch: int, step: int) -> int:
    return ((recipe.seed * 1_000_003 + epoch) * 1_000_003 + step + 1) % 2**62


def _step(
    state: FitState,
    train: LabelledImages,
    chosen: torch.Tensor,
    recipe: Recipe,
    fabric: Fabric,
    weights: torch.Tensor,
    generator: torch.Generator,
    buffer: torch.Tensor | None,
    teachers: Teachers | None,
    surroundings: Surroundings | None,
) -> torch.Tensor:
    own = own_slice(len(chosen), fabric)
    as_they_are, labels = train.taken(chosen[own], weights.device)
    images = as_they_are
    if surroundings:
        images = surroundings.exchanged(images, chosen, generator.initial_seed(), first=own.start)
    whole = weights[train.labels[chosen.to(train.labels.device)].to(weights.device)].sum()
    out = None if buffer is None else buffer[: len(images)]
    batch = augment_batch(images, recipe, generator, first=own.start, whole=len(chosen), out=out)
    batch = batch.contiguous(memory_format=torch.channels_last)
    logits = state.wrapped(batch).float()
    for_teachers, raw = batch, None

    def seen_by_teachers(recipe: Recipe) -> torch.Tensor:
        # Seeded anew, the same changes are drawn.
        generator.manual_seed(generator.initial_seed())
        view = augment_batch(as_they_are, recipe, generator, first=own.start, whole=len(chosen), processed=False)
        return view.contiguous(memory_format=torch.channels_last)

    if teachers and (images is not as_they_are or recipe.processing):
        # A teacher that leans on the surroundings would teach to follow those of another image, and one that never saw
        # other processing to take it for disease.
        for_teachers = seen_by_teachers(recipe)
    if teachers and teachers.want_raw:
        raw = seen_by_teachers(replace(recipe, enhancement="none", enhance_changed=False))
    loss = _loss(logits, labels, weights, recipe, teachers, for_teachers, raw)
    # DDP takes the mean over processes of gradients; the loss is the sum over processes.
    fabric.backward(loss / whole * fabric.world_size)
    nn.utils.clip_grad_norm_([p for p in state.model.parameters() if p.requires_grad], _LARGEST_GRADIENT)
    state.optimiser.step()
    state.optimiser.zero_grad(set_to_none=True)
    state.schedule.step()
    if state.averaged:
        state.averaged.update_parameters(state.model)
    right = (logits.detach().argmax(1) == labels).sum()
    weight = weights[labels].sum()
    state.totals += torch.stack([loss.detach(), weight, right.float(), torch.full_like(weight, len(labels))])
    return loss.detach() / weight


def _loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor,
    recipe: Recipe,
    teachers: Teachers | None,
    for_teachers: torch.Tensor,
    raw: torch.Tensor | None,
) -> torch.Tensor:
    """Summed over the images, each with its class's weight."""
    smoothing = recipe.label_smoothing
    if teachers is None:
        return functional.cross_entropy(logits, labels, weights, label_smoothing=smoothing, reduction="sum")
    losses = functional.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
    return (teachers.blended(losses, logits, for_teachers, raw) * weights[labels]).sum()


def _refuse_no_number(loss: torch.Tensor, state: FitState, recipe: Recipe) -> None:
    if not torch.isfinite(loss):
        raise TrainingError(
            f"The loss became {loss.item()} in epoch {state.epoch + 1}. Lower the learning rate "
            f"(now {recipe.learning_rate:g}) or train in float32."
        )


def _set_modes(model: nn.Module, recipe: Recipe) -> None:
    """Training mode, but held or frozen batch norm keeps its statistics."""
    model.train()
    held = _holds_statistics(recipe)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and (
            held or (module.weight is not None and not module.weight.requires_grad)
        ):
            module.eval()
