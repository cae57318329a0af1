"""Jobs around which things die: the job, its runner, the app, the database; what is told afterwards is true."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lungassist.errors import StoreError
from lungassist.files import write_json
from lungassist.jobs import Job, JobBoard, JobState, is_held, launcher, records
from lungassist.settings import Settings
from lungassist.store import open_store

from .conftest import Submit
from .test_cancel import is_there
from .waiting import log_of, until, until_state, until_written

ROOT = Path(__file__).resolve().parents[2]


def started(board: JobBoard, job: Job) -> Job:
    """The job once it runs and has noted its process."""
    until_written(job.run_dir / "pid")
    return until(lambda: (found := board.job(job.id)).pid and found)


def kill_runner(job: Job) -> None:
    os.kill(job.handle["runner"]["pid"], signal.SIGKILL)


def test_a_job_that_is_killed_has_failed_and_the_next_one_starts(submit: Submit, board: JobBoard) -> None:
    job, waiting = submit("wait", resource="gpu:0"), submit("wait", resource="gpu:0")
    os.kill(int(until_written(job.run_dir / "pid")), signal.SIGKILL)
    failed = until_state(board, job.id, JobState.FAILED)
    assert "killed (signal 9)" in failed.cause
    assert "out of memory" in failed.cause
    until_state(board, waiting.id, JobState.RUNNING)
    assert board.resume(job.id).position == 1


def test_a_job_that_crashes_says_how(submit: Submit, board: JobBoard) -> None:
    job = submit("wait")
    os.kill(int(until_written(job.run_dir / "pid")), signal.SIGSEGV)
    assert "It crashed: Segmentation fault (signal 11)" in until_state(board, job.id, JobState.FAILED).cause


def test_a_job_that_somebody_else_stops_has_failed_and_says_so(submit: Submit, board: JobBoard) -> None:
    job = submit("graceful")
    os.kill(int(until_written(job.run_dir / "pid")), signal.SIGTERM)
    assert "stopped from outside (signal 15)" in until_state(board, job.id, JobState.FAILED).cause


def test_a_shutdown_ends_a_job_in_good_order(submit: Submit, board: JobBoard) -> None:
    """The system asks every process to end, runners too; nobody has cancelled."""
    job = started(board, submit("graceful"))
    os.kill(job.handle["runner"]["pid"], signal.SIGTERM)
    assert "as the computer shut down" in until_state(board, job.id, JobState.FAILED).cause
    assert (job.run_dir / "checkpoint").exists()


def test_a_killed_runner_takes_its_job_along_and_frees_the_gpu(
    submit: Submit, board: JobBoard, settings: Settings
) -> None:
    job, waiting = started(board, submit("graceful", resource="gpu:0")), submit("wait", resource="gpu:0")
    kill_runner(job)
    until_written(job.run_dir / "checkpoint")
    failed = until_state(board, job.id, JobState.FAILED)
    assert "Its process is gone" in failed.cause
    assert "Resume it" in failed.cause
    assert not is_there(int((job.run_dir / "pid").read_text()))
    until_state(board, waiting.id, JobState.RUNNING)


def test_the_lock_is_freed_by_the_kernel_when_runner_and_job_die(
    submit: Submit, board: JobBoard, settings: Settings
) -> None:
    job = started(board, submit("wait", resource="gpu:0"))
    assert is_held("gpu:0", settings)
    kill_runner(job)  # the job dies with it, and nobody ticks
    until(lambda: not is_held("gpu:0", settings))


def test_what_outlives_a_killed_runner_holds_the_gpu_until_it_is_ended(
    submit: Submit, board: JobBoard, settings: Settings
) -> None:
    names = ("session1", "daemon")
    job = started(board, submit("deaf", *names, resource="gpu:0"))
    pids = [int(until_written(job.run_dir / name)) for name in ("pid", *names)]
    kill_runner(job)
    waiting = submit("wait", resource="gpu:0")
    assert board.job(job.id).state == JobState.RUNNING, "its processes are there"
    assert is_held("gpu:0", settings)
    until_state(board, job.id, JobState.FAILED)
    assert not any(map(is_there, pids))
    until_state(board, waiting.id, JobState.RUNNING)


def lost(submit: Submit, board: JobBoard, state: str, settings: Settings, **handle: object) -> Job:
    """A job that wrote a state and then vanished with its runner."""
    job = started(board, submit("say", state, resource="gpu:7"))
    if handle:
        store = open_store(settings.database_url)
        with store.writing() as connection:
            records.set_handle(connection, job.id, job.token, {**job.handle, **handle})
        store.close()
    kill_runner(job)
    return until(lambda: (found := board.job(job.id)).state.is_over and found)


def test_a_job_that_was_done_before_its_runner_died_is_done(
    submit: Submit, board: JobBoard, settings: Settings
) -> None:
    assert lost(submit, board, "done", settings).state == JobState.DONE


def test_a_job_that_had_failed_before_its_runner_died_keeps_its_cause(
    submit: Submit, board: JobBoard, settings: Settings
) -> None:
    assert lost(submit, board, "failed", settings).cause == "the loss is not finite"


def test_a_job_that_was_under_way_when_the_computer_restarted_says_so(
    submit: Submit, board: JobBoard, settings: Settings
) -> None:
    job = lost(submit, board, "training", settings, boot="the boot before")
    assert job.state == JobState.FAILED
    assert "computer was restarted" in job.cause


def test_a_done_of_an_earlier_start_is_not_believed(submit: Submit, board: JobBoard, settings: Settings) -> None:
    run_dir = settings.runs_dir / "again"
    run_dir.mkdir(parents=True)
    write_json(run_dir / "status.json", {"state": "done"})
    job = started(board, submit("wait", name="again"))
    kill_runner(job)
    assert until(lambda: (found := board.job(job.id)).state.is_over and found).state == JobState.FAILED


def test_the_clock_may_be_set_while_a_job_runs(
    submit: Submit, board: JobBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = started(board, submit("graceful"))
    monkeypatch.setattr(records, "now", lambda: datetime(1999, 1, 1, tzinfo=UTC))
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert board.job(job.id).state == JobState.RUNNING
    board.cancel(job.id)
    assert board.job(job.id).state in (JobState.CANCELLING, JobState.CANCELLED)
    until_state(board, job.id, JobState.CANCELLED)
    assert (job.run_dir / "checkpoint").exists(), "the grace was not cut short"


APP = """
import sys, time
from pathlib import Path
from lungassist.jobs import JobBoard
from lungassist.settings import Settings
settings = Settings.from_environment()
board = JobBoard.open(settings)
for name in ("first", "second"):
    run = settings.runs_dir / name
    arguments = ("tests.jobs.work", str(run), "wait")
    board.submit(kind="test", title=name, arguments=arguments, run_dir=run, resource="gpu:0")
