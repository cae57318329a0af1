"""What comes out of a run: calibrated predictions of every image, and the model with its card."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from lungassist.classes import CLASSES, spoken
from lungassist.dataset import SPLITS, split_hash
from lungassist.evaluation.predictions import figures_of, predictions_table, write_predictions
from lungassist.metrics import fit_temperature_of_logits
from lungassist.models.card import Card
from lungassist.models.operating_point import HIGHEST_PROBABILITY
from lungassist.models.registry import build
from lungassist.models.weights import PREDICTIONS_FILE, save_model
from lungassist.training.config import RunConfig
from lungassist.training.failures import StopRequest
from lungassist.training.judge import predict_logits
from lungassist.training.material import Material
from lungassist.training.origins import Origins
from lungassist.training.reporter import Reporter
from lungassist.training.run import RunDirectory, environment
from lungassist.training.state import FitState, placed

log = logging.getLogger(__name__)

_ALWAYS: Final = (
    "Decision support only. It is no medical device and no stand-alone diagnosis.",
    "Trained and tested on images of one collection. High accuracy inside it says little about other hospitals.",
    "Knows frontal views and these classes only; any other finding is forced into one of them.",
)
#: True of the COVID-19 Radiography Database, and told of every set with its four classes: who has another may differ.
_OF_THE_DATABASE: Final = (
    "If this is the COVID-19 Radiography Database: Viral Pneumonia images are all of children, COVID and Lung_Opacity "
    "images of adults, so what looks like a disease may partly be age.",
    "If this is the COVID-19 Radiography Database: COVID images come from other hospitals than the Normal ones, so "
    "what looks like a disease may partly be the scanner.",
)


def evaluate_and_save(
    state: FitState,
    material: Material,
    config: RunConfig,
    run: RunDirectory,
    origins: Origins,
    report: Reporter,
    stop: StopRequest,
) -> Card:
    """Judge the best epoch's weights on every image, once, and write `run.model`.

    Raises:
        CancelledError: somebody asked for it; nothing is lost, since a resumed run comes back here.
    """
    report.say("evaluating", "Predicting every image")
    counted = report.counting("evaluating", "Predicting every image")

    def tell(done: int, total: int) -> None:
        counted(done, total)
        stop.check()

    # What is judged is what is shipped: weights rounded to half precision, computed in single.
    weights = {k: v.half().float() if v.is_floating_point() else v for k, v in state.best_weights.items()}
    model = build(config.recipe.architecture, len(material.classes))
    model.load_state_dict(weights)
    used = material.rows(*SPLITS)
    # Single precision in earnest: a GPU's TF32 would make a table that no other machine reproduces.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        logits = predict_logits(
            placed(model, next(state.model.parameters()).device),
            material.prepared.images,
            replace(config.recipe, precision="float32"),
            rows=torch.from_numpy(used),
            progress=tell,
        )
    table, temperature = _predictions(material, used, logits.numpy().astype(np.float64))
    write_predictions(run.model / PREDICTIONS_FILE, table)
    return save_model(run.model, weights, _card(state, material, config, origins, table, temperature))


def _predictions(
    material: Material, used: NDArray[np.int64], logits: NDArray[np.float64]
) -> tuple[pd.DataFrame, float]:
    chosen = material.table.iloc[used]
    validation = (chosen["split"] == "validation").to_numpy()
    temperature = fit_temperature_of_logits(logits[validation], material.labels[used][validation])
    return predictions_table(chosen, softmax(logits / temperature, axis=1), material.classes), temperature


def _card(
    state: FitState,
    material: Material,
    config: RunConfig,
    origins: Origins,
    table: pd.DataFrame,
    temperature: float,
) -> Card:
    figures = {split: figures_of(table[table["split"] == split], material.classes) for split in SPLITS}
    return Card(
        name=config.name,
        version="1.0",
        architecture=config.recipe.architecture,
        classes=material.classes,
        preprocessing=config.recipe.preprocessing,
        temperature=temperature,
        operating_point=HIGHEST_PROBABILITY,
        data=data_of(material, table),
        split=split_of(table, config),
        flip_test=config.recipe.flip_test,
        hyper_parameters=config.recipe.to_json(),
        libraries=environment(),
        figures=figures,
        limitations=_limitations(material, figures["test"], origins.images_seen),
        weights_sha256="",
        training={
            "epochs": state.epoch,
            "best_epoch": state.best_epoch,
            "chosen_by": config.recipe.choose_by,
            "seconds": round(sum(epoch.seconds for epoch in state.history), 1),
            "device": next(state.model.parameters()).device.type,
            "images_seen_by_start": dict(origins.images_seen),
            **_began_from(origins),
        },
    )


def _began_from(origins: Origins) -> dict[str, Any]:
    """A card's words on the models that its own was made from, where there are any."""
    models = {key: value for key, value in origins.to_json().items() if key in ("starts", "teachers")}
    return {"origins": models} if origins.starts or origins.teachers else {}


def data_of(material: Material, table: pd.DataFrame) -> dict[str, Any]:
    """A card's words on the images that the table of predictions has."""
    return {
        "folder": material.index.root.name,
        "images": len(table),
        "unreadable": len(material.prepared.unreadable),
        "per_class": table["label"].value_counts().sort_index().to_dict(),
        "content_sha256": material.prepared.content_hash,
    }


def split_of(table: pd.DataFrame, config: RunConfig) -> dict[str, Any]:
    """A card's words on the split."""
    counts = table.groupby(["split", "label"]).size().unstack(fill_value=0)
    ways = {
        "patient": "80/10/10, stratified by class, a patient's images kept together",
        "random": "80/10/10 at random, as in the paper",
    }
    method = f"as in {config.split_file.name}" if config.split_file else ways[config.recipe.split]
    if config.recipe.duplicates_together and not config.split_file:
        method += ", near duplicates kept together"
    return {
        "method": method,
        "seed": config.recipe.split_seed,
        "counts": {split: counts.loc[split].to_dict() for split in SPLITS},
        "sha256": split_hash(table["file"].tolist(), table["split"].tolist()),
    }


def _limitations(material: Material, test: Mapping[str, Any], seen: Mapping[str, int]) -> tuple[str, ...]:
    found = list(_ALWAYS)
    if set(material.classes) == set(CLASSES):
        found += _OF_THE_DATABASE
    recalls = {name: row["recall"] for name, row in test["per_class"].items() if row["recall"] is not None}
    if recalls:
        weakest = min(recalls, key=lambda name: recalls[name])
        found.append(
            f"Weakest at {spoken(weakest)}: {recalls[weakest]:.0%} of its {test['per_class'][weakest]['images']} test "
            "images are found."
        )
    if seen.get("test"):
        found.append(
            f"{seen['test']} of the {test['images']} test images were trained on by a model that this one started or "
            "learnt from, so the test figures are too high."
        )
    return (*found, *material.audit.findings)
