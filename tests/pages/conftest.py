"""A folder of weights with one tiny model, made for one test and free to be broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import save_tiny_model


@pytest.fixture
def tiny_weights(tmp_path: Path) -> Path:
    """`weights/` with a network of random weights at 32 pixels, named `tiny`."""
    save_tiny_model(tmp_path / "weights" / "tiny")
    return tmp_path / "weights"
