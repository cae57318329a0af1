"""The benchmark of surroundings gives every chest those of another class, and pairs it with the image as it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import surroundings
from lungassist.classes import CLASSES
from lungassist.phantom import phantom
from tests.benchmarks.test_robustness import folder_of_phantoms

PICTURES = np.stack([phantom(CLASSES[i % 4], seed=i, size=128) for i in range(16)])
LABELS = np.arange(16) % 4


def test_every_image_gets_the_surroundings_of_another_class_and_keeps_its_chest() -> None:
    exchanged, rows, donors = surroundings.in_other_surroundings(PICTURES, LABELS)
    assert len(rows) > 12
    assert (LABELS[rows] != LABELS[donors]).all()
    assert set(LABELS[donors]) == {0, 1, 2, 3}
    changes = np.abs(exchanged.astype(float) - PICTURES[rows])
    middle = changes[:, 50:80, 30:98]
    assert middle.mean() < 0.1 * changes.mean()
    again = surroundings.in_other_surroundings(PICTURES, LABELS)
    assert all(np.array_equal(one, other) for one, other in zip((exchanged, rows, donors), again, strict=True))


def test_with_one_class_there_is_nobody_to_get_them_from() -> None:
    exchanged, rows, donors = surroundings.in_other_surroundings(PICTURES, np.zeros(16, np.int64))
    assert exchanged.shape == (0, 128, 128)
    assert len(rows) == len(donors) == 0


def test_the_figures_are_of_the_same_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of_phantoms(tmp_path)
    assert surroundings.main(["--data", str(folder), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["images"] + result["left_out"] == 12
    before, after = result["as_they_are"]["accuracy"], result["exchanged"]["accuracy"]
    assert result["points"] == pytest.approx(after - before, abs=0.02)
    assert 0 <= result["followed"] <= result["changed"] <= result["images"]
    low, high = result["points_interval"]
    assert low <= result["points"] <= high


def test_a_folder_of_one_class_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of_phantoms(tmp_path / "all")
    alone = tmp_path / "one"
    alone.mkdir()
    (folder / CLASSES[0]).rename(alone / CLASSES[0])
    with pytest.raises(SystemExit):
        surroundings.main(["--data", str(alone)])
    assert "at least two classes" in capsys.readouterr().err
