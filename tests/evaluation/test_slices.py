"""How properties fall into slices: numbers by quartile under names that differ, and all in an order one expects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.slices import OTHERS, UNKNOWN, in_natural_order

from .made import index_of, read, table_of

INDEX = index_of(400).assign(split="test")
DATES = [f"202001{1 + i % 28:02d}" for i in range(400)]


def sliced(folder: Path, values: Sequence[object]) -> dict[str, int]:
    """Slice -> images."""
    table = table_of(INDEX).assign(studied=list(map(str, values)))
    parts = Comparison.of([read(folder, "a", table)], resamples=20).slices("studied")
    assert len({part.value for part in parts}) == len(parts), "no two slices share a name"
    return {part.value: part.images for part in parts}


def test_days_written_as_numbers_have_four_quartiles_between_real_days(tmp_path: Path) -> None:
    found = sliced(tmp_path, DATES)
    assert list(found) == [
        "20200101 to 20200107",
        "20200107 to 20200114",
        "20200114 to 20200121",
        "20200121 to 20200128",
    ]
    counted = Counter((int(day) - 20200101) // 7 for day in DATES)
    assert list(found.values()) == [counted[week] for week in range(4)]


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e12])
def test_numbers_that_differ_in_their_last_digits_have_four_quartiles(offset: float, tmp_path: Path) -> None:
    values = offset + np.random.default_rng(0).permutation(400) / 1000
    found = sliced(tmp_path, [repr(float(value)) for value in values])
    assert list(found.values()) == [100, 100, 100, 100]
    assert all("e+" not in name for name in found)


def test_quartiles_are_those_of_the_values(tmp_path: Path) -> None:
    ages = np.random.default_rng(1).integers(1, 91, 400)
    found = sliced(tmp_path, ages.tolist())
    edges = np.quantile(ages, (0, 0.25, 0.5, 0.75, 1), method="inverted_cdf")
    assert list(found) == [f"{low} to {high}" for low, high in pairwise(edges)]
    assert list(found.values()) == np.diff([0, *(int((ages <= edge).sum()) for edge in edges[1:])]).tolist()


def test_what_is_unknown_comes_last_and_is_not_among_the_numbers(tmp_path: Path) -> None:
    found = sliced(tmp_path, ["" if i % 2 else i for i in range(400)])
    assert list(found)[-1] == UNKNOWN
    assert found[UNKNOWN] == 200
    assert list(found.values())[:4] == [50, 50, 50, 50]


def test_bands_come_by_their_numbers_and_names_by_their_size(tmp_path: Path) -> None:
    bands = pd.cut(np.arange(400) % 90, [-1, 8, 17, 64, 90], labels=["<9", "9-17", "18-64", ">64"])
    assert list(sliced(tmp_path, list(bands))) == ["<9", "9-17", "18-64", ">64"]
    assert list(sliced(tmp_path, [("small", "large", "large")[i % 3] for i in range(400)])) == ["large", "small"]
    assert in_natural_order(["10", UNKNOWN, "9", OTHERS, "2"]) == ["2", "9", "10", OTHERS, UNKNOWN]
