"""Evaluations as jobs: processes really started, stopped in the midst, gone on with; their tables in the comparison."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lungassist.classes import CLASSES
from lungassist.cli.main import main
from lungassist.dataset import index_folder
from lungassist.device import choose_device
from lungassist.errors import DatasetError, JobError, PredictionsError, StoreError
from lungassist.evaluation.evaluate import evaluate
from lungassist.experiments.comparing import find_tables
from lungassist.experiments.evaluation_job import Telling
from lungassist.experiments.evaluation_launch import (
    delete_loose,
    evaluation_jobs,
    launch_evaluation,
    loose_tables,
    results_of,
    tables_in,
    training_jobs,
)
from lungassist.experiments.evaluation_request import EvaluationRequest, request_of
from lungassist.experiments.standing import progress_text
from lungassist.jobs import Job, JobBoard, JobState
from lungassist.predict import Classifier
from lungassist.settings import Settings
from lungassist.training.progress import read_status
from lungassist.training.run import RunDirectory
from tests.drawn import write_films
from tests.experiments.waiting_room import board_of
from tests.jobs.conftest import end_all_of
from tests.tiny import save_tiny_model

#: Seconds. A job is niced, and the machine may be busy with something else.
PATIENCE = 600.0


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A shelf with one tiny model, and a root with a folder of drawn films."""
    save_tiny_model(tmp_path / "weights" / "tiny")
    write_films(tmp_path / "root" / "films", dict.fromkeys(CLASSES, 3))
    given = Settings.from_environment()
    settings = replace(given, data_roots=(tmp_path / "root",), weights_dir=tmp_path / "weights")
    yield settings
    end_all_of(settings)


@pytest.fixture
def board(settings: Settings) -> Iterator[JobBoard]:
    board = JobBoard.open(settings)
    yield board
    board.close()


@pytest.fixture
def waiting(settings: Settings) -> Iterator[JobBoard]:
    """A board on which nothing starts."""
    board = board_of(settings)
    yield board
    board.close()


def request(settings: Settings, **changes: object) -> EvaluationRequest:
    given: dict[str, object] = {"name": "clinic", "models": ("tiny",), "data": settings.data_roots[0] / "films"}
    return EvaluationRequest(**{**given, **changes})  # type: ignore[arg-type]


def until(board: JobBoard, number: int, look: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + PATIENCE
    while not look(job := board.job(number)):
        log = job.log.read_text() if job.log.exists() else ""
        assert time.monotonic() < deadline, f"{job.state}: {job.cause}\n{log}"
        time.sleep(0.03)
    return job


def is_over(job: Job) -> bool:
    return job.state.is_over


def has_begun(job: Job) -> bool:
    status = read_status(job.run_dir)
    assert not is_over(job), job.log.read_text()
    return status is not None and status.state == "evaluating" and bool(status.done)


def test_stopped_in_the_midst_and_gone_on_with_it_makes_the_table_of_one_without_a_break(
    board: JobBoard, settings: Settings, tmp_path: Path
) -> None:
    folder = write_films(tmp_path / "root" / "many", dict.fromkeys(CLASSES, 60))
    job = launch_evaluation(board, request(settings, data=folder, lungs=True), settings)
    until(board, job.id, has_begun)
    board.cancel(job.id)
    stopped = until(board, job.id, is_over)
    assert stopped.state == JobState.CANCELLED
    assert tables_in(job.run_dir, find_tables(settings)) == []
    board.resume(job.id)
    done = until(board, job.id, is_over)
    assert (done.state, done.cause) == (JobState.DONE, "")
    went_on = re.findall(r"Asking tiny: 240 images, (\d+) there already", done.log.read_text())
    assert went_on[0] == "0" and 0 < int(went_on[1]) < 240
    index = index_folder(folder)
    classifier = Classifier.load(settings.weights_dir / "tiny", choose_device("cpu"))
    alone = evaluate(classifier, index, np.full(240, "test"), tmp_path / "alone", settings, lungs=True)
    assert (job.run_dir / "tiny.csv").read_bytes() == alone.table.read_bytes()
    assert tables_in(job.run_dir, find_tables(settings)) == ["tiny (clinic)"]
    assert [(each.model, each.images, each.warning) for each in results_of(job.run_dir)] == [("tiny", 240, "")]


def test_a_failure_says_why_and_is_gone_on_with_once_the_cause_is_gone(board: JobBoard, settings: Settings) -> None:
    weights = settings.weights_dir / "tiny" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1000])
    job = launch_evaluation(board, request(settings), settings)
    failed = until(board, job.id, is_over)
    assert failed.state == JobState.FAILED
    assert "model.safetensors" in failed.cause
    assert failed.cause in failed.log.read_text()
    weights.write_bytes(whole)
    board.resume(job.id)
    assert until(board, job.id, is_over).state == JobState.DONE
    assert (job.run_dir / "tiny.csv").is_file()


