"""Jobs that are left alone: recorded, run, queued, their ends told in words; resumed and deleted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lungassist.errors import JobError
from lungassist.jobs import JobBoard, JobState, is_held
from lungassist.settings import Settings

from .conftest import Submit, end_all_of
from .waiting import log_of, until, until_state, until_written

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def any_board(settings: Settings, database_url: str) -> Iterator[JobBoard]:
    """A board on each kind of database in turn."""
    board = JobBoard.open(replace(settings, database_url=database_url))
    yield board
    end_all_of(settings)
    board.close()


def test_jobs_run_one_after_the_other_and_are_told_as_they_are(any_board: JobBoard, settings: Settings) -> None:
    details = {"preset": "quick", "recipe": {"epochs": 3}, "data": "/folder/with ü"}
    first, second = (
        any_board.submit(
            kind="finetune",
            title=f"  job\n{name} <b>ü</b>",
            arguments=("tests.jobs.work", str(settings.runs_dir / name), "wait"),
            run_dir=settings.runs_dir / name,
            resource="gpu:0",
            details=details,
        )
        for name in ("a", "b")
    )
    assert (first.kind, first.title, first.details) == ("finetune", "job a <b>ü</b>", details)
    running = until(lambda: (job := any_board.job(first.id)).pid and job)
    assert running.state == JobState.RUNNING
    assert str(running.pid) == until_written(running.run_dir / "pid")
    assert running.started is not None
    assert running.ended is None
    assert abs((datetime.now(UTC) - running.created).total_seconds()) < 3600
    waiting = any_board.job(second.id)
    assert (waiting.state, waiting.position, waiting.pid) == (JobState.QUEUED, 1, None)
    assert [job.id for job in any_board.jobs()] == [second.id, first.id]
    (running.run_dir / "go").touch()
    done = until_state(any_board, first.id, JobState.DONE)
    assert (done.cause, done.pid, done.position) == ("", None, None)
    assert done.ended is not None
    assert log_of(done).startswith("begin ['wait']\nend\n")
    until_written(second.run_dir / "pid")
    (second.run_dir / "go").touch()
    until_state(any_board, second.id, JobState.DONE)


def test_the_queue_goes_on_in_order_and_one_at_a_time_though_nobody_looks(submit: Submit) -> None:
    names = ["c", "a", "d", "b"]
    jobs = [submit("count", name=name) for name in names]
    order = jobs[0].run_dir.parent / "order"
    until(lambda: order.exists() and order.read_text().split() == names)


def test_what_needs_different_things_runs_at_once_and_nobody_overtakes(submit: Submit, board: JobBoard) -> None:
    zero, cpu = submit("wait", resource="gpu:0"), submit("wait", resource="cpu")
    both = submit("wait", resource="gpu:1,gpu:0")
    one = submit("wait", resource="gpu:1")
    for job in (zero, cpu):
        until_state(board, job.id, JobState.RUNNING)
    # GPU 1 is free, but whoever came first wants it together with GPU 0.
    assert [board.job(job.id).state for job in (both, one)] == [JobState.QUEUED] * 2
    assert [board.job(job.id).position for job in (both, one)] == [1, 2]
    (zero.run_dir / "go").touch()
    until_state(board, both.id, JobState.RUNNING)
    assert board.job(one.id).state == JobState.QUEUED
    (both.run_dir / "go").touch()
    until_state(board, one.id, JobState.RUNNING)


def test_others_can_see_that_a_gpu_is_taken(submit: Submit, board: JobBoard, settings: Settings) -> None:
    assert not is_held("gpu:0", settings)
    job = submit("wait", resource="gpu:0")
    until_state(board, job.id, JobState.RUNNING)
    assert is_held("gpu:0", settings)
    assert not is_held("gpu:1", settings)
    (job.run_dir / "go").touch()
    until_state(board, job.id, JobState.DONE)
    until(lambda: not is_held("gpu:0", settings))


def test_what_a_job_finds_around_it(submit: Submit, board: JobBoard, settings: Settings) -> None:
    def found(resource: str) -> dict[str, object]:
        job = submit("surroundings", resource=resource)
        until_state(board, job.id, JobState.DONE)
        values: dict[str, object] = json.loads((job.run_dir / "surroundings").read_text())
        assert values["environment"]["LUNGASSIST_JOB"] == str(job.id)  # type: ignore[index]
        return values

    cpu, gpu = found("cpu"), found("gpu:1,gpu:3")
    assert (cpu["nice"], gpu["nice"]) == (10, os.getpriority(os.PRIO_PROCESS, 0))
    if isinstance(cpu["autogroup"], str):
        assert cpu["autogroup"].endswith("nice 10\n")
    assert cpu["folder"] == str(ROOT)
    assert cpu["session"] != os.getsid(0)
    assert cpu["blocked"] == []
    assert cpu["input"] == ""
    environment = gpu["environment"]
    assert isinstance(environment, dict)
    assert environment["CUDA_VISIBLE_DEVICES"] == "1,3"
    assert environment["LUNGASSIST_HOME"] == str(settings.home)
    assert environment["LUNGASSIST_JOB_RUNNER"] is None


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("fail", 1, "Traceback of some length", "\nthe loss is not finite"), "the loss is not finite"),
        (("fail", 3), "It ended with exit status 3. Its log says why."),
        (("no_such_action",), "It ended with exit status 1. Its log says why."),
    ],
)
def test_a_failure_has_a_cause_in_words(submit: Submit, board: JobBoard, words: tuple[object, ...], cause: str) -> None:
    job = until_state(board, submit(*words).id, JobState.FAILED)
    assert job.cause == cause
    assert "begin" in log_of(job)


def test_what_an_earlier_start_said_is_not_this_ones_cause(submit: Submit, board: JobBoard) -> None:
    job = submit("fail", 1, "disk full", resume_arguments=("tests.jobs.work", "/nowhere", "fail", "4"))
    assert until_state(board, job.id, JobState.FAILED).cause == "disk full"
    board.resume(job.id)
    again = until(lambda: (found := board.job(job.id)).state == JobState.FAILED and found)
    assert "exit status 4" in again.cause


def test_a_module_that_is_not_there_fails_and_the_log_says_so(submit: Submit, board: JobBoard) -> None:
    job = until_state(board, submit(arguments=("train.absent",)).id, JobState.FAILED)
    assert "No module named train.absent" in log_of(job)


def test_a_resumed_job_keeps_number_and_folder_and_goes_on(submit: Submit, board: JobBoard) -> None:
    job = submit("fail", 1, "memory", details={"a": 1})
    failed = until_state(board, job.id, JobState.FAILED)
    (job.run_dir / "go").touch()
    going_on = ("tests.jobs.work", str(job.run_dir), "wait")
    other = submit("fail", 1, resume_arguments=going_on)
    until_state(board, other.id, JobState.FAILED)
    resumed = board.resume(other.id)
    assert (resumed.id, resumed.run_dir, resumed.arguments) == (other.id, other.run_dir, going_on)
    assert resumed.cause == ""
    done = until_state(board, other.id, JobState.DONE)
    assert log_of(done).count("begin") == 2, "the log goes on"
    assert board.job(job.id) == failed, "the other job is as it was"
    with pytest.raises(JobError, match="is done; only one that failed or was cancelled"):
        board.resume(other.id)


def test_a_resumed_job_waits_behind_those_in_the_queue(submit: Submit, board: JobBoard, cpu_is_taken: None) -> None:
    first, second, third = (submit("wait") for _ in range(3))
    assert [board.job(job.id).position for job in (first, second, third)] == [1, 2, 3]
    assert [(job.id, job.position) for job in board.jobs(limit=2)] == [(third.id, 3), (second.id, 2)]
    board.cancel(first.id)
    assert board.resume(first.id).position == 3
    assert [board.job(job.id).position for job in (second, third)] == [1, 2]


def test_a_job_whose_folder_is_gone_cannot_be_resumed(submit: Submit, board: JobBoard, cpu_is_taken: None) -> None:
    job = board.cancel(submit("wait").id)
    job.run_dir.rmdir()
    with pytest.raises(JobError, match="is gone; start a new job"):
        board.resume(job.id)


def test_a_folder_belongs_to_one_unfinished_job(submit: Submit, board: JobBoard, cpu_is_taken: None) -> None:
    cancelled = board.cancel(submit("wait", name="one").id)
    job = submit("wait", name="one")
    with pytest.raises(JobError, match=f"in use by job {job.id}"):
        submit("wait", name="one")
    with pytest.raises(JobError, match=f"in use by job {job.id}"):
        board.resume(cancelled.id)
    assert [each.state for each in board.jobs()] == [JobState.QUEUED, JobState.CANCELLED]


def test_deleting_forgets_a_job_and_removes_its_run_if_asked(
    submit: Submit, board: JobBoard, cpu_is_taken: None
) -> None:
    kept, removed = (board.cancel(submit("wait").id) for _ in range(2))
    (removed.run_dir / "checkpoints").mkdir()
    board.delete(kept.id, with_run=False)
    board.delete(removed.id, with_run=True)
    assert board.jobs() == []
    assert kept.run_dir.is_dir()
    assert not removed.run_dir.exists()
    with pytest.raises(JobError, match=f"no job {kept.id}"):
        board.job(kept.id)


def test_a_job_in_the_queue_can_be_deleted_and_never_runs(submit: Submit, board: JobBoard) -> None:
    first, second, third = (submit("wait") for _ in range(3))
    board.delete(second.id, with_run=True)
    (first.run_dir / "go").touch()
    until_state(board, third.id, JobState.RUNNING)
    assert not second.run_dir.exists()


def test_a_running_job_is_not_deleted(submit: Submit, board: JobBoard) -> None:
    job = submit("wait")
    until_state(board, job.id, JobState.RUNNING)
    with pytest.raises(JobError, match="is running; cancel it before"):
        board.delete(job.id, with_run=True)
    (job.run_dir / "go").touch()
    until_state(board, job.id, JobState.DONE)


def test_only_what_lies_in_the_folder_of_runs_is_removed(
    submit: Submit, board: JobBoard, settings: Settings, tmp_path: Path, cpu_is_taken: None
) -> None:
    outside = tmp_path / "precious"
    outside.mkdir()
    settings.runs_dir.mkdir()
    (settings.runs_dir / "link").symlink_to(outside)
    for run_dir in (outside, settings.runs_dir / "link", settings.runs_dir, settings.runs_dir / ".."):
        job = submit("wait", run_dir=run_dir)
        with pytest.raises(JobError, match="does not lie in"):
            board.delete(job.id, with_run=True)
        board.delete(job.id, with_run=False)
    assert outside.is_dir()


def test_a_run_that_two_jobs_share_is_not_removed_under_one_of_them(
    submit: Submit, board: JobBoard, cpu_is_taken: None
) -> None:
    first, second = (board.cancel(submit("wait", name="one").id) for _ in range(2))
    with pytest.raises(JobError, match=f"also the run of job {first.id}"):
        board.delete(second.id, with_run=True)
    assert second.run_dir.exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "Fine tune"}, "word of small letters"),
        ({"resource": "tpu"}, "cpu, gpu:0, or several"),
        ({"resource": "gpu:0,cpu"}, "cpu, gpu:0, or several"),
        ({"arguments": ()}, "begin with a module"),
        ({"arguments": ("-c", "import os")}, "begin with a module"),
        ({"arguments": ("train.finetune", "a\0b")}, "no text"),
        ({"arguments": ("train.finetune", "a\udcffb")}, "no text"),
        ({"resume_arguments": ("; rm",)}, "begin with a module"),
        ({"details": {"loss": float("nan")}}, "must be JSON"),
        ({"details": {"path": Path("/")}}, "must be JSON"),
    ],
)
def test_what_cannot_be_a_job_is_refused_and_not_recorded(
    submit: Submit, board: JobBoard, wrong: dict[str, object], said: str
) -> None:
    with pytest.raises(JobError, match=said):
        submit("wait", **wrong)
    assert board.jobs() == []


def test_a_run_directory_that_cannot_be_made_fails_the_job_and_not_the_queue(
    submit: Submit, board: JobBoard, settings: Settings
) -> None:
    (settings.home / "file").write_text("")
    bad = submit("wait", run_dir=settings.home / "file" / "run")
    assert "could not be started: Not a directory" in until_state(board, bad.id, JobState.FAILED).cause
    good = submit("wait")
    until_state(board, good.id, JobState.RUNNING)


@pytest.mark.parametrize("call", ["job", "cancel", "resume"])
def test_a_job_that_never_was(board: JobBoard, call: str) -> None:
    with pytest.raises(JobError, match="There is no job 17"):
        getattr(board, call)(17)