while True:
    board.jobs()
    time.sleep(0.1)
"""


def test_jobs_and_queue_outlive_the_app(board: JobBoard, settings: Settings) -> None:
    app = subprocess.Popen([sys.executable, "-c", APP], cwd=ROOT)
    pid = int(until_written(settings.runs_dir / "first" / "pid"))
    app.kill()
    app.wait()
    second, first = JobBoard.open(settings).jobs()  # as the app does when it is started again
    assert (first.state, second.state, second.position) == (JobState.RUNNING, JobState.QUEUED, 1)
    assert is_there(pid)
    (first.run_dir / "go").touch()
    until_state(board, first.id, JobState.DONE)
    until_state(board, second.id, JobState.RUNNING)


def test_many_who_look_at_once_start_each_job_once(submit: Submit, board: JobBoard, settings: Settings) -> None:
    numbers = [submit("count", name=name).id for name in ("a", "b", "c", "d")]
    boards = [JobBoard.open(settings) for _ in range(4)]
    failures: list[BaseException] = []

    def look(mine: JobBoard) -> None:
        try:
            until(lambda: all(job.state.is_over for job in mine.jobs()))
        except (StoreError, AssertionError) as error:
            failures.append(error)

    threads = [threading.Thread(target=look, args=(each,)) for each in boards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [board.job(number).state for number in numbers] == [JobState.DONE] * 4
    assert (settings.runs_dir / "order").read_text().split() == ["a", "b", "c", "d"]


@contextlib.contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Somebody writes into the database and does not come to an end."""
    holder = sqlite3.connect(settings.home / "lungassist.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    yield
    holder.rollback()
    holder.close()


def test_a_job_ends_while_the_database_is_locked_and_that_is_recorded_later(
    submit: Submit, board: JobBoard, settings: Settings
) -> None:
    job = started(board, submit("wait"))
    with locked(settings):
        (job.run_dir / "go").touch()
        until_written(job.run_dir / "exit.json")
        until(lambda: "locked by another process" in log_of(job))
    until_state(board, job.id, JobState.DONE)


def test_an_end_that_could_never_be_recorded_is_read_from_the_run_directory(
    submit: Submit, board: JobBoard, settings: Settings
) -> None:
    job = started(board, submit("wait"))
    with locked(settings):
        (job.run_dir / "go").touch()
        until_written(job.run_dir / "exit.json")
        kill_runner(job)
    assert until_state(board, job.id, JobState.DONE).cause == ""


def test_a_locked_database_refuses_with_a_message_and_harms_no_job(submit: Submit, settings: Settings) -> None:
    impatient = JobBoard(open_store(settings.database_url, patience=0.1), settings)
    job = started(impatient, submit("wait"))
    with locked(settings):
        assert impatient.jobs()[0].state == JobState.RUNNING, "looking needs no lock"
        for call in (lambda: submit_more(impatient, settings), lambda: impatient.cancel(job.id)):
            with pytest.raises(StoreError, match="locked by another process"):
                call()
    assert is_there(int((job.run_dir / "pid").read_text()))
    assert [each.id for each in impatient.jobs()] == [job.id]
    impatient.close()


def submit_more(board: JobBoard, settings: Settings) -> None:
    board.submit(kind="test", title="x", arguments=("this",), run_dir=settings.runs_dir / "x", resource="gpu:0")


def test_a_runner_that_cannot_begin_is_given_up_after_a_few_times(
    submit: Submit, board: JobBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no module named sqlalchemy >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(launcher.sys, "executable", str(broken))
    job = until_state(board, submit("wait").id, JobState.FAILED)
    assert "3 times before it began" in job.cause
    assert log_of(job) == "no module named sqlalchemy\n" * 3
    monkeypatch.undo()
    monkeypatch.setenv("LUNGASSIST_HOME", str(board._settings.home))
    board.resume(job.id)
    until(lambda: board.job(job.id).state == JobState.RUNNING)
