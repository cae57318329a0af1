"""A shelf with one tiny model, a few synthetic studies, and a way to run the command line for real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lungassist.classes import CLASSES, COVID, NORMAL, VIRAL_PNEUMONIA
from lungassist.imaging import png_bytes
from lungassist.models.registry import build
from lungassist.models.weights import save_model
from lungassist.phantom import phantom_dicom, phantom_png
from tests.drawn import card_of

ROOT = Path(__file__).resolve().parents[2]

FIGURES = {
    "test": {
        "accuracy": 0.9123,
        "per_class": {COVID: {"recall": 0.875}},
        "called_normal": {COVID: 3, VIRAL_PNEUMONIA: 1},
        "expected_calibration_error": 0.021,
    }
}

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Passes this small are faster so, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def _shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shelf = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    network = build("mobilenet_v3_small", len(CLASSES))
    # Random batch statistics, so that the last activations are not all but zero.
    network.train()
    with torch.no_grad():
        for _ in range(10):
            network(torch.randn(8, 3, 64, 64))
    save_model(shelf / "tiny", network.state_dict(), card_of(name="tiny", figures=FIGURES))
    return shelf


@pytest.fixture
def shelf(_shelf: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models that every command of a test uses, in this process and in others."""
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(_shelf))
    monkeypatch.delenv("LUNGASSIST_MODEL", raising=False)
    monkeypatch.delenv("LUNGASSIST_SECOND_MODEL", raising=False)
    return _shelf


@pytest.fixture
def own_shelf(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shelf, free to be added to."""
    copied = shutil.copytree(shelf, tmp_path / "weights")
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(copied))
    return copied


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a PNG, a text file that claims to be one, and a DICOM file, in this order."""
    folder = tmp_path_factory.mktemp("ward")
    (folder / "a.png").write_bytes(phantom_png(COVID, 1, size=96))
    (folder / "b.png").write_text("no image at all")
    (folder / "c.dcm").write_bytes(phantom_dicom(NORMAL, 2, size=96))
    return folder


@pytest.fixture
def command() -> Command:
    """Run `python -m lungassist` as a user would, in a process of its own."""

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "lungassist", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            line, capture_output=True, text=True, timeout=120, check=False, env=environment, cwd=ROOT, **options
        )

    return run


def noise_png(seed: int) -> bytes:
    """A small grey picture that is cheap to make and like no other."""
    picture = np.random.default_rng(seed).integers(0, 256, (48, 40), np.uint8)
    return png_bytes(picture)


def objects(text: str) -> list[dict[str, Any]]:
    """Every line as the JSON object that it must be."""
    return [json.loads(line) for line in text.splitlines()]
