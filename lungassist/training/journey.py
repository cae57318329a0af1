"""A model's whole journey: folder, index, split, fit, calibrate, predict, card."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from lungassist.dataset import SPLITS, index_folder, split_hash
from lungassist.device import choose_device
from lungassist.errors import TrainingError, UsageError
from lungassist.evaluation.predictions import figures_of, predictions_table, write_predictions
from lungassist.models.card import Card
from lungassist.models.imagenet import adopt, build_from_imagenet
from lungassist.models.registry import build
from lungassist.models.weights import PREDICTIONS_FILE, load_model, save_model
from lungassist.training.calibration import fit_temperature
from lungassist.training.fit import EpochFigures, FitState, fit, placed, predict_logits, start
from lungassist.training.material import SPLIT_SEED, UNREADABLE, Material, gather
from lungassist.training.recipe import Recipe
from lungassist.training.run import RunDirectory, environment

log = logging.getLogger(__name__)

#: Steps between two notes of progress in the run's status.
_STEPS_A_NOTE: Final = 20

_LIMITATIONS: Final = (
    "Decision support only. It is no medical device and no stand-alone diagnosis.",
    "Trained and tested on images of one collection. High accuracy inside it says little about other hospitals.",
    "Viral Pneumonia images are all of children, COVID and Lung_Opacity images of adults: what looks like a disease "
    "may partly be age.",
    "COVID images come from other hospitals than the Normal ones: what looks like a disease may partly be the scanner.",
    "Knows frontal views and these classes only; any other finding is forced into one of them.",
    "Near-duplicate images across splits were not removed; the test figures may be slightly high for that.",
)


def finetune(
    recipe: Recipe,
    *,
    data: Path,
    metadata: Path | None,
    run_dir: Path,
    name: str,
    resume: bool = False,
    device: str = "auto",
    workers: int = 4,
) -> Card:
    """Train, calibrate and evaluate a network; everything goes into `run_dir`, the result into `run_dir/model`.

    Args:
        recipe: the settings.
        data: folder in the database's layout.
        metadata: CSV with patient ids and sources, or None.
        run_dir: must be new, unless `resume`.
        name: for the card.
        resume: go on from the last checkpoint, exactly.
        device: `auto`, `cpu` or `cuda`.
        workers: threads that read images.

    Returns:
        The card as written.

    Raises:
        LungAssistError: whatever ended the run; the run's status says so too, and the last checkpoint stays.
    """
    run = RunDirectory(run_dir)
    run.claim(recipe, resume=resume)
    with run.recording_failure():
        place = choose_device(device)
        run.set_status("preparing")
        index = index_folder(data, metadata)
        log.info("%d images in %s; read as %s", len(index.table), data, index.taken_for)
        # Before thousands of images are read: weights that are missing are told of at once.
        model = placed(_seeded_start(recipe, len(index.classes)), place)
        material = gather(index, recipe.preprocessing, workers)
        run.begin(recipe, material.table)
        state = _train(model, material, recipe, run)
        run.set_status("evaluating")
        card = _evaluate(state, material, recipe, run, name)
        run.set_status("done", accuracy=card.figures["test"]["accuracy"])
    return card


def _seeded_start(recipe: Recipe, class_count: int) -> nn.Module:
    torch.manual_seed(recipe.seed)
    return starting_model(recipe, class_count)


def starting_model(recipe: Recipe, class_count: int) -> nn.Module:
    """The network before training: random, from ImageNet, or from a folder in `weights/`."""
    if recipe.start == "scratch":
        return build(recipe.architecture, class_count)
    if recipe.start == "imagenet":
        return build_from_imagenet(recipe.architecture, class_count)
    other, card = load_model(Path(recipe.start))
    if card.architecture != recipe.architecture:
        raise UsageError(f"{recipe.start} holds a {card.architecture}; the recipe asks for {recipe.architecture}.")
    return adopt(build(recipe.architecture, class_count), other.state_dict(), recipe.start)


def _train(model: nn.Module, material: Material, recipe: Recipe, run: RunDirectory) -> FitState:
    device = next(model.parameters()).device
    train, validation = material.tensors("train", device), material.tensors("validation", device)
    state = start(model, recipe, len(train.labels))
    history = run.restore(state)

    def tell(step: int, steps: int, loss: float) -> None:
        if step % _STEPS_A_NOTE == 0 or step == steps:
            run.set_status("training", epoch=state.epoch + 1, epochs=recipe.epochs, step=step, steps=steps, loss=loss)

    for figures in fit(state, train, validation, recipe, report=tell):
        history.append(figures)
        run.save(state, history)
        _log_epoch(figures, recipe.epochs)
    return state


def _log_epoch(figures: EpochFigures, epochs: int) -> None:
    log.info(
        "epoch %d of %d: train loss %.4f accuracy %.4f, validation loss %.4f accuracy %.4f, %.0f s",
        figures.epoch,
        epochs,
        figures.train_loss,
        figures.train_accuracy,
        figures.validation_loss,
        figures.validation_accuracy,
        figures.seconds,
    )


def _evaluate(state: FitState, material: Material, recipe: Recipe, run: RunDirectory, name: str) -> Card:
    if not state.best_weights:
        raise TrainingError("The validation loss was not finite in any epoch. Lower the learning rate.")
    # What is judged is what is shipped: weights rounded to half precision, computed in single.
    weights = {k: v.half().float() if v.is_floating_point() else v for k, v in state.best_weights.items()}
    model = build(recipe.architecture, len(material.classes))
    model.load_state_dict(weights)
    logits = _all_logits(placed(model, next(state.model.parameters()).device), material, recipe)
    validation = material.rows("validation")
    temperature = fit_temperature(logits[validation], material.labels[validation])
    table = predictions_table(material.table, softmax(logits / temperature, axis=1), material.classes)
    table = table[table["split"] != UNREADABLE]
    write_predictions(run.model / PREDICTIONS_FILE, table)
    return save_model(run.model, weights, _card(name, recipe, material, table, temperature))


def _all_logits(model: nn.Module, material: Material, recipe: Recipe) -> NDArray[np.float64]:
    exact = replace(recipe, precision="float32")
    return predict_logits(model, torch.from_numpy(material.prepared.images), exact).numpy().astype(np.float64)


def _card(name: str, recipe: Recipe, material: Material, table: pd.DataFrame, temperature: float) -> Card:
    return Card(
        name=name,
        version="1.0",
        architecture=recipe.architecture,
        classes=material.classes,
        preprocessing=recipe.preprocessing,
        temperature=temperature,
        operating_point={"rule": "highest probability"},
        data=_data_of(material, table),
        split=_split_of(table),
        hyper_parameters=recipe.to_json(),
        libraries=environment(),
        figures={split: figures_of(table[table["split"] == split], material.classes) for split in SPLITS},
        limitations=_LIMITATIONS,
        weights_sha256="",
    )


def _data_of(material: Material, table: pd.DataFrame) -> dict[str, Any]:
    return {
        "folder": material.index.root.name,
        "images": len(table),
        "unreadable": len(material.prepared.unreadable),
        "per_class": table["label"].value_counts().sort_index().to_dict(),
        "content_sha256": material.prepared.content_hash,
    }


def _split_of(table: pd.DataFrame) -> dict[str, Any]:
    counts = table.groupby(["split", "label"]).size().unstack(fill_value=0)
    return {
        "method": "80/10/10, stratified by class, a patient's images kept together",
        "seed": SPLIT_SEED,
        "counts": {split: counts.loc[split].to_dict() for split in SPLITS},
        "sha256": split_hash(table["file"].tolist(), table["split"].tolist()),
    }
