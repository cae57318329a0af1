"""Starts runs as jobs: first the run's directory, then the job's record, then its process."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lungassist.dataset import index_folder
from lungassist.errors import LungAssistError, TrainingError, UsageError
from lungassist.experiments.folders import chosen_folder
from lungassist.models.card import Card
from lungassist.models.weights import CARD_FILE
from lungassist.settings import Settings
from lungassist.training.baseline_recipe import BaselineConfig
from lungassist.training.config import RunConfig
from lungassist.training.presets import BASELINE, FINETUNE
from lungassist.training.recipe import Recipe
from lungassist.training.run import RunDirectory
from lungassist.training.starting import check_classes, model_folder, start_folders

if TYPE_CHECKING:
    from lungassist.jobs import Job, JobBoard

CPU: Final = "cpu"


def launch(board: JobBoard, config: RunConfig | BaselineConfig, settings: Settings, *, resource: str = CPU) -> Job:
    """Prepare a run's directory and put it into the queue.

    Args:
        board: of the jobs.
        config: what to do. Its folder must lie below the configured roots.
        settings: where runs go.
        resource: what it computes on: `cpu`, `gpu:N`, or several as `gpu:0,gpu:1`, for each of which torchrun starts a
            process. The baseline computes on the CPU whatever is said.

    Raises:
        DatasetError: the folder is outside of the roots, or holds no data set.
        StoreError: the job cannot be recorded; nothing is left behind then.
    """
    folder = chosen_folder(str(config.data), settings)
    index_folder(folder, config.metadata)  # what is wrong with it is said now, not by a run that failed
    kind, what = BASELINE, "logistic regression"
    if isinstance(config, RunConfig):
        kind, what = FINETUNE, config.recipe.architecture
        config = replace(config, device="cpu" if resource == CPU else "cuda")
    run = RunDirectory(_new_folder(config.name, settings))
    run.prepare(config)
    try:
        return board.submit(
            kind=kind,
            title=config.name,
            arguments=_arguments(kind, run.path, resource),
            run_dir=run.path,
            resource=resource if kind == FINETUNE else CPU,
            details={"data": str(folder), "architecture": what},
        )
    except LungAssistError:
        with suppress(OSError):
            shutil.rmtree(run.path)
        raise


def check_start(recipe: Recipe, settings: Settings, classes: tuple[str, ...] | None = None) -> None:
    """Refuse a recipe that starts from what is not there, from another network, or has a teacher that is not there.

    Args:
        recipe: the run's.
        settings: where `weights/` is.
        classes: of the images, where they are known.

    Raises:
        UsageError: there is no such model or checkpoint, or its network is another one, or its classes are others
            where nothing would teach it these; or there is no such teacher.
        WeightsError: its card cannot be read.
    """
    for name in recipe.teachers:
        model_folder(name, settings)
    if recipe.start in ("imagenet", "scratch"):
        return
    for place in start_folders(recipe, settings):
        if not place.is_dir():
            continue
        found = Card.read(place / CARD_FILE)
        if found.architecture != recipe.architecture:
            raise UsageError(
                f"{found.name} is a {found.architecture}, and the recipe asks for {recipe.architecture}. Choose that "
                "network, or start from something else."
            )
        check_classes(recipe, found.name, found.classes, classes or found.classes)


def _arguments(kind: str, run: Path, resource: str) -> tuple[str, ...]:
    command = (f"train.{kind}", "--resume", str(run))
    processes = resource.count(",") + 1
    if kind == BASELINE or processes == 1:
        return command
    return ("torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m", *command)


def _new_folder(name: str, settings: Settings) -> Path:
    """A folder for a run that is not there yet: two people may launch in the same second."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60] or "run"
    number = 1
    while True:
        folder = settings.runs_dir / (f"{stamp}-{plain}" + (f"-{number}" if number > 1 else ""))
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            number += 1
        except OSError as error:
            raise TrainingError(
                f"A run's folder cannot be made in {settings.runs_dir} ({error.strerror or error}). "
                "Make room or give the right to write there, or name another folder by LUNGASSIST_HOME."
            ) from error
        else:
            return folder


def config_of(run: Path) -> RunConfig:
    """What a run was asked to do, to show it or to clone it.

    Raises:
        LungAssistError: there is no run, or it is of another version.
    """
    return RunDirectory(run).config()
