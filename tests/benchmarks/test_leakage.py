"""Test images that show a film of the training split are found and counted apart."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import leakage
from lungassist.classes import CLASSES
from tests.drawn import film, png


def test_a_film_on_both_sides_of_the_split_is_counted_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for label in CLASSES:
        folder = tmp_path / "data" / label / "images"
        folder.mkdir(parents=True)
        for seed, split in ((1, "train"), (2, "test"), (3, "validation")):
            (folder / f"film-{seed}.png").write_bytes(png(film(label, seed, (128, 128))))
            rows.append((f"{label}/images/film-{seed}.png", label, split))
    twin = tmp_path / "data" / "COVID" / "images" / "twin.png"
    twin.write_bytes(png(film("COVID", 1, (128, 128))))
    rows.append(("COVID/images/twin.png", "COVID", "test"))
    split = tmp_path / "split.csv"
    pd.DataFrame(rows, columns=["file", "label", "split"]).to_csv(split, index=False)

    assert leakage.main(["--data", str(tmp_path / "data"), "--split", str(split), "--json"]) == 0
    test = json.loads(capsys.readouterr().out)["test"]
    assert {name: part["images"] for name, part in test.items()} == {
        "all": 5,
        "without a duplicate in training": 4,
        "with a duplicate in training": 1,
    }
    assert test["with a duplicate in training"]["accuracy"] in {0, 100}
