"""What tests of several pages share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lungassist.jobs import JobBoard
from lungassist.settings import Settings
from tests.experiments.waiting_room import board_of
from tests.tiny import save_tiny_model


@pytest.fixture
def tiny_weights(tmp_path: Path) -> Path:
    """`weights/` with a network of random weights at 32 pixels, named `tiny`; free to be broken."""
    save_tiny_model(tmp_path / "weights" / "tiny")
    return tmp_path / "weights"


@pytest.fixture
def board(settings: Settings) -> Iterator[JobBoard]:
    """The board of the test's own `settings`, on which all jobs wait."""
    board = board_of(settings)
    yield board
    board.close()
