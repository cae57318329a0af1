"""A training run as a directory: what went in, what happened, what came out."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from filelock import FileLock, Timeout

from lungassist.dataset import read_split
from lungassist.errors import DatasetError, LungAssistError, TrainingError, UsageError
from lungassist.files import write_atomically, write_json
from lungassist.training.config import RunConfig
from lungassist.training.failures import CancelledError, cause_of
from lungassist.training.progress import CHECKPOINTS, EPOCHS_FILE, LOG_FILE, SPLIT_FILE, STATUS_FILE, read_status

log = logging.getLogger(__name__)


class Recorded(Protocol):
    """What a run is asked to do: a `RunConfig`, or a baseline's."""

    def to_json(self) -> dict[str, Any]: ...


class RunDirectory:
    """Owns every path of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.json"
        self.split = path / SPLIT_FILE
        self.environment = path / "environment.json"
        self.audit = path / "audit.json"
        self.origins = path / "origins.json"
        self.epochs = path / EPOCHS_FILE
        self.checkpoints = path / CHECKPOINTS
        self.tensorboard = path / "tensorboard"
        self.log = path / LOG_FILE
        self.status = path / STATUS_FILE
        self.model = path / "model"

    def prepare(self, config: Recorded) -> None:
        """Record what the run is asked to do, before anything is done.

        Raises:
            UsageError: the folder holds a run already, or is something else.
        """
        if self.config_file.exists() or (self.path / "recipe.json").exists():
            raise UsageError(f"{self.path} holds a run already. Choose another folder, or go on with it by --resume.")
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise UsageError(f"{self.path} is not an empty folder. Choose another one for the run.")
        write_json(self.config_file, config.to_json())

    def config(self) -> RunConfig:
        """What `prepare` recorded.

        Raises:
            UsageError: there is no run here.
            TrainingError: it is of another version of LungAssist, or damaged.
        """
        if (self.path / "recipe.json").exists():
            return RunConfig.from_json({"format": 1})
        if not self.config_file.is_file():
            raise UsageError(f"{self.path} holds no run: there is no config.json. Start one with --data and --run-dir.")
        try:
            values = json.loads(self.config_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise TrainingError(f"{self.config_file} cannot be read ({error}). Start the run again.") from error
        return RunConfig.from_json(values)

    @property
    def is_done(self) -> bool:
        """Whether the run has come to its end and its model is there."""
        status = read_status(self.path)
        return status is not None and status.state == "done" and (self.model / "card.json").is_file()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from this run; the kernel lets go of it when this one dies.

        Raises:
            UsageError: another process is at it.
        """
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise UsageError(f"Another process is at the run in {self.path}. Wait for it, or stop it.") from error
        try:
            yield
        finally:
            lock.release()

    def begin(self, table: pd.DataFrame, *, going_on: bool, origins: Mapping[str, Any] | None = None) -> None:
        """Record the split, what computes and, at the first start, what the run begins from.

        Raises:
            TrainingError: the run goes on, but the images or their split are not what they were, or its record of them
                is damaged.
        """
        if going_on and _assignment(self._recorded_split()) != _assignment(table):
            raise TrainingError(
                f"The images or their split have changed since the run in {self.path} began. "
                "Restore the data, or start again in another run directory."
            )
        if not going_on and origins is not None:
            write_json(self.origins, origins)
        write_atomically(self.split, lambda p: table.to_csv(p, index=False))
        self._record_environment(going_on)

    def _recorded_split(self) -> pd.DataFrame:
        try:
            return read_split(self.split)
        except DatasetError as error:
            raise TrainingError(
                f"{error} The run cannot go on without it: restore it, or start again in another run directory."
            ) from error

    def _record_environment(self, going_on: bool) -> None:
        """What computes now; `earlier` holds what computed before something of it changed, the first first."""
        now: dict[str, Any] = environment()
        if going_on and (before := _read_json(self.environment)):
            earlier = before.pop("earlier", [])
            differing = [name for name in {**before, **now} if before.get(name) != now.get(name)]
            if differing:
                words = ", ".join(f"{name} {now.get(name)} (was {before.get(name)})" for name in differing)
                log.warning("the run goes on with another %s; it may not end with the same weights", words)
                stretch = {**before, "until": datetime.now(UTC).isoformat(timespec="seconds")}
                earlier = [*earlier, stretch]
            if earlier:
                now["earlier"] = earlier
        write_json(self.environment, now)

    def set_status(self, state: str, **more: Any) -> None:
        """Say where the run stands; see `progress.RunStatus` for the words."""
        updated = datetime.now(UTC).isoformat(timespec="milliseconds")
        write_json(self.status, {"state": state, **more, "updated": updated})

    @contextmanager
    def recording_outcome(self) -> Iterator[None]:
        """Whatever ends the run inside, the status says so; the last checkpoint stays.

        Raises:
            LungAssistError: as it was raised, or a TrainingError for what torch or the machine refused.
        """
        try:
            yield
        except CancelledError as error:
            self._end("cancelled", str(error))
            raise
        except LungAssistError as error:
            self._end("failed", str(error))
            raise
        except (RuntimeError, MemoryError, OSError) as error:
            cause = cause_of(error, self.path)
            self._end("failed", cause)
            raise TrainingError(cause) from error
        except BaseException as error:
            self._end("failed", f"The run was ended by {type(error).__name__} {error}".rstrip() + ".")
            raise

    def _end(self, state: str, cause: str) -> None:
        earlier = read_status(self.path)
        if state == "cancelled" and earlier is not None and earlier.state == "failed":
            return  # another process of this run failed, and this one was stopped for it
        # On a full disk not even this can be written; the first error says more than a second one.
        with suppress(OSError):
            self.set_status(state, cause=cause)


def _read_json(path: Path) -> dict[str, Any]:
    """What was recorded; nothing where it is gone or cannot be read, since no result depends on it."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _assignment(split: pd.DataFrame) -> list[tuple[str, ...]]:
    return [tuple(row) for row in split[["file", "label", "split"]].astype(str).to_numpy()]


def environment() -> dict[str, str]:
    """Versions of what computes, for the record."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in (
        "torch",
        "torchvision",
        "lightning",
        "numpy",
        "pandas",
        "pillow",
        "opencv-python-headless",
        "safetensors",
        "scikit-learn",
    ):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed under that name"
    return found
