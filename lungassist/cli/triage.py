"""`python -m lungassist triage`: files, folders and ZIPs in, findings out, one at a time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from lungassist.cli.folders import writable
from lungassist.cli.heatmaps import HeatMapFolder, Picture
from lungassist.cli.output import JsonLines, Output, ResultTable, progress
from lungassist.device import choose_device
from lungassist.errors import UsageError
from lungassist.imaging import Radiograph, iter_studies, to_uint8
from lungassist.models.weights import choose_model
from lungassist.predict import Classifier
from lungassist.settings import Settings
from lungassist.triage import Finding, Refused, Triaged, triage

Result = Triaged[Picture | None] | Refused


def run(arguments: argparse.Namespace) -> int:
    """Triage every study of the paths; returns 0 if all could be used, else 1.

    Raises:
        UsageError: the model, the class, the device or the folder for heat maps will not do; nothing was read yet.
        WeightsError: the model cannot be used.
    """
    settings = _settings(arguments)
    folder = _folder(arguments)
    classifier = _classifier(arguments, settings)
    classes, wanted = classifier.classes, arguments.heatmap_class
    heat_maps = HeatMapFolder(folder, classes, wanted, arguments.colour_map, arguments.method) if folder else None
    second = _second(arguments, settings, classifier)
    results = _results(arguments, settings, classifier, second, arguments.method if heat_maps else None)
    output: Output = JsonLines() if arguments.json else ResultTable()
    # Lines and a bar on one terminal would overwrite each other.
    hidden = arguments.json and sys.stdout.isatty()
    try:
        with closing(results), progress("Triage", partial(_count, arguments, settings), hidden=hidden) as advance:
            clean = _write_all(results, output, heat_maps, advance)
    finally:
        output.close()  # an interrupted batch shows what it has
    return 0 if clean else 1


def _settings(arguments: argparse.Namespace) -> Settings:
    settings = Settings.from_environment()
    return replace(settings, batch_size=arguments.batch_size or settings.batch_size)


def _folder(arguments: argparse.Namespace) -> Path | None:
    if arguments.heatmap_class and not arguments.heatmaps:
        raise UsageError("--heatmap-class says which heat maps to write; say where to by --heatmaps DIR.")
    return writable(arguments.heatmaps) if arguments.heatmaps else None


def _classifier(arguments: argparse.Namespace, settings: Settings) -> Classifier:
    device = choose_device(arguments.device)
    name = choose_model(settings.weights_dir, arguments.model or settings.default_model)
    return Classifier.load(settings.weights_dir / name, device)


def _second(arguments: argparse.Namespace, settings: Settings, first: Classifier) -> Classifier | None:
    wanted = arguments.second or settings.second_model
    if not wanted:
        return None
    name = choose_model(settings.weights_dir, wanted)
    if name == first.card.name:
        if not arguments.second:
            return None  # the installation's second model was asked for as the first
        raise UsageError(f"{name} cannot read after itself. Give another model by --second.")
    second = Classifier.load(settings.weights_dir / name, first.device)
    if second.classes != first.classes:
        raise UsageError(
            f"{name} tells other classes apart than {first.card.name}: {', '.join(second.classes)}. Give a model of "
            "the same classes by --second."
        )
    return second


def _count(arguments: argparse.Namespace, settings: Settings) -> int:
    return sum(1 for _ in iter_studies(arguments.paths, settings))


def _results(
    arguments: argparse.Namespace,
    settings: Settings,
    classifier: Classifier,
    second: Classifier | None,
    explain: str | None,
) -> Generator[Result]:
    studies = iter_studies(arguments.paths, settings)
    keep = _picture if explain else _nothing
    try:
        yield from triage(studies, classifier, settings, explain=explain, keep=keep, second=second)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise UsageError(
            f"The memory does not hold batches of {settings.batch_size}. Try a smaller --batch-size, or --device cpu."
        ) from error


def _picture(radiograph: Radiograph) -> Picture | None:
    return to_uint8(radiograph.pixels)


def _nothing(radiograph: Radiograph) -> Picture | None:
    del radiograph
    return None


def _write_all(
    results: Iterator[Result], output: Output, heat_maps: HeatMapFolder | None, advance: Callable[[], None]
) -> bool:
    """Write the results as they come; True if every study could be used and every heat map written."""
    clean = True
    for result in results:
        if isinstance(result, Refused):
            clean = False
            output.add(result, None)
        else:
            finding, path = _painted(result, heat_maps)
            clean = clean and (heat_maps is None or path is not None)
            output.add(finding, path)
        advance()
    return clean


def _painted(study: Triaged[Picture | None], heat_maps: HeatMapFolder | None) -> tuple[Finding, Path | None]:
    """Write a study's heat map; the finding stands without it, and then says so."""
    if heat_maps is None:
        return study.finding, None
    try:
        return study.finding, heat_maps.write(study)
    except OSError as error:
        warning = f"The heat map could not be written: {error.strerror or error}."
        return replace(study.finding, warnings=(*study.finding.warnings, warning)), None
