"""Reads a folder's images into the cache in the background and audits them; several people may follow one reading."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lungassist.dataset import UNREADABLE, Audit, assign_splits, audit, duplicate_groups, index_folder, open_cache
from lungassist.errors import LungAssistError, StoppedError
from lungassist.preprocess import Preprocessing
from lungassist.settings import Settings

log = logging.getLogger(__name__)

#: Threads that decode. Few: people triage on this machine meanwhile.
_WORKERS: Final = 2
#: Finished readings that are remembered.
_REMEMBERED: Final = 16


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read, and how its split would be drawn: what an audit depends on."""

    folder: Path
    metadata: Path | None
    size: int
    enhancement: str
    split: str
    seed: int
    duplicates_together: bool


class Reading:
    """One folder being read.

    Attributes:
        wanted: what is read.
        done, total: images; 0 of 0 before the first.
        result: when it has come to its end.
        error: why it ended without one; None after it was stopped by a person.
    """

    def __init__(self, wanted: Wanted, settings: Settings) -> None:
        self.wanted = wanted
        self.done = self.total = 0
        self.result: Audit | None = None
        self.error: LungAssistError | None = None
        self._settings = settings
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._first = 0
        self._thread = threading.Thread(target=self._run, name=f"reading {wanted.folder.name}", daemon=True)
        self._thread.start()

    @property
    def is_active(self) -> bool:
        """Whether it is under way."""
        return self._thread.is_alive()

    @property
    def seconds_left(self) -> float | None:
        """To the last image; None before anything can be said."""
        read, elapsed = self.done - self._first, time.monotonic() - self._began
        return (self.total - self.done) * elapsed / read if read > 0 and elapsed > 1 else None

    def stop(self) -> None:
        """Ask it to end; what was read until then is kept."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for its end."""
        self._thread.join(seconds)

    def _tell(self, done: int, total: int) -> None:
        if not self.total:
            # What is in the cache already comes at once and says nothing of the speed.
            self._first, self._began = done, time.monotonic()
        self.done, self.total = done, total

    def _run(self) -> None:
        try:
            self.result = _read(self.wanted, self._settings, self._tell, self._stop.is_set)
        except StoppedError:
            log.info("the reading of %s was stopped after %d images", self.wanted.folder, self.done)
        except LungAssistError as error:
            self.error = error
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            log.exception("the reading of %s failed", self.wanted.folder)
            self.error = LungAssistError(f"Reading {self.wanted.folder} failed: {error or type(error).__name__}.")


def _read(wanted: Wanted, settings: Settings, progress: Callable[[int, int], None], stop: Callable[[], bool]) -> Audit:
    index = index_folder(wanted.folder, wanted.metadata)
    preprocessing = Preprocessing.named(size=wanted.size, enhancement=wanted.enhancement)
    prepared = open_cache(index, preprocessing, settings, workers=_WORKERS, progress=progress, stop=stop)
    usable = index.table[prepared.readable]
    together = duplicate_groups(prepared)[prepared.readable] if wanted.duplicates_together else None
    split = np.full(len(index.table), UNREADABLE, dtype=object)
    split[prepared.readable] = assign_splits(usable, method=wanted.split, seed=wanted.seed, together=together)
    return audit(index, prepared, split.astype(str))


class Readings:
    """All readings of this server; shared by its sessions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: dict[Wanted, Reading] = {}

    def get(self, wanted: Wanted) -> Reading | None:
        """The reading of just this, if there is one."""
        with self._lock:
            return self._readings.get(wanted)

    def start(self, wanted: Wanted, settings: Settings) -> Reading:
        """Begin, unless it is under way."""
        with self._lock:
            there = self._readings.get(wanted)
            if there is not None and there.is_active:
                return there
            ended = [key for key, reading in self._readings.items() if not reading.is_active]
            for key in ended[: max(0, len(self._readings) - _REMEMBERED + 1)]:
                del self._readings[key]
            self._readings[wanted] = Reading(wanted, settings)
            return self._readings[wanted]

    def forget(self) -> None:
        """Drop what has ended: the cache that it was read into is gone."""
        with self._lock:
            self._readings = {key: reading for key, reading in self._readings.items() if reading.is_active}
