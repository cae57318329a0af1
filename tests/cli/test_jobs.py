"""`jobs`: what it shows and steers, and what it says when that cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lungassist.cli.main import main
from lungassist.jobs import Job, JobBoard, locks
from lungassist.settings import Settings

from .conftest import Command, objects


@pytest.fixture
def queued(home: Path) -> Iterator[Job]:
    """A job that waits, since somebody else holds the CPU."""
    settings = Settings.from_environment()
    held = locks.take("cpu", settings)
    assert held
    board = JobBoard.open(settings)
    yield board.submit(
        kind="finetune",
        title="quick [bold]run\x1b[31m",
        arguments=("train.finetune", "--resume", str(settings.runs_dir / "a")),
        run_dir=settings.runs_dir / "a",
        resource="cpu",
        details={"preset": "quick"},
    )
    for job in board.jobs():
        board.cancel(job.id)
    locks.release(held)
    board.close()


def test_the_list_says_where_each_job_is(queued: Job, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["ID", "State", "On", "Started", "Title", "Remarks"]
    assert row.split() == ["1", "queued", "cpu", "quick", "[bold]run?[31m", "number", "1", "in", "the", "queue"]


def test_json_has_the_documented_keys(queued: Job, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "list", "--json"]) == 0
    (line,) = objects(capsys.readouterr().out)
    documented = "id kind title state cause resource position host pid run_dir arguments created started ended details"
    assert " ".join(line) == documented
    assert (line["id"], line["state"], line["position"], line["pid"]) == (1, "queued", 1, None)
    assert line["details"] == {"preset": "quick"}
    assert line["created"].endswith("+00:00")


def test_a_job_is_shown_cancelled_resumed_and_deleted(queued: Job, capsys: pytest.CaptureFixture[str]) -> None:
    queued.run_dir.mkdir(parents=True)

    def state(*arguments: str) -> object:
        assert main(["jobs", *arguments, "1", "--json"]) == 0
        (line,) = objects(capsys.readouterr().out)
        return line["state"]

    assert [state(action) for action in ("show", "cancel", "resume", "cancel")] == [
        "queued",
        "cancelled",
        "queued",
        "cancelled",
    ]
    assert main(["jobs", "show", "1"]) == 0
    assert str(queued.run_dir) in capsys.readouterr().out
    assert main(["jobs", "delete", "1", "--with-run"]) == 0
    assert not queued.run_dir.exists()
    assert main(["jobs"]) == 0
    assert "There are no jobs" in capsys.readouterr().out


def test_the_end_of_the_log_is_shown(queued: Job, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "log", "1"]) == 1
    assert "no log yet" in capsys.readouterr().err
    queued.run_dir.mkdir(parents=True)
    queued.log.write_text("".join(f"epoch {number}\n" for number in range(100)))
    assert main(["jobs", "log", "1", "--lines", "2"]) == 0
    assert capsys.readouterr().out == "epoch 98\nepoch 99\n"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("show",), 2, "needs a job's number"),
        (("list", "1"), 2, "takes no job"),
        (("cancel", "1", "--with-run"), 2, "goes with delete alone"),
        (("show", "7"), 1, "There is no job 7"),
        (("resume", "1"), 1, "only one that failed or was cancelled"),
    ],
)
def test_what_cannot_be_is_one_line(
    queued: Job, arguments: tuple[str, ...], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["jobs", *arguments]) == status
    shown = capsys.readouterr()
    assert said in shown.err
    assert len(shown.err.splitlines()) == 1
    assert shown.out == ""


def test_a_database_that_cannot_be_used_is_one_line(home: Path, command: Command) -> None:
    (home / "lungassist.db").write_text("no database " * 1000)
    done = command("jobs")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no SQLite database" in done.stderr
    assert len(done.stderr.splitlines()) == 1
