"""The paper's benchmark: multinomial logistic regression on the grey values of the prepared pixels.

The paper gives its figures (Table 1: 60.84 % in training, 62.24 % in test) and neither its features nor its solver.
Here the features are the prepared image at a small size, every pixel standardised over the training images, and the
solver is scikit-learn's L-BFGS. Index, cache, audit and split are those of fine-tuning, so that both can be compared.
"""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from lungassist.dataset import SPLITS
from lungassist.errors import TrainingError, UsageError
from lungassist.evaluation.predictions import figures_of, predictions_table, write_predictions
from lungassist.files import sha256_of, write_json
from lungassist.metrics import fit_temperature_of_logits
from lungassist.models.weights import PREDICTIONS_FILE
from lungassist.settings import Settings
from lungassist.training.baseline_recipe import KIND, BaselineConfig, BaselineRecipe
from lungassist.training.failures import StopRequest
from lungassist.training.material import Material, gather, indexed
from lungassist.training.outcome import data_of, split_of
from lungassist.training.pixels import Images
from lungassist.training.progress import read_status
from lungassist.training.reporter import Reporter
from lungassist.training.run import RunDirectory, environment

log = logging.getLogger(__name__)

#: In the place of a fine-tuned model's card, with the same keys where they mean the same.
FIGURES_FILE: Final = "figures.json"
#: Iterations between two looks at whether somebody wants the run to end.
_ITERATIONS_A_LOOK: Final = 50
_ROWS: Final = 1024

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Fitted:
    """Logits of all images used, and how the solver came to them."""

    logits: NDArray[np.float64]
    iterations: int
    converged: bool


