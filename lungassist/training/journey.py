"""A model's whole journey: folder, index, split, fit, calibrate, predict, card."""

from __future__ import annotations

import logging
import traceback
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from lightning.fabric import Fabric
from torch import nn

from lungassist.dataset import DatasetIndex
from lungassist.device import choose_device
from lungassist.errors import TrainingError
from lungassist.files import write_json
from lungassist.models.card import Card
from lungassist.models.registry import build
from lungassist.settings import Settings
from lungassist.training.checkpoints import Checkpoints
from lungassist.training.config import RunConfig
from lungassist.training.failures import StopRequest, is_out_of_memory
from lungassist.training.fit import fit
from lungassist.training.material import Material, gather, indexed
from lungassist.training.memory import fitting_batch_size
from lungassist.training.origins import Origins, check_content, teacher_folders
from lungassist.training.outcome import evaluate_and_save
from lungassist.training.pixels import placed_images
from lungassist.training.processes import added_up, launch
from lungassist.training.reporter import Curves, Reporter
from lungassist.training.run import RunDirectory
from lungassist.training.starting import images_seen_before, starting_model
from lungassist.training.state import FitState, placed, start
from lungassist.training.steps import averaging_warning, steps_in_epoch
from lungassist.training.surroundings import Surroundings
from lungassist.training.teachers import Teachers

log = logging.getLogger(__name__)

#: Seconds that a last checkpoint may take when somebody wants the run to end.
_PATIENCE: Final = 3.0


@dataclass(frozen=True, slots=True)
class _Work:
    """What every phase of a run needs."""

    config: RunConfig
    run: RunDirectory
    settings: Settings
    fabric: Fabric
    report: Reporter
    checkpoints: Checkpoints
    stop: StopRequest


def finetune(
    run: RunDirectory,
    *,
    settings: Settings | None = None,
    stop: StopRequest | None = None,
    seconds_between_checkpoints: float = 60.0,
) -> Card | None:
    """Train, calibrate and evaluate as the run's `config.json` asks; everything goes into its directory.

    A run that has a checkpoint goes on from it, exactly. Under torchrun all processes call this.

    Args:
        run: prepared.
        settings: where caches and weights are; by default the installation's.
        stop: becomes true when somebody wants the run to end.
        seconds_between_checkpoints: within an epoch; 0: after every step.

    Returns:
        The card of the model in `run.model`; None in all processes but the first.

    Raises:
        LungAssistError: whatever ended the run; its status says so too, and the last checkpoint stays.
    """
    config = run.config()
    fabric = launch(choose_device(config.device), config.recipe.precision)
    report = Reporter(run, fabric.device, enabled=fabric.is_global_zero)
    checkpoints = Checkpoints(run, seconds_between_checkpoints)
    settings, stop = settings or Settings.from_environment(), stop or StopRequest()
    work = _Work(config, run, settings, fabric, report, checkpoints, stop)
    with run.held() if fabric.is_global_zero else nullcontext(), run.recording_outcome():
        return _journey(work)


def _journey(work: _Work) -> Card | None:
    work.report.say("preparing", "Looking for images")
    index = indexed(work.config)
    if work.fabric.is_global_zero:
        work.checkpoints.remove_leftovers()
    recorded = Origins.read(work.run.origins) if work.checkpoints.last.exists() else None
    # Before thousands of images are read: weights that are missing are told of at once.
    folders = teacher_folders(work.config.recipe, work.settings, recorded)
    model = _network(work, index.classes, recorded)
    teachers = Teachers.of(work.config.recipe, index.classes, work.settings, work.fabric.device, folders)
    material, origins = _gathered(work, index, recorded, folders)
    state = _train(placed(model, work.fabric.device), material, work, teachers)
    if not work.fabric.is_global_zero:
        return None
    card = evaluate_and_save(state, material, work.config, work.run, origins, work.report, work.stop)
    work.run.set_status("done", message="Done", epoch=state.epoch, epochs=state.epoch)
    return card


def _network(work: _Work, classes: tuple[str, ...], recorded: Origins | None) -> nn.Module:
    """The network before training; of a run that goes on, one that its checkpoint fills: its start may be gone."""
    if recorded is None:
        return starting_model(work.config.recipe, classes, work.settings)
    return build(work.config.recipe.architecture, len(classes))


