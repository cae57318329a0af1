"""Folders of a test's own for an application that a browser looks at, and jobs that end with the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lungassist.jobs import JobBoard
from lungassist.settings import Settings


@contextmanager
def own_places(folder: Path) -> Iterator[Settings]:
    """A home, a root for data and a shelf below `folder`; what still runs at the end is stopped."""
    home = folder / "home"
    settings = replace(
        Settings.from_environment(),
        home=home,
        data_roots=(folder / "root",),
        weights_dir=folder / "weights",
        database_url=f"sqlite:///{home / 'lungassist.db'}",
    )
    yield settings
    board = JobBoard.open(settings)
    for job in board.jobs():
        board.cancel(job.id)
    board.close()


def environment_of(places: Settings) -> dict[str, str]:
    """What the application's process is told of them."""
    return {
        "LUNGASSIST_HOME": str(places.home),
        "LUNGASSIST_DATA_ROOTS": str(places.data_roots[0]),
        "LUNGASSIST_WEIGHTS": str(places.weights_dir),
        "LUNGASSIST_MODEL": "",
        "LUNGASSIST_SECOND_MODEL": "",
    }
