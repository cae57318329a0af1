"""`python -m lungassist evaluate`: models asked about a folder of labelled images, a table of predictions each."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from rich.text import Text

from lungassist.cli.counting import Counted, counting
from lungassist.cli.folders import writable
from lungassist.cli.tables import name_cell, new_table, output_console, write_json_line
from lungassist.dataset import DatasetIndex, index_folder
from lungassist.device import choose_device
from lungassist.errors import UsageError
from lungassist.evaluation.evaluate import Evaluation, evaluate, file_stem
from lungassist.evaluation.origin import Assigned, only, splits_for
from lungassist.models.weights import CARD_FILE, choose_model
from lungassist.predict import Classifier
from lungassist.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Evaluate every model; returns 0 if every image could be read, else 1.

    Raises:
        UsageError: a model, the device or a folder will not do, or two models would write one table.
        WeightsError: a model cannot be used.
        DatasetError: the folder, the metadata or the split file cannot be used.
    """
    settings = Settings.from_environment()
    device = choose_device(arguments.device)
    folders = [_folder(name, settings) for name in arguments.model or [None]]
    out = writable(arguments.out)
    models = [Classifier.load(folder, device) for folder in folders]
    _refuse_one_table(models)
    index = index_folder(arguments.data, arguments.metadata)
    with counting(hidden=arguments.json and sys.stdout.isatty()) as tell:
        done = [
            _evaluated(model, folder, index, out, settings, arguments, tell)
            for model, folder in zip(models, folders, strict=True)
        ]
    if arguments.json:
        for evaluation, assigned in done:
            write_json_line({**evaluation.to_json(), "notes": [*index.notes, *assigned.notes]})
    else:
        _write_table(done, index)
    return 1 if any(evaluation.unreadable for evaluation, _ in done) else 0


def _evaluated(
    model: Classifier,
    folder: Path,
    index: DatasetIndex,
    out: Path,
    settings: Settings,
    arguments: argparse.Namespace,
    tell: Counted,
) -> tuple[Evaluation, Assigned]:
    assigned = splits_for(index, folder, arguments.split)
    if arguments.only:
        assigned = only(assigned, tuple(arguments.only))
    options: dict[str, Any] = {"batch_size": arguments.batch_size} if arguments.batch_size else {}
    name = model.card.name

    def named(what: str, done: int, whole: int) -> None:
        tell(f"{name}: {what.lower()}", done, whole)

    try:
        done = evaluate(
            model,
            index,
            assigned.splits,
            out,
            settings,
            lungs=arguments.lungs,
            workers=arguments.workers,
            progress=named,
            **options,
        )
    except torch.OutOfMemoryError as error:
        raise UsageError(
            f"The memory does not hold batches of {arguments.batch_size or 'the usual size'}. Try a smaller "
            "--batch-size, or --device cpu."
        ) from error
    return done, assigned


def _folder(name: str | None, settings: Settings) -> Path:
    """A model of the shelf by name, or any folder with a card, such as a run's `model`."""
    if name is not None and (Path(name) / CARD_FILE).is_file():
        return Path(name)
    return settings.weights_dir / choose_model(settings.weights_dir, name or settings.default_model)


def _refuse_one_table(models: list[Classifier]) -> None:
    stems = [file_stem(model.card.name).lower() for model in models]
    if twice := [model.card.name for model, stem in zip(models, stems, strict=True) if stems.count(stem) > 1]:
        raise UsageError(f"{' and '.join(twice)} would write the same table. Evaluate them into different folders.")


def _write_table(done: list[tuple[Evaluation, Assigned]], index: DatasetIndex) -> None:
    numbers = ("Images", "Unreadable", "Images/s")
    table = new_table("Model", "Version", *numbers, "Table", "Remarks", numbers=numbers)
    for evaluation, assigned in done:
        fresh = evaluation.images - evaluation.resumed
        table.add_row(
            name_cell(evaluation.model),
            evaluation.version,
            f"{evaluation.images:,}",
            f"{len(evaluation.unreadable):,}",
            f"{fresh / evaluation.seconds:.0f}" if fresh and evaluation.seconds else "",
            name_cell(str(evaluation.table)),
            Text(" ".join([*_resumed(evaluation), *assigned.notes])),
        )
    console = output_console()
    console.print(table)
    for note in index.notes:
        console.print(note, soft_wrap=True, markup=False)


def _resumed(evaluation: Evaluation) -> list[str]:
    if not evaluation.resumed:
        return []
    if evaluation.resumed == evaluation.images:
        return ["Was there already."]
    return [f"Went on after {evaluation.resumed:,} images."]
