"""Reading in the background: the audit at the end, one reading for all, stopped and gone on with, errors told."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lungassist.experiments import reading
from lungassist.experiments.reading import Readings, Wanted
from lungassist.settings import Settings

PATIENCE = 60.0


@pytest.fixture
def wanted(films: Path, tmp_path: Path) -> Wanted:
    """Ten films a class; one of them lies there twice."""
    shutil.copytree(films, tmp_path / "data")
    folder = tmp_path / "data" / "COVID" / "images"
    shutil.copy(folder / "COVID-1.png", folder / "COVID-copy.png")
    return Wanted(tmp_path / "data", None, 64, "none", "patient", 1, duplicates_together=True)


@pytest.fixture
def settings() -> Settings:
    return Settings.from_environment()


def test_it_ends_with_an_audit_of_the_split_that_a_run_would_draw(wanted: Wanted, settings: Settings) -> None:
    begun = Readings().start(wanted, settings)
    begun.wait(PATIENCE)
    assert begun.result is not None and not begun.is_active
    assert begun.result.images == 41
    assert (begun.result.exact.groups, begun.result.exact.across_splits) == (1, 0)
    assert sum(sum(counts.values()) for counts in begun.result.per_split.values()) == 41
    assert (begun.done, begun.total) == (41, 41)


def test_two_who_want_the_same_follow_one_reading(
    wanted: Wanted, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(reading, "_read", lambda *_: go_on.wait(PATIENCE))
    readings = Readings()
    first = readings.start(wanted, settings)
    assert readings.start(wanted, settings) is first
    assert readings.get(wanted) is first
    assert readings.start(replace(wanted, seed=2), settings) is not first
    readings.forget()
    assert readings.get(wanted) is first, "what is under way is not forgotten"
    go_on.set()
    first.wait(PATIENCE)
    readings.forget()
    assert readings.get(wanted) is None


def test_it_stops_when_asked_and_goes_on_later(
    wanted: Wanted, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = reading.open_cache

    def slow(*arguments: Any, progress: Callable[[int, int], None], stop: Callable[[], bool], **more: Any) -> Any:
        begun.stop()
        return original(*arguments, progress=progress, stop=stop, **more)

    ready = threading.Event()
    monkeypatch.setattr(reading, "open_cache", lambda *a, **k: (ready.wait(PATIENCE), slow(*a, **k))[1])
    readings = Readings()
    begun = readings.start(wanted, settings)
    ready.set()
    begun.wait(PATIENCE)
    assert begun.result is None and begun.error is None
    monkeypatch.setattr(reading, "open_cache", original)
    again = readings.start(wanted, settings)
    again.wait(PATIENCE)
    assert again.result is not None and again.result.readable == 41


def test_what_goes_wrong_is_told_and_nothing_else_harmed(wanted: Wanted, settings: Settings) -> None:
    gone = Readings().start(replace(wanted, folder=wanted.folder / "gone"), settings)
    gone.wait(PATIENCE)
    assert gone.result is None and "gone" in str(gone.error)


def test_an_error_that_nobody_foresaw_is_told_too(
    wanted: Wanted, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise OSError("the disk has left")

    monkeypatch.setattr(reading, "open_cache", failing)
    begun = Readings().start(wanted, settings)
    begun.wait(PATIENCE)
    assert "the disk has left" in str(begun.error)