def test_the_command_lists_and_deletes_them(
    waiting: JobBoard, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    job = launch_evaluation(waiting, request(settings), settings)
    waiting.cancel(job.id)
    assert main(["jobs", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert (listed["kind"], listed["title"], listed["state"]) == ("evaluate", "clinic: tiny", "cancelled")
    assert main(["jobs", "delete", str(job.id), "--with-run"]) == 0
    assert not job.run_dir.exists()


def test_jobs_are_told_apart_and_the_request_is_kept(waiting: JobBoard, settings: Settings) -> None:
    job = launch_evaluation(waiting, request(settings, lungs=True), settings)
    assert evaluation_jobs(waiting.jobs()) == [job] and training_jobs(waiting.jobs()) == []
    assert request_of(job.run_dir) == request(settings, lungs=True, device="cpu")
    assert job.run_dir == settings.evaluations_dir / "clinic"


def test_what_cannot_be_is_refused_and_leaves_nothing(
    waiting: JobBoard, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DatasetError, match="outside"):
        launch_evaluation(waiting, request(settings, data=tmp_path), settings)
    write_films(tmp_path / "root" / "strange", {"COVID": 2, "Normal": 2})
    shutil.copytree(tmp_path / "root" / "strange" / "COVID", tmp_path / "root" / "strange" / "Asthma")
    with pytest.raises(PredictionsError, match=r"'Asthma' \(2 images\)"):
        launch_evaluation(waiting, request(settings, data=tmp_path / "root" / "strange"), settings)
    shutil.copytree(settings.weights_dir / "tiny", settings.weights_dir / "twin")
    with pytest.raises(PredictionsError, match="tiny and twin would write the same table"):
        launch_evaluation(waiting, request(settings, models=("tiny", "twin")), settings)

    def locked(**_: object) -> None:
        raise StoreError("The database is locked.")

    with monkeypatch.context() as patched:
        patched.setattr(waiting, "submit", locked)
        with pytest.raises(StoreError, match="locked"):
            launch_evaluation(waiting, request(settings), settings)
    assert waiting.jobs() == [] and list(settings.evaluations_dir.iterdir()) == []


def test_the_same_is_not_launched_twice_at_once_but_another_name_gets_its_own_folder(
    waiting: JobBoard, settings: Settings
) -> None:
    first = launch_evaluation(waiting, request(settings), settings)
    with pytest.raises(JobError, match=f"Job {first.id} is evaluating tiny on this folder"):
        launch_evaluation(waiting, request(settings, name="again"), settings)
    second = launch_evaluation(waiting, request(settings, lungs=True), settings)
    assert second.run_dir.name == "clinic-2"
    assert (
        launch_evaluation(
            waiting,
            request(settings, data=settings.data_roots[0] / "films", name="added", metadata=written_metadata(settings)),
            settings,
        ).run_dir.name
        == "added-2"
    )


def written_metadata(settings: Settings) -> Path:
    path = settings.data_roots[0] / "films.csv"
    path.write_text("file,scanner\nCOVID/images/COVID-1.png,X\n")
    return path


def test_a_table_that_no_job_made_is_deleted_with_its_record_and_nothing_else_is(
    waiting: JobBoard, settings: Settings
) -> None:
    folder = settings.evaluations_dir / "by-hand"
    classifier = Classifier.load(settings.weights_dir / "tiny", choose_device("cpu"))
    index = index_folder(settings.data_roots[0] / "films")
    evaluate(classifier, index, np.full(12, "test"), folder, settings)
    (source,) = loose_tables(waiting.jobs(), find_tables(settings))
    delete_loose(source, settings)
    assert find_tables(settings) == () and not (folder / "tiny.json").exists()
    elsewhere = replace(source, path=settings.weights_dir / "tiny" / "model.safetensors")
    with pytest.raises(PredictionsError, match="not removed"):
        delete_loose(elsewhere, settings)
    assert elsewhere.path.exists()


def test_several_models_are_told_of_as_one_way_with_speed_and_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 100.0
    monkeypatch.setattr("lungassist.experiments.evaluation_job.time.monotonic", lambda: moment)
    telling = Telling(RunDirectory(tmp_path), 2, "CPU")
    telling.of_model(1, "beta", "Predicting", 0, 100)
    moment = 102.0
    telling.of_model(1, "beta", "Predicting", 40, 100)
    status = read_status(tmp_path)
    assert status is not None
    assert progress_text(status) == "Asking beta (model 2 of 2) · 140 of 200 · 20 images/s · 3 s left"