def baseline_config(run: RunDirectory) -> BaselineConfig:
    """What the run was asked to do.

    Raises:
        UsageError: there is no run of the baseline.
        TrainingError: it cannot be read, or is of another version of LungAssist.
    """
    if not run.config_file.is_file():
        raise UsageError(f"{run.path} holds no run: there is no config.json. Start one with --data and --run-dir.")
    try:
        values = json.loads(run.config_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{run.config_file} cannot be read ({error}). Start the run again.") from error
    return BaselineConfig.from_json(values)


def is_done(run: RunDirectory) -> bool:
    """Whether the run has come to its end and its predictions are there."""
    status = read_status(run.path)
    return status is not None and status.state == "done" and (run.model / FIGURES_FILE).is_file()


def run_baseline(
    run: RunDirectory, *, settings: Settings | None = None, stop: StopRequest | None = None
) -> dict[str, Any]:
    """Fit, calibrate and evaluate as the run's `config.json` asks; everything goes into its directory.

    Args:
        run: prepared.
        settings: where caches are; by default the installation's.
        stop: becomes true when somebody wants the run to end.

    Returns:
        What `figures.json` says.

    Raises:
        LungAssistError: whatever ended the run; its status says so too.
    """
    config, stop = baseline_config(run), stop or StopRequest()
    report = Reporter(run, torch.device("cpu"))
    with run.held(), run.recording_outcome():
        report.say("preparing", "Looking for images")
        whole = config.as_run_config()
        index = indexed(whole)
        counted = report.counting("reading", "Reading images")
        material = gather(whole, index, settings or Settings.from_environment(), progress=counted, stop=stop)
        run.begin(material.table, going_on=False)
        write_json(run.audit, material.audit.to_json())
        began = time.monotonic()
        fitted = _fit(material, config.recipe, report, stop)
        figures = _evaluate_and_save(material, fitted, config, run, time.monotonic() - began)
        run.set_status("done", message="Done")
    return figures


def _fit(material: Material, recipe: BaselineRecipe, report: Reporter, stop: StopRequest) -> _Fitted:
    labels, train = material.labels, material.rows("train")
    features = grey_values(material.prepared.images, train)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation[deviation == 0] = 1.0  # a pixel that is the same in all images, such as a burned-in frame

    def standardised(values: Floats) -> Floats:
        values -= mean
        values /= deviation
        return values

    def look(iterations: int) -> None:
        stop.check()
        report.say("training", "Logistic regression", epoch=1, epochs=1, step=iterations, steps=recipe.iterations)

    look(0)
    model, iterations, converged = fit_regression(standardised(features), labels[train], recipe, look)
    report.say("evaluating", "Predicting every image")
    used = material.rows(*SPLITS)
    parts = [
        model.decision_function(standardised(grey_values(material.prepared.images, used[first : first + _ROWS])))
        for first in range(0, len(used), _ROWS)
    ]
    return _Fitted(_columns(np.concatenate(parts)), iterations, converged)


def grey_values(images: Images, rows: NDArray[np.int64]) -> Floats:
    """The pixels of some prepared images `(N, S, S)`, as features `(n, S * S)` float32 in [0, 255]."""
    count = int(np.prod(images.shape[1:]))
    values = np.empty((len(rows), count), np.float32)
    for first in range(0, len(rows), _ROWS):
        chosen = rows[first : first + _ROWS]
        values[first : first + len(chosen)] = np.asarray(images[chosen]).reshape(len(chosen), count)
    return values


def fit_regression(
    features: Floats, labels: NDArray[np.int64], recipe: BaselineRecipe, look: Callable[[int], None]
) -> tuple[Any, int, bool]:
    """Fit on standardised features.

    The solver is stopped and gone on with every so many iterations, so that a run can be followed and ended.

    Args:
        features: `(N, P)` float32, each column of mean 0 and deviation 1.
        labels: `(N,)` class indices.
        recipe: the settings.
        look: called with the iterations so far; may raise.

    Returns:
        scikit-learn's LogisticRegression, the iterations it took, and whether the solver came to its end.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model, done, converged = LogisticRegression(C=recipe.regularisation, warm_start=True), 0, False
    while done < recipe.iterations and not converged:
        model.max_iter = min(_ITERATIONS_A_LOOK, recipe.iterations - done)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features, labels)
        taken = int(model.n_iter_.max())
        converged = taken < model.max_iter
        done += taken
        look(done)
    return model, done, converged


def _columns(scores: NDArray[Any]) -> NDArray[np.float64]:
    """A logit a class; of two classes scikit-learn gives only how much more the second has than the first."""
    wide = np.column_stack([np.zeros_like(scores), scores]) if scores.ndim == 1 else scores
    return np.asarray(wide, np.float64)


def _evaluate_and_save(
    material: Material, fitted: _Fitted, config: BaselineConfig, run: RunDirectory, seconds: float
) -> dict[str, Any]:
    used = material.rows(*SPLITS)
    chosen, labels = material.table.iloc[used], material.labels[used]
    validation = (chosen["split"] == "validation").to_numpy()
    temperature = fit_temperature_of_logits(fitted.logits[validation], labels[validation])
    table = predictions_table(chosen, softmax(fitted.logits / temperature, axis=1), material.classes)
    write_predictions(run.model / PREDICTIONS_FILE, table)
    figures = _figures(material, fitted, config, table, temperature, seconds)
    figures["predictions_sha256"] = sha256_of(run.model / PREDICTIONS_FILE)
    write_json(run.model / FIGURES_FILE, figures)
    log.info("test accuracy %.4f", figures["figures"]["test"]["accuracy"])
    return figures


def _figures(
    material: Material,
    fitted: _Fitted,
    config: BaselineConfig,
    table: pd.DataFrame,
    temperature: float,
    seconds: float,
) -> dict[str, Any]:
    whole = config.as_run_config()
    return {
        "kind": KIND,
        "name": config.name,
        "classes": list(material.classes),
        "temperature": temperature,
        "data": data_of(material, table),
        "split": split_of(table, whole),
        "hyper_parameters": config.recipe.to_json(),
        "libraries": environment(),
        "figures": {split: figures_of(table[table["split"] == split], material.classes) for split in SPLITS},
        "limitations": list(material.audit.findings),
        "training": {
            "iterations": fitted.iterations,
            "converged": fitted.converged,
            "seconds": round(seconds, 1),
            "device": "cpu",
        },
    }