def _gathered(
    work: _Work, index: DatasetIndex, recorded: Origins | None, folders: list[Path]
) -> tuple[Material, Origins]:
    recipe, going_on = work.config.recipe, work.checkpoints.last.exists()
    # A run that was begun before origins were recorded keeps its split, however it would be dealt by now.
    dealt = work.run.split if going_on and recorded is None else None
    if not work.fabric.is_global_zero:
        work.fabric.barrier()  # all that it needs is in the cache then
        return gather(work.config, index, work.settings, dealt=dealt), recorded or Origins()
    counted = work.report.counting("reading", "Reading images")
    material = gather(work.config, index, work.settings, progress=counted, stop=work.stop, dealt=dealt)
    origins = recorded
    if origins is None:
        seen = images_seen_before(recipe, material.table, work.settings)
        # What has the names now may not be what the run began with.
        origins = Origins(images_seen=seen)
        if not going_on:
            content = material.prepared.content_hash
            origins = Origins.of(recipe, folders, work.settings, images_seen=seen, content_sha256=content)
    work.run.begin(material.table, going_on=going_on, origins=origins.to_json())
    check_content(recorded, material.prepared.content_hash)
    write_json(work.run.audit, material.audit.to_json())
    work.fabric.barrier()
    return material, origins


def _train(model: nn.Module, material: Material, work: _Work, teachers: Teachers | None) -> FitState:
    recipe = work.config.recipe
    images = len(material.rows("train"))
    if not steps_in_epoch(images, recipe.batch_size, work.fabric.world_size):
        raise TrainingError(f"There are too few training images: {images}. Add images, or take fewer processes.")
    if slow := averaging_warning(recipe, images, processes=work.fabric.world_size):
        log.warning("%s", slow)
    state = start(model, recipe, images, work.fabric)
    if work.checkpoints.restore(state):
        log.info("going on after epoch %d, step %d", state.epoch, state.step)
    under_way = f"Epoch {min(state.epoch + 1, recipe.epochs)} of {recipe.epochs}"
    work.report.say("training", under_way if recipe.epochs else "Nothing to train: measuring batch norm")
    try:
        _fit(state, material, work, teachers)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # they hold what the failed step had computed
        raise TrainingError(_advice(recipe.batch_size, _what_fits(state, work))) from error
    if not state.best_weights:
        raise TrainingError("The validation loss was not finite in any epoch. Lower the learning rate.")
    return state


def _fit(state: FitState, material: Material, work: _Work, teachers: Teachers | None) -> None:
    recipe, first = work.config.recipe, work.fabric.is_global_zero
    train, validation = (placed_images(material.data(split), work.fabric.device) for split in ("train", "validation"))
    surroundings = None
    if state.epoch < max(recipe.epochs, 1):  # a run that was cut short after its last epoch trains no more
        found = work.report.counting("reading", "Finding the lungs")
        surroundings = Surroundings.of(recipe, train, progress=found, stop=work.stop)
    curves = Curves(work.run, enabled=first)

    def after_step(_step: int, steps: int, loss: torch.Tensor) -> None:
        work.report.step(state, recipe, len(train.labels), steps, loss)
        _end_if_asked(state, work)
        if first and work.checkpoints.is_due:
            work.checkpoints.save(state)

    saved = True
    try:
        epochs = fit(
            state,
            train,
            validation,
            recipe,
            classes=material.classes,
            fabric=work.fabric,
            report=after_step,
            teachers=teachers,
            surroundings=surroundings,
        )
        for figures in epochs:
            work.report.epoch(figures, recipe, len(train.labels))
            curves.add(figures)
            saved = first and work.checkpoints.is_affordable
            if saved:
                work.checkpoints.save(state)
        if first and not saved:  # of the last epoch, which patience may have made the last
            work.checkpoints.save(state)
    finally:
        curves.close()


def _end_if_asked(state: FitState, work: _Work) -> None:
    asked = bool(work.stop())
    if work.fabric.world_size > 1:  # all must end at the same step, or one waits for the others for ever
        asked = bool(added_up(torch.tensor(float(asked), device=work.fabric.device), work.fabric) > 0)
    if not asked:
        return
    if work.fabric.is_global_zero and work.checkpoints.took < _PATIENCE:
        work.checkpoints.save(state)
    work.stop.end()


def _what_fits(state: FitState, work: _Work) -> int | None:
    # With several processes the others wait in a step that this one has left.
    return fitting_batch_size(state, work.config.recipe) if work.fabric.world_size == 1 else None


def _advice(batch_size: int, fitting: int | None) -> str:
    found = f"Out of memory at a batch size of {batch_size}."
    if fitting is None:
        return f"{found} Choose a smaller batch size, smaller images or a smaller network."
    if fitting == 0:
        return f"{found} Not even 2 images fit: choose smaller images or a smaller network."
    return f"{found} {fitting} would fit: clone the run with that batch size."
