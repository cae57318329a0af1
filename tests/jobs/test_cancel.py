"""Jobs that are stopped: everything of theirs goes within seconds, their checkpoint stays, nothing else is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from lungassist.jobs import JobBoard, JobState, keeper, records
from lungassist.jobs.processes import Identity, since_boot
from lungassist.settings import Settings
from lungassist.store import Store, open_store

from .conftest import Submit
from .waiting import until, until_state, until_written


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process like a job's, of the same user, that is none."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def store(settings: Settings, board: JobBoard) -> Iterator[Store]:
    """The database behind the board's back."""
    store = open_store(settings.database_url)
    yield store
    store.close()


def is_there(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_queued_job_is_cancelled_at_once_and_never_runs(submit: Submit, board: JobBoard) -> None:
    first, second = submit("wait"), submit("wait")
    cancelled = board.cancel(second.id)
    assert (cancelled.state, cancelled.cause) == (JobState.CANCELLED, "")
    assert cancelled.ended is not None
    until_written(first.run_dir / "pid")
    (first.run_dir / "go").touch()
    until_state(board, first.id, JobState.DONE)
    board.tick()
    assert not (second.run_dir / "pid").exists()
    assert board.cancel(second.id) == cancelled, "once more changes nothing"


def test_a_running_job_is_asked_and_has_time_for_its_checkpoint(submit: Submit, board: JobBoard) -> None:
    job = submit("graceful")
    pid = int(until_written(job.run_dir / "pid"))
    assert board.cancel(job.id).state in (JobState.CANCELLING, JobState.CANCELLED)
    ended = until_state(board, job.id, JobState.CANCELLED)
    assert (job.run_dir / "checkpoint").exists()
    assert ended.cause == ""
    assert not is_there(pid)
    resumed = board.resume(job.id)
    assert resumed.state in (JobState.QUEUED, JobState.RUNNING)


def test_a_tree_that_will_not_hear_is_ended_whole_and_nothing_else(
    submit: Submit, board: JobBoard, bystander: subprocess.Popen[bytes]
) -> None:
    """Workers with a session of their own (as torchrun's), a daemon that left the tree, all deaf to SIGTERM."""
    names = ("child", "session1", "session2", "daemon")
    job = submit("deaf", *names)
    waiting = submit("wait")
    pids = [int(until_written(job.run_dir / name)) for name in ("pid", *names)]
    assert all(map(is_there, pids))
    board.cancel(job.id)
    assert board.job(job.id).state == JobState.CANCELLING
    until_state(board, job.id, JobState.CANCELLED)
    assert not any(map(is_there, pids))
    assert bystander.poll() is None
    until_written(waiting.run_dir / "pid")


def test_what_a_job_leaves_behind_when_it_is_done_goes_too(submit: Submit, board: JobBoard) -> None:
    job = submit("leave_behind")
    pid = int(until_written(job.run_dir / "daemon"))
    until_state(board, job.id, JobState.DONE)
    assert not is_there(pid)


def test_a_job_that_is_just_starting_can_be_cancelled(submit: Submit, board: JobBoard) -> None:
    jobs = [submit("wait", resource=f"gpu:{number}") for number in range(3)]
    board.cancel(jobs[0].id)  # its runner is under way, and has not claimed it
    until(lambda: board.job(jobs[1].id).state == JobState.RUNNING)
    for job in jobs[1:]:
        board.cancel(job.id)
    for job in jobs:
        until_state(board, job.id, JobState.CANCELLED)
    until(lambda: not [process for process in psutil.process_iter() if _is_of(process, jobs[0].run_dir.name)])


def _is_of(process: psutil.Process, name: str) -> bool:
    try:
        return any(name in word for word in process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def test_a_cancel_that_no_signal_can_bring_is_read_from_the_record(
    submit: Submit, board: JobBoard, store: Store
) -> None:
    """As from a page on another host, or one killed between the record and the signal."""
    job = submit("graceful")
    until_written(job.run_dir / "pid")
    with store.writing() as connection:
        records.ask_to_stop(connection, records.read(connection, job.id), JobState.CANCELLING, since_boot())
    until_state(board, job.id, JobState.CANCELLED)
    assert (job.run_dir / "checkpoint").exists()


def test_a_runner_that_hangs_is_ended_with_its_job(
    submit: Submit, board: JobBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit("deaf", "session1", resource="gpu:0")
    pids = [int(until_written(job.run_dir / name)) for name in ("pid", "session1")]
    runner = board.job(job.id).handle["runner"]["pid"]
    os.kill(runner, signal.SIGSTOP)
    board.cancel(job.id)
    assert board.job(job.id).state == JobState.CANCELLING
    monkeypatch.setattr(keeper, "_RUNNER_GRACE", 0.5)
    until_state(board, job.id, JobState.CANCELLED)
    assert not any(map(is_there, [runner, *pids]))


def test_a_pid_that_went_to_another_process_is_not_signalled(
    submit: Submit, board: JobBoard, store: Store, bystander: subprocess.Popen[bytes]
) -> None:
    """The record names a pid that runs, but began at another tick or in another boot: the job is gone."""
    here = Identity.of(bystander.pid)
    assert here is not None
    for change in ({"started": here.started - 1}, {"boot": "another"}):
        job = submit("wait", resource="gpu:5")
        until_written(job.run_dir / "pid")
        seen = board.job(job.id)
        for known in ("child", "runner"):
            os.kill(seen.handle[known]["pid"], signal.SIGKILL)
        with store.writing() as connection:
            other = {**here.to_json(), **change}
            records.set_handle(connection, job.id, seen.token, {**seen.handle, "runner": other, "child": other})
        cancelled = board.cancel(job.id)
        assert cancelled.state in (JobState.CANCELLED, JobState.FAILED)
        assert bystander.poll() is None


def test_a_running_job_of_another_host_is_asked_and_else_left_alone(
    submit: Submit, board: JobBoard, settings: Settings, postgres_url: str
) -> None:
    there = _elsewhere(settings, postgres_url)
    job = there.jobs()[0]
    assert job.state == JobState.RUNNING, "its process cannot be seen from here, and is not called dead"
    assert there.cancel(job.id).state == JobState.CANCELLING
    there.delete(job.id, with_run=False)
    assert there.jobs() == []
    there.close()


def _elsewhere(settings: Settings, url: str) -> JobBoard:
    """A board on a database where another host, now silent, runs a job."""
    store = open_store(url)
    values = {"kind": "x", "title": "x", "arguments": ["x"], "resume_arguments": ["x"], "run_dir": "/absent/run"}
    with store.writing() as connection:
        number = records.add(connection, {**values, "resource": "cpu", "host": "elsewhere", "details": {}})
        handle = {"runner": {"pid": 1, "started": 0, "boot": "another"}}
        records.claim(connection, number, "a token", handle)
    return JobBoard(store, settings)
