"""What tests of several rooms share. No test needs a network, a GPU, or anybody's X-ray."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

# Small networks on a busy machine: threads that wait for each other cost more than they bring. Set before torch is
# imported, and inherited by every process that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Nor may a test see or touch what somebody has in their data folder; tests get one each below, fixtures share this one.
_HOME = tempfile.TemporaryDirectory(prefix="lungassist-home-")
os.environ["LUNGASSIST_HOME"] = _HOME.name


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's data folder, a fresh one for every test."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("LUNGASSIST_HOME", str(folder))
    for name in ("LUNGASSIST_DATA_ROOTS", "LUNGASSIST_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 4 classes with 10 drawn films each, in the database's layout. Read only."""
    from lungassist.classes import CLASSES
    from tests.drawn import write_films

    return write_films(tmp_path_factory.mktemp("films"), dict.fromkeys(CLASSES, 10))


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as in `weights/`, with the smallest network at 64 pixels. Read only: copy it to change it."""
    from lungassist.models.weights import save_model
    from tests.drawn import card_of, network_of

    folder = tmp_path_factory.mktemp("weights") / "small"
    save_model(folder, network_of().state_dict(), card_of())
    return folder


@pytest.fixture(scope="session")
def xrays() -> Path:
    """The folder of real X-rays, which never enter the project; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("LUNGASSIST_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"there are no real X-rays in {folder}; LUNGASSIST_TEST_DATA names another folder")
    return folder
