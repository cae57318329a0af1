"""Limits small enough that a test can cross them, and a picture to encode."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from lungassist.imaging import Radiograph, read_radiograph
from lungassist.settings import Settings


@pytest.fixture(scope="session")
def settings() -> Settings:
    return replace(
        Settings.from_environment(),
        max_pixels=1_000_000,
        max_file_bytes=8_000_000,
        max_archive_bytes=20_000_000,
        max_archive_members=50,
        batch_size=8,
    )


@pytest.fixture(scope="session")
def read(settings: Settings) -> Callable[..., Radiograph]:
    """Read bytes under the name `study`, or the one given."""

    def read_bytes(data: bytes, name: str = "study") -> Radiograph:
        return read_radiograph(data, name, settings)

    return read_bytes


@pytest.fixture(scope="session")
def ramp() -> NDArray[np.uint16]:
    """`(72, 88)` of 12-bit values: a slope with some noise, neither symmetric nor square."""
    down, across = np.mgrid[:72, :88]
    noise = np.random.default_rng(5).integers(0, 40, down.shape)
    return np.asarray(down * 40 + across * 12 + noise, np.uint16)
