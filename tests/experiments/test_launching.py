"""Launching: first the run's directory, then the job's record; and what is refused before anything is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lungassist.classes import CLASSES
from lungassist.errors import DatasetError, StoreError, TrainingError, UsageError, WeightsError
from lungassist.experiments.launching import check_start, config_of, launch
from lungassist.jobs import JobBoard
from lungassist.settings import Settings
from lungassist.training.baseline_recipe import BaselineConfig
from lungassist.training.config import RunConfig
from lungassist.training.recipe import Recipe
from tests.experiments.waiting_room import board_of
from tests.tiny import save_tiny_model

SMALL = Recipe(architecture="mobilenet_v3_small", start="scratch", size=32, epochs=1)


@pytest.fixture
def settings(films: Path, tmp_path: Path) -> Settings:
    return replace(Settings.from_environment(), data_roots=(films.parent,), weights_dir=tmp_path / "weights")


@pytest.fixture
def board(settings: Settings) -> Iterator[JobBoard]:
    board = board_of(settings)
    yield board
    board.close()


def test_the_run_is_prepared_and_the_job_recorded(board: JobBoard, settings: Settings, films: Path) -> None:
    job = launch(board, RunConfig("my run", films, recipe=SMALL), settings)
    assert job.arguments == ("train.finetune", "--resume", str(job.run_dir))
    assert job.run_dir.parent == settings.runs_dir and job.run_dir.name.endswith("-my-run")
    assert (job.title, job.resource, job.state) == ("my run", "cpu", "queued")
    assert config_of(job.run_dir) == RunConfig("my run", films, device="cpu", recipe=SMALL)


def test_two_launches_in_one_second_get_a_folder_each(board: JobBoard, settings: Settings, films: Path) -> None:
    jobs = [launch(board, RunConfig("twin", films, recipe=SMALL), settings) for _ in range(3)]
    assert len({job.run_dir for job in jobs}) == 3


def test_several_gpus_are_run_by_torchrun(board: JobBoard, settings: Settings, films: Path) -> None:
    job = launch(board, RunConfig("both", films, recipe=SMALL), settings, resource="gpu:0,gpu:1")
    assert job.arguments == (
        *("torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "train.finetune", "--resume", str(job.run_dir)),
    )
    assert job.resource == "gpu:0,gpu:1"
    assert config_of(job.run_dir).device == "cuda"


def test_the_baseline_has_its_own_command_and_stays_on_the_cpu(
    board: JobBoard, settings: Settings, films: Path
) -> None:
    job = launch(board, BaselineConfig("plain", films), settings, resource="gpu:0")
    assert (job.kind, job.resource, job.arguments[0]) == ("baseline", "cpu", "train.baseline")


def test_a_folder_outside_of_the_roots_is_refused_and_nothing_left(
    board: JobBoard, settings: Settings, films: Path, tmp_path: Path
) -> None:
    elsewhere = replace(settings, data_roots=(tmp_path / "other",))
    with pytest.raises(DatasetError, match="outside"):
        launch(board, RunConfig("no", films, recipe=SMALL), elsewhere)
    assert not settings.runs_dir.exists()
    assert board.jobs() == []


def test_a_folder_of_one_class_is_refused_at_once(board: JobBoard, settings: Settings, films: Path) -> None:
    with pytest.raises(DatasetError, match="two classes"):
        launch(board, RunConfig("no", films / "COVID", recipe=SMALL), settings)
    assert board.jobs() == []


def test_a_job_that_cannot_be_recorded_leaves_no_run(
    board: JobBoard, settings: Settings, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(**_: object) -> None:
        raise StoreError("The database is locked.")

    monkeypatch.setattr(board, "submit", locked)
    with pytest.raises(StoreError, match="locked"):
        launch(board, RunConfig("no", films, recipe=SMALL), settings)
    assert list(settings.runs_dir.iterdir()) == []


def test_a_runs_folder_that_cannot_be_made_is_said(
    board: JobBoard, settings: Settings, films: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TrainingError, match="LUNGASSIST_HOME"):
        launch(board, RunConfig("no", films, recipe=SMALL), replace(settings, home=tmp_path / "file"))


def test_a_start_is_checked_before_a_run_fails_of_it(settings: Settings) -> None:
    save_tiny_model(settings.weights_dir / "tiny")
    check_start(replace(SMALL, start="tiny"), settings)
    check_start(replace(SMALL, start="imagenet"), settings)
    with pytest.raises(UsageError, match=r"tiny is a mobilenet_v3_small.*resnet18"):
        check_start(replace(SMALL, start="tiny", architecture="resnet18"), settings)
    with pytest.raises(UsageError, match="nothing to start from"):
        check_start(replace(SMALL, start="absent"), settings)
    check_start(replace(SMALL, start="tiny,tiny"), settings)
    with pytest.raises(UsageError, match="nothing to start from at 'absent'"):
        check_start(replace(SMALL, start="tiny,absent"), settings)
    check_start(replace(SMALL, start="scratch", teachers=("tiny",)), settings)
    with pytest.raises(UsageError, match="no model at 'absent'"):
        check_start(replace(SMALL, start="scratch", teachers=("tiny", "absent")), settings)
    check_start(replace(SMALL, start="tiny", epochs=0), settings, CLASSES)
    with pytest.raises(UsageError, match=r"tiny tells COVID, .* apart, the images are of A, B"):
        check_start(replace(SMALL, start="tiny", epochs=0), settings, ("A", "B"))
    check_start(replace(SMALL, start="tiny"), settings, ("A", "B"))
    (settings.weights_dir / "tiny" / "card.json").write_text("{")
    with pytest.raises(WeightsError):
        check_start(replace(SMALL, start="tiny"), settings)
