"""`python -m lungassist jobs`: what runs, waits and has ended, and how to steer it."""

from __future__ import annotations

import argparse
import sys
from collections import deque
from contextlib import closing
from datetime import datetime

from rich.text import Text

from lungassist.cli.tables import name_cell, new_table, output_console, write_json_line
from lungassist.errors import JobError, UsageError
from lungassist.jobs import Job, JobBoard, JobState
from lungassist.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked and show the job as it stands then; returns 0.

    Raises:
        UsageError: an action lacks its job, or has one it does not take.
        JobError: the job cannot be had, or not be treated so.
        StoreError: the database cannot be used.
    """
    action, number = arguments.action, arguments.id
    if (number is None) != (action == "list"):
        needs = "takes no job" if action == "list" else "needs a job's number, as `jobs list` shows them"
        raise UsageError(f"jobs {action} {needs}.")
    if arguments.with_run and action != "delete":
        raise UsageError("--with-run goes with delete alone.")
    with closing(JobBoard.open(Settings.from_environment())) as board:
        if action == "list":
            _write(board.jobs(), arguments)
        elif action == "log":
            _write_log(board.job(number), arguments.lines)
        elif action == "delete":
            board.delete(number, with_run=arguments.with_run)
        else:
            change = {"show": board.job, "cancel": board.cancel, "resume": board.resume}
            _write([change[action](number)], arguments)
    return 0


def _write(jobs: list[Job], arguments: argparse.Namespace) -> None:
    if arguments.json:
        for job in jobs:
            write_json_line(job.to_json())
    elif arguments.action == "show":
        _write_fields(jobs[0])
    elif jobs:
        _write_table(jobs)
    else:
        sys.stdout.write("There are no jobs. The training and comparison pages start them.\n")


def _write_table(jobs: list[Job]) -> None:
    table = new_table("ID", "State", "On", "Started", "Title", "Remarks", numbers=("ID",))
    for job in jobs:
        table.add_row(
            str(job.id),
            str(job.state),
            job.resource,
            _moment(job.started),
            name_cell(job.title),
            Text(job.cause or (f"number {job.position} in the queue" if job.position else "")),
            style="red" if job.state == JobState.FAILED else None,
        )
    output_console().print(table)


def _write_fields(job: Job) -> None:
    table = new_table("Job", str(job.id))
    for name, value in job.to_json().items():
        if name not in ("id", "details") and value not in (None, ""):
            table.add_row(name.replace("_", " "), name_cell(" ".join(value) if isinstance(value, list) else str(value)))
    output_console().print(table)


def _write_log(job: Job, lines: int) -> None:
    try:
        with job.log.open(encoding="utf-8", errors="backslashreplace") as log:
            last = deque(log, lines)
    except FileNotFoundError:
        raise JobError(f"Job {job.id} has no log yet: it has not started, or {job.run_dir} is gone.") from None
    except OSError as error:
        raise JobError(f"The log {job.log} cannot be read: {error.strerror}.") from error
    sys.stdout.writelines(last)


def _moment(moment: datetime | None) -> str:
    """In the time of this computer."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if moment else ""
