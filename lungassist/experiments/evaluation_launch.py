"""Starts evaluations as jobs, finds them, and says what came of them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lungassist.dataset import index_folder
from lungassist.errors import JobError, LungAssistError, PredictionsError
from lungassist.evaluation.evaluate import file_stem
from lungassist.experiments.comparing import EVALUATION, Source
from lungassist.experiments.evaluation_prospect import prospects
from lungassist.experiments.evaluation_request import EVALUATION_JOB, RESULT_FILE, EvaluationRequest, request_of
from lungassist.experiments.folders import chosen_folder
from lungassist.experiments.standing import ACTIVE
from lungassist.models.card import Card
from lungassist.models.weights import CARD_FILE
from lungassist.settings import Settings
from lungassist.training.run import RunDirectory

if TYPE_CHECKING:
    from lungassist.jobs import Job, JobBoard

CPU: Final = "cpu"

#: What the job runs, with its folder behind.
MODULE: Final = "lungassist.experiments.evaluation_job"

#: Names that a folder of evaluations may not have: tables from elsewhere lie there.
_TAKEN: Final = frozenset({"added"})


@dataclass(frozen=True, slots=True)
class ModelResult:
    """What an evaluation says of one model.

    Attributes:
        model: of the shelf.
        images: rows of its table.
        unreadable: file -> the reason.
        warning: what must be said of training images among them; '' if there are none.
    """

    model: str
    images: int
    unreadable: Mapping[str, str]
    warning: str


def launch_evaluation(board: JobBoard, request: EvaluationRequest, settings: Settings, *, resource: str = CPU) -> Job:
    """Prepare an evaluation's folder below `settings.evaluations_dir`, and put it into the queue.

    Args:
        board: of the jobs.
        request: what to do. Its folder must lie below the configured roots.
        settings: where it goes.
        resource: what it computes on: `cpu` or `gpu:N`.

    Raises:
        DatasetError: the folder is outside of the roots, or holds no data set.
        PredictionsError: a model cannot be evaluated there, or the tables are there already.
        JobError: a job is at just this.
        StoreError: the job cannot be recorded; nothing is left behind then.
    """
    folder = chosen_folder(str(request.data), settings)
    device = "cpu" if resource == CPU else "cuda"
    request = replace(request, data=folder, device=device, name=" ".join(request.name.split()))
    for prospect in prospects(request, index_folder(folder, request.metadata), settings):
        if not prospect.is_open:
            there = f"{prospect.model} is evaluated on this folder already: {prospect.there}."
            raise PredictionsError(prospect.problem or there)
    _refuse_one_table(request, settings)
    _refuse_twins(board, request)
    run = RunDirectory(_new_folder(request.name or folder.name, settings))
    try:
        run.prepare(request)
        return board.submit(
            kind=EVALUATION_JOB,
            title=f"{run.path.name}: {', '.join(request.models)}",
            arguments=(MODULE, str(run.path)),
            run_dir=run.path,
            resource=resource,
            details={"data": str(folder), "models": list(request.models), "lungs": request.lungs},
        )
    except LungAssistError:
        with suppress(OSError):
            shutil.rmtree(run.path)
        raise


def evaluation_jobs(jobs: Sequence[Job]) -> list[Job]:
    """Those of the jobs that are evaluations, in their order."""
    return [job for job in jobs if job.kind == EVALUATION_JOB]


def training_jobs(jobs: Sequence[Job]) -> list[Job]:
    """All others."""
    return [job for job in jobs if job.kind != EVALUATION_JOB]


def results_of(folder: Path) -> tuple[ModelResult, ...]:
    """What came of an evaluation so far, a model at a time."""
    try:
        values: Any = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
        return tuple(ModelResult(**value) for value in values)
    except (OSError, ValueError, TypeError):
        return ()


def tables_in(folder: Path, sources: Sequence[Source]) -> list[str]:
    """Names of the sources that an evaluation made."""
    return [source.name for source in sources if source.kind == EVALUATION and source.path.parent == folder]


def loose_tables(jobs: Sequence[Job], sources: Sequence[Source]) -> list[Source]:
    """Tables of evaluations that no job made: by a command, or by a job that was forgotten."""
    folders = {job.run_dir for job in jobs}
    return [source for source in sources if source.kind == EVALUATION and source.path.parent not in folders]


def delete_loose(source: Source, settings: Settings) -> None:
    """Remove such a table and what lies beside it of it.

    Raises:
        PredictionsError: it is of another kind, lies elsewhere, or the disk refuses.
    """
    inside = settings.evaluations_dir.resolve() in source.path.resolve().parents
    if source.kind != EVALUATION or not inside:
        raise PredictionsError(f"{source.name} is no evaluation of {settings.evaluations_dir}, and is not removed.")
    try:
        for ending in (".json", ".partial", source.path.suffix):
            source.path.with_suffix(ending).unlink(missing_ok=True)
    except OSError as error:
        raise PredictionsError(f"{source.path} cannot be removed: {error.strerror}. Remove it by hand.") from error


def _refuse_one_table(request: EvaluationRequest, settings: Settings) -> None:
    stems: dict[str, str] = {}
    for model in request.models:
        stem = file_stem(Card.read(settings.weights_dir / model / CARD_FILE).name).lower()
        if other := stems.get(stem):
            raise PredictionsError(f"{other} and {model} would write the same table. Evaluate one after the other.")
        stems[stem] = model


def _refuse_twins(board: JobBoard, request: EvaluationRequest) -> None:
    """Two jobs at one thing would make the same tables twice."""
    for job in evaluation_jobs(board.jobs()):
        if job.state.value not in ACTIVE:
            continue
        try:
            other = request_of(job.run_dir)
        except LungAssistError:
            continue  # its folder is gone; it will fail
        same = replace(other, name="", device="", models=()) == replace(request, name="", device="", models=())
        if same and (both := sorted(set(other.models) & set(request.models))):
            raise JobError(f"Job {job.id} is evaluating {both[0]} on this folder. Wait for it, or cancel it.")


def _new_folder(name: str, settings: Settings) -> Path:
    """A folder that is not there yet; its name stands behind the model's wherever the table is shown."""
    plain = re.sub(r"[^\w.+-]+", "-", name).strip("-.")[:60] or "evaluation"
    number = 1 if plain not in _TAKEN else 2
    while True:
        folder = settings.evaluations_dir / (plain if number == 1 else f"{plain}-{number}")
        try:
            settings.evaluations_dir.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            number += 1
        except OSError as error:
            raise PredictionsError(
                f"A folder cannot be made in {settings.evaluations_dir} ({error.strerror or error}). Make room or "
                "give the right to write there, or name another folder by LUNGASSIST_HOME."
            ) from error
        else:
            return folder
