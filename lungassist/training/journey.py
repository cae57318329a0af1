"""A model's whole journey: folder, index, split, fit, calibrate, predict, card."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from lungassist.dataset import (
    SPLITS,
    DatasetIndex,
    PreparedImages,
    index_folder,
    prepare_all,
    split_by_patient,
    split_hash,
)
from lungassist.errors import LungAssistError, TrainingError, UsageError
from lungassist.evaluation.predictions import figures_of, predictions_table, write_predictions
from lungassist.models.card import Card
from lungassist.models.imagenet import adopt, build_from_imagenet
from lungassist.models.registry import build
from lungassist.models.weights import PREDICTIONS_FILE, load_model, save_model
from lungassist.settings import Settings
from lungassist.training.calibration import fit_temperature
from lungassist.training.fit import EpochFigures, FitState, LabelledImages, fit, predict_logits, start
from lungassist.training.recipe import Recipe
from lungassist.training.run import RunDirectory, environment

log = logging.getLogger(__name__)

_LIMITATIONS = (
    "Decision support only. It is no medical device and no stand-alone diagnosis.",
    "Trained and tested on images of one collection. High accuracy inside it says little about other hospitals.",
    "Viral Pneumonia images are all of children, COVID and Lung_Opacity images of adults: what looks like a disease "
    "may partly be age.",
    "COVID images come from other hospitals than the Normal ones: what looks like a disease may partly be the scanner.",
    "Knows frontal views and these classes only; any other finding is forced into one of them.",
    "Near-duplicate images across splits were not removed; the test figures may be slightly high for that.",
)


@dataclass(frozen=True, slots=True)
class _Data:
    index: DatasetIndex
    prepared: PreparedImages
    table: pd.DataFrame
    classes: tuple[str, ...]

    def tensors(self, split: str, device: torch.device) -> LabelledImages:
        chosen = (self.table["split"] == split).to_numpy()
        labels = self.table["label"].map({name: i for i, name in enumerate(self.classes)}).to_numpy(np.int64)
        return LabelledImages(
            torch.from_numpy(self.prepared.images[chosen]).to(device),
            torch.from_numpy(labels[chosen]).to(device),
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
    if run.recipe.exists() and not resume:
        raise UsageError(f"{run_dir} holds a run already. Choose another folder, or go on with it by --resume.")
    try:
        return _finetune(recipe, run, data, metadata, name, choose_device(device), workers)
    except LungAssistError as error:
        run.set_status("failed", cause=str(error))
        raise
    except (torch.OutOfMemoryError, OSError) as error:
        run.set_status("failed", cause=str(error))
        raise TrainingError(f"The run stopped: {error}. The last checkpoint is in {run_dir}.") from error


def choose_device(wanted: str) -> torch.device:
    """Turn `auto`, `cpu` or `cuda` into a device that is there.

    Raises:
        UsageError: a GPU was asked for and there is none, or the word is unknown.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted not in ("cpu", "cuda"):
        raise UsageError(f"The device must be auto, cpu or cuda, not {wanted!r}.")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("The device cuda was asked for, but torch finds no GPU here. Use cpu or auto.")
    return torch.device(wanted)


def _finetune(
    recipe: Recipe,
    run: RunDirectory,
    data: Path,
    metadata: Path | None,
    name: str,
    device: torch.device,
    workers: int,
) -> Card:
    run.set_status("preparing")
    loaded = _load(data, metadata, recipe, workers)
    run.begin(recipe, loaded.table)
    torch.manual_seed(recipe.seed)
    train = loaded.tensors("train", device)
    model = starting_model(recipe, len(loaded.classes)).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = start(model, recipe, len(train.labels))
    history = run.restore(state)
    _train(state, history, train, loaded.tensors("validation", device), recipe, run)
    run.set_status("evaluating")
    card = _evaluate(state, loaded, recipe, run, name)
    run.set_status("done", accuracy=card.figures["test"]["accuracy"])
    return card


