"""The benchmarks of evaluation and of the lung field run, small, and their JSON says what it must."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import evaluate, lungfield
from benchmarks.input_pipeline import write_database
from lungassist.classes import CLASSES


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_evaluation_is_held_against_the_bare_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(["--quick", "--json", "--device", "cpu"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["images_per_second"]) == {"bare", "folded", "evaluate"}
    assert result["evaluate_to_bare"] > 0
    assert (result["images"], result["device"]) == (16, "cpu")


def test_the_lung_fields_quality_is_told_by_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_database(tmp_path, 8)
    assert lungfield.main(["--quick", "--json", "--data", str(data), "--images", "1"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["phantoms"]) == set(result["data"]) == set(CLASSES)
    assert all(figures["mean"] > 0.85 for figures in result["phantoms"].values())
    assert all(figures["masks"] is None for figures in result["data"].values())
