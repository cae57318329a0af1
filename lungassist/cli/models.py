"""`python -m lungassist models`: what is in `weights/`, whether it can be used, and the last promotion taken back."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.text import Text

from lungassist.classes import COVID, VIRAL_PNEUMONIA
from lungassist.cli.tables import name_cell, new_table, output_console, write_json_line
from lungassist.cli.undone import say_undone
from lungassist.errors import LungAssistError, WeightsError
from lungassist.imaging.wording import megabytes
from lungassist.models.card import Card
from lungassist.models.promotion import undo_promotion
from lungassist.models.weights import ShelfEntry, choose_model, read_shelf, verify
from lungassist.settings import Settings


@dataclass(frozen=True, slots=True)
class Listed:
    """One model as the list shows it; None where the card does not say or cannot be read.

    Attributes:
        name: of the folder, and of the model.
        architecture, version, input_size: from the card; the version with digits of the weights' hash.
        test_accuracy, covid_recall: in [0, 1], on the test split.
        called_normal: test images of COVID and of Viral Pneumonia that the model took for Normal.
        expected_calibration_error: on the test split.
        bytes: of all its files.
        default: the one that `triage` takes.
        verified: the files have the hashes that the card names and, where that was asked, the answers are as recorded.
        probability_drift: how far, at most, probabilities for the phantoms are from those recorded where the model was
            made; None where nothing is recorded or that was not asked.
        problem: why it cannot be used.
    """

    name: str
    architecture: str | None
    version: str | None
    input_size: int | None
    test_accuracy: float | None
    covid_recall: float | None
    called_normal: dict[str, int | None]
    expected_calibration_error: float | None
    bytes: int
    default: bool
    verified: bool
    probability_drift: float | None
    problem: str | None


def run(arguments: argparse.Namespace) -> int:
    """List the models, or take the last promotion back.

    Returns 1 if a model is broken, there is none, or none that triage could start with, else 0.

    Raises:
        UsageError, WeightsError: see `undo_promotion`.
    """
    settings = Settings.from_environment()
    if arguments.undo:
        return say_undone(undo_promotion(settings.weights_dir), as_json=arguments.json)
    entries = read_shelf(settings.weights_dir)
    default, lack = _default(settings)
    models = [_listed(entry, default, answers=arguments.check) for entry in entries]
    if not models:
        sys.stderr.write(f"There is no model in {settings.weights_dir}. Train one with python -m train.finetune.\n")
    elif arguments.json:
        for model in models:
            write_json_line(asdict(model))
    else:
        _write_table(models)
    if models and lack:
        sys.stderr.write(f"{' '.join(lack.split())}\n")
    return 0 if models and not lack and all(model.verified for model in models) else 1


def _default(settings: Settings) -> tuple[str | None, str]:
    """The model that triage starts with, or None and why there is none."""
    try:
        return choose_model(settings.weights_dir, settings.default_model), ""
    except LungAssistError as error:
        return None, str(error)


def _listed(entry: ShelfEntry, default: str | None, *, answers: bool) -> Listed:
    problem, drift = entry.problem, None
    if problem is None:
        try:
            verify(entry.folder)
            drift = _drift(entry) if answers else None
        except (LungAssistError, OSError) as error:
            problem = str(error)
    card = entry.card
    return Listed(
        name=entry.name,
        architecture=card.architecture if card else None,
        version=card.full_version if card else None,
        input_size=card.preprocessing.size if card else None,
        test_accuracy=_figure(card, "accuracy"),
        covid_recall=_figure(card, "per_class", COVID, "recall"),
        called_normal={name: _figure(card, "called_normal", name) for name in (COVID, VIRAL_PNEUMONIA)},
        expected_calibration_error=_figure(card, "expected_calibration_error"),
        bytes=sum(path.stat().st_size for path in entry.folder.iterdir() if path.is_file()),
        default=entry.name == default,
        verified=problem is None,
        probability_drift=drift,
        problem=problem,
    )


def _drift(entry: ShelfEntry) -> float | None:
    from lungassist.golden import drift_of
    from lungassist.predict import Classifier

    drift = drift_of(Classifier.load(entry.folder), entry.folder)
    if drift is not None and not drift.is_none:
        raise WeightsError(
            f"{entry.name} answers otherwise here than where it was made: probabilities are up to "
            f"{drift.probability:.2g} apart, evidence {drift.evidence:.2g}. Do not use it; compare the versions of "
            "torch and torchvision with those of its card."
        )
    return None if drift is None else drift.probability


def _figure(card: Card | None, *keys: str) -> Any:
    """Look a figure of the test split up; a card may lack any of them, or have what is no number."""
    value: Any = card.figures.get("test") if card else None
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, int | float) and abs(value) < math.inf else None


def _write_table(models: list[Listed]) -> None:
    columns = ("Input", "Accuracy", "COVID recall", "COVID as Normal", "VP as Normal", "ECE", "Size")
    table = new_table("Model", "Architecture", "Version", *columns, "Files", numbers=columns)
    for model in models:
        table.add_row(
            name_cell(model.name + (" (default)" if model.default else "")),
            model.architecture or "",
            model.version or "",
            _shown(model.input_size),
            _shown(model.test_accuracy, ".2%"),
            _shown(model.covid_recall, ".2%"),
            _shown(model.called_normal[COVID]),
            _shown(model.called_normal[VIRAL_PNEUMONIA]),
            _shown(model.expected_calibration_error, ".3f"),
            megabytes(model.bytes),
            Text(model.problem or _state(model)),
            style=None if model.verified else "red",
        )
    output_console().print(table)


def _state(model: Listed) -> str:
    return "whole" if model.probability_drift is None else "whole, answers as recorded"


def _shown(value: float | None, form: str = "") -> str:
    return "" if value is None else format(value, form)
