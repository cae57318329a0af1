"""Pairs of models whose recipes differ in one setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.predictions import write_predictions
from lungassist.evaluation.tables import read_tables
from lungassist.experiments.ablations import ablations
from tests.evaluation.made import index_of, table_of
from tests.tiny import tiny_card


def put(folder: Path, seed: int, recipe: dict[str, Any], count: int = 600) -> Path:
    path = folder / "predictions.csv"
    write_predictions(path, table_of(index_of(count), seed=seed))
    tiny_card(folder.name, hyper_parameters=recipe).write(folder / "card.json")
    return path


def test_only_pairs_with_one_different_setting_on_the_same_images_are_named(tmp_path: Path) -> None:
    adam = {"optimiser": "adam", "size": 160, "workers": 2}
    paths = [
        put(tmp_path / "adam", 1, adam),
        put(tmp_path / "sgd", 2, {**adam, "optimiser": "sgd", "workers": 8}),
        put(tmp_path / "both", 3, {**adam, "optimiser": "sgd", "size": 224}),
        put(tmp_path / "others", 4, {**adam, "seed": 9}, count=500),
    ]
    comparison = Comparison.of(read_tables(paths), resamples=20)
    found = {(each.setting, each.pair.a, each.pair.b): each for each in ablations(comparison)}
    assert set(found) == {("optimiser", "adam", "sgd"), ("size", "sgd", "both")}
    first = found["optimiser", "adam", "sgd"]
    assert (first.value_a, first.value_b) == ("adam", "sgd")
    assert first.pair == comparison.head_to_head("adam", "sgd")