def _load(data: Path, metadata: Path | None, recipe: Recipe, workers: int) -> _Data:
    index = index_folder(data, metadata)
    log.info("%d images in %s; read as %s", len(index.table), data, index.taken_for)

    def tell(done: int, total: int) -> None:
        if done % 1024 == 0 or done == total:
            log.info("prepared %d of %d images", done, total)

    prepared = prepare_all(index, recipe.preprocessing, Settings.from_environment(), workers=workers, progress=tell)
    for file, reason in prepared.unreadable.items():
        log.warning("left out %s: %s", file, reason)
    table = index.table
    split = np.full(len(table), "unreadable", dtype=object)
    usable = table[prepared.readable]
    split[prepared.readable] = split_by_patient(usable["label"].tolist(), usable["patient_id"].tolist(), seed=1)
    return _Data(index, prepared, table.assign(split=split), index.classes)


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


def _train(
    state: FitState,
    history: list[EpochFigures],
    train: LabelledImages,
    validation: LabelledImages,
    recipe: Recipe,
    run: RunDirectory,
) -> None:
    def tell(step: int, steps: int, loss: float) -> None:
        if step % 20 == 0 or step == steps:
            run.set_status("training", epoch=state.epoch + 1, epochs=recipe.epochs, step=step, steps=steps, loss=loss)

    for figures in fit(state, train, validation, recipe, report=tell):
        history.append(figures)
        run.save(state, history)
        log.info(
            "epoch %d of %d: train loss %.4f accuracy %.4f, validation loss %.4f accuracy %.4f, %.0f s",
            figures.epoch,
            recipe.epochs,
            figures.train_loss,
            figures.train_accuracy,
            figures.validation_loss,
            figures.validation_accuracy,
            figures.seconds,
        )


def _evaluate(state: FitState, data: _Data, recipe: Recipe, run: RunDirectory, name: str) -> Card:
    # What is judged is what is shipped: weights rounded to half precision, computed in single.
    weights = {k: v.half().float() if v.is_floating_point() else v for k, v in state.best_weights.items()}
    model = build(recipe.architecture, len(data.classes))
    model.load_state_dict(weights)
    device = next(state.model.parameters()).device
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    logits = _all_logits(model, data, recipe)
    validation = (data.table["split"] == "validation").to_numpy()
    labels = data.table["label"].map({n: i for i, n in enumerate(data.classes)}).to_numpy(np.int64)
    temperature = fit_temperature(logits[validation], labels[validation])
    table = predictions_table(data.table, softmax(logits / temperature, axis=1), data.classes)
    table = table[table["split"] != "unreadable"]
    write_predictions(run.model / PREDICTIONS_FILE, table)
    card = _card(name, recipe, data, table, temperature)
    return save_model(run.model, weights, card)


def _all_logits(model: nn.Module, data: _Data, recipe: Recipe) -> NDArray[np.float64]:
    exact = Recipe.from_json({**recipe.to_json(), "precision": "float32"})
    logits = predict_logits(model, torch.from_numpy(data.prepared.images), exact)
    return logits.numpy().astype(np.float64)


def _card(name: str, recipe: Recipe, data: _Data, table: pd.DataFrame, temperature: float) -> Card:
    counts = table.groupby(["split", "label"]).size().unstack(fill_value=0)
    return Card(
        name=name,
        version="1.0",
        architecture=recipe.architecture,
        classes=data.classes,
        preprocessing=recipe.preprocessing,
        temperature=temperature,
        operating_point={"rule": "highest probability", "default": False},
        data={
            "folder": data.index.root.name,
            "images": len(table),
            "unreadable": len(data.prepared.unreadable),
            "per_class": table["label"].value_counts().sort_index().to_dict(),
            "content_sha256": data.prepared.content_hash,
        },
        split={
            "method": "80/10/10, stratified by class, a patient's images kept together",
            "seed": 1,
            "counts": {split: counts.loc[split].to_dict() for split in SPLITS},
            "sha256": split_hash(table["file"].tolist(), table["split"].tolist()),
        },
        hyper_parameters=recipe.to_json(),
        libraries=environment(),
        figures={split: figures_of(table[table["split"] == split], data.classes) for split in SPLITS},
        limitations=_LIMITATIONS,
        weights_sha256="",
    )
