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
    found = surroundings.in_other_surroundings(PICTURES, LABELS)
    rows, donors = found.rows, found.donors
    assert len(rows) > 12
    assert (LABELS[rows] != LABELS[donors]).all()
    assert set(LABELS[donors]) == {0, 1, 2, 3}
    for pictures in (found.of_own_class, found.of_other_class):
        changes = np.abs(pictures.astype(float) - PICTURES[rows])
        assert changes[:, 50:80, 30:98].mean() < 0.1 * changes.mean()
    again = surroundings.in_other_surroundings(PICTURES, LABELS)
    for name in ("rows", "of_own_class", "of_other_class", "donors"):
        assert np.array_equal(getattr(found, name), getattr(again, name))


def test_surroundings_of_their_own_class_are_another_images() -> None:
    """All films of a class have a bar of its own grey at the top, and every film one of its own at the bottom."""
    pictures = PICTURES.copy()
    for place, label in enumerate(LABELS.tolist()):
        pictures[place, :12], pictures[place, -12:] = 60 * label, 15 * place
    found = surroundings.in_other_surroundings(pictures, LABELS)
    bars = [picture[-4:, 40:88].mean() for picture in found.of_own_class]
    assert all(abs(bar - 15 * row) > 5 for bar, row in zip(bars, found.rows.tolist(), strict=True))


def test_without_a_second_class_or_image_there_is_nobody_to_get_them_from() -> None:
    for labels in (np.zeros(16, np.int64), np.arange(16)):
        found = surroundings.in_other_surroundings(PICTURES, labels)
        assert found.of_own_class.shape == found.of_other_class.shape == (0, 128, 128)
        assert len(found.rows) == len(found.donors) == 0


def test_the_figures_are_of_the_same_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of_phantoms(tmp_path)
    assert surroundings.main(["--data", str(folder), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["images"] + result["left_out"] == 12
    before, own, other = (line["accuracy"] for line in result["lines"].values())
    assert result["exchange"]["points"] == pytest.approx(own - before, abs=0.02)
    assert result["other_class"]["points"] == pytest.approx(other - own, abs=0.02)
    assert 0 <= result["followed"] <= result["changed"] <= result["images"]
    low, high = result["other_class"]["interval"]
    assert low <= result["other_class"]["points"] <= high
    assert surroundings.main(["--data", str(folder)]) == 0
    assert f"{result['changed']} answers changed" in capsys.readouterr().out


def test_a_folder_of_one_class_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of_phantoms(tmp_path / "all")
    alone = tmp_path / "one"
    alone.mkdir()
    (folder / CLASSES[0]).rename(alone / CLASSES[0])
    with pytest.raises(SystemExit):
        surroundings.main(["--data", str(alone)])
    assert "at least two classes" in capsys.readouterr().err
