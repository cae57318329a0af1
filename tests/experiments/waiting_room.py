"""A board of jobs whose launcher starts nothing, and finished runs without training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lungassist.jobs import Condition, Job, JobBoard
from lungassist.models.registry import build
from lungassist.models.weights import save_model
from lungassist.settings import Settings
from lungassist.store import open_store
from tests.tiny import tiny_card


class Patient:
    """A launcher that never has room, and takes for alive what is said to run."""

    def reserve(self, resource: str) -> list[int] | None:
        return None

    def release(self, reservation: Sequence[int]) -> None: ...

    def start(self, job: Job, reservation: Sequence[int]) -> None:
        raise AssertionError("there was no room")

    def condition(self, job: Job) -> Condition:
        return Condition.RUNNING

    def stop(self, job: Job, *, by_force: bool) -> None: ...


def board_of(settings: Settings) -> JobBoard:
    """A board on which all jobs wait."""
    return JobBoard(open_store(settings.database_url), settings, Patient())


def set_state(settings: Settings, job: int, state: str, **values: Any) -> None:
    """Write a job's state into the database, as its runner would."""
    from sqlalchemy import update

    from lungassist.jobs.records import now
    from lungassist.store.schema import jobs as table

    started = {} if state == "queued" else {"started": now()}
    ended = {"ended": now()} if state in ("done", "failed", "cancelled") else {}
    with open_store(settings.database_url).writing() as connection:
        connection.execute(update(table).where(table.c.id == job).values(state=state, **started, **ended, **values))


FIGURES = {
    "test": {
        "images": 20,
        "accuracy": 0.9,
        "expected_calibration_error": 0.05,
        "per_class": {
            "COVID": {"precision": 1.0, "recall": 0.8, "f1": 0.9, "images": 5},
            "Lung_Opacity": {"precision": 1.0, "recall": 1.0, "f1": 1.0, "images": 5},
            "Normal": {"precision": 0.8, "recall": 1.0, "f1": 0.9, "images": 5},
            "Viral Pneumonia": {"precision": 0.8, "recall": 0.8, "f1": 0.8, "images": 5},
        },
        "confusion_matrix": [[4, 0, 1, 0], [0, 5, 0, 0], [0, 0, 5, 0], [0, 0, 1, 4]],
        "called_normal": {"COVID": 1, "Viral Pneumonia": 1, "Lung_Opacity": 0},
    }
}

EPOCHS = """epoch,train_loss,train_accuracy,validation_loss,validation_accuracy
1,1.2,0.40,1.1,0.45
2,0.6,0.95,0.9,0.80
"""


def finish_run(run: Path, *, figures: dict[str, Any] | None = None, split: str = "a" * 64) -> None:
    """Put into a run's folder what a finished run leaves."""
    torch.manual_seed(7)
    card = tiny_card("quick", figures=figures or FIGURES, split={"sha256": split})
    save_model(run / "model", build(card.architecture, len(card.classes)).state_dict(), card)
    (run / "epochs.csv").write_text(EPOCHS)
    (run / "log.txt").write_text("first line\nlast line of the log\n")
    (run / "status.json").write_text(json.dumps({"state": "done", "epoch": 2, "epochs": 2}))
