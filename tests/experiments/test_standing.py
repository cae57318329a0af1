"""Where a job stands, in words; a damaged run directory never takes the list away."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lungassist.experiments.lines import line_of
from lungassist.experiments.standing import phase_share, progress_text, resource_title, seconds_taken, standing
from lungassist.experiments.wording import duration, ordinal, size
from lungassist.jobs import Job, JobState
from lungassist.training.progress import RunStatus
from tests.experiments.waiting_room import finish_run

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def job_of(state: str, run: Path = Path("/nowhere"), **changes: Any) -> Job:
    values: dict[str, Any] = {
        **{"id": 1, "kind": "finetune", "title": "t", "arguments": ("m",), "resume_arguments": ("m",), "run_dir": run},
        **{"resource": "cpu", "host": "here", "state": JobState(state), "cause": "", "created": NOON, "started": None},
        **{"ended": None, "pid": None, "position": None, "details": {}},
    }
    return Job(**{**values, **changes})


TRAINING = RunStatus(
    "training", epoch=2, epochs=4, step=5, steps=10, images_per_second=1234.5, seconds_left=3700.0, loss=0.5
)


@pytest.mark.parametrize(
    ("job", "status", "words", "share"),
    [
        (job_of("queued", position=1), None, "Queued, next", None),
        (job_of("queued", position=3), TRAINING, "Queued, 3rd in line", None),
        (job_of("running"), None, "Starting", None),
        (job_of("running"), RunStatus("reading", done=5, total=10), "Reading images", None),
        (job_of("running"), TRAINING, "Training", 0.375),
        (job_of("running"), RunStatus("failed"), "Starting", None),
        (job_of("cancelling"), TRAINING, "Stopping…", 0.375),
        (job_of("failed"), TRAINING, "Failed", 0.375),
        (job_of("cancelled"), None, "Cancelled", None),
        (job_of("done"), TRAINING, "Done", 1.0),
    ],
)
def test_the_record_goes_before_what_the_run_said_last(
    job: Job, status: RunStatus | None, words: str, share: float | None
) -> None:
    found = standing(job, status)
    assert (found.words, found.share) == (words, share)


def test_a_bars_words_and_length() -> None:
    assert progress_text(TRAINING) == "Epoch 2 of 4 · batch 5 of 10 · 1,234 images/s · 1 h 02 min left"
    reading = RunStatus("reading", message="Reading images", done=1500, total=3000)
    assert progress_text(reading) == "Reading images · 1,500 of 3,000"
    assert phase_share(reading) == 0.5
    assert phase_share(TRAINING) == 0.375
    assert phase_share(None) is None


def test_a_line_of_a_finished_run_has_its_accuracy(tmp_path: Path) -> None:
    finish_run(tmp_path)
    assert line_of(job_of("done", tmp_path)).accuracy == 0.9


@pytest.mark.parametrize("text", ["", "{", "[1]", json.dumps({"state": 3}), json.dumps({"figures": []})])
def test_a_damaged_directory_has_a_line_all_the_same(text: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name in ("status.json", "model/card.json", "epochs.csv"):
        (tmp_path / name).write_text(text)
    line = line_of(job_of("done", tmp_path))
    assert line.standing.words == "Done" and line.accuracy is None
    assert line_of(job_of("running", tmp_path)).standing.words == "Starting"


def test_time_taken() -> None:
    done = job_of("done", started=NOON, ended=NOON + timedelta(minutes=5))
    assert seconds_taken(done) == 300
    assert seconds_taken(job_of("queued")) is None
    assert (seconds_taken(replace(done, ended=None)) or 0) > 300


def test_words_for_numbers() -> None:
    assert [duration(s) for s in (0, 89, 90, 3599, 3600, 86400 * 2.5)] == [
        *("0 s", "89 s", "2 min", "1 h 00 min", "1 h 00 min", "2 d 12 h")
    ]
    assert [size(n) for n in (12, 1500, 2_340_000, 5_600_000_000, 7_000_000_000_000)] == [
        *("12 bytes", "2 kB", "2 MB", "5.6 GB", "7000.0 GB")
    ]
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th")
    ]
    assert [resource_title(name) for name in ("cpu", "gpu:0", "gpu:0,gpu:1")] == ["the CPU", "GPU 0", "GPUs 0, 1"]
