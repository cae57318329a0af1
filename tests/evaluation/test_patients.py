"""Whose images they are: words for 'unknown' make no patient, and one patient alone gives no interval."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.comparison_html import comparison_html
from lungassist.evaluation.comparison_json import comparison_json
from lungassist.evaluation.figure_export import figure_names, figure_svg
from lungassist.evaluation.sections import sections
from lungassist.metrics import Interval

from .made import index_of, read, table_of

INDEX = index_of(300)


def compared(folder: Path, **tables: pd.DataFrame) -> Comparison:
    return Comparison.of([read(folder, name, table) for name, table in tables.items()], resamples=50)


def intervals(comparison: Comparison) -> dict[str, Interval]:
    return {row.model: row.accuracy.interval for row in comparison.leaderboard}


@pytest.mark.parametrize("word", ["NA", "N/A", "NaN", "nan", "null", "None", "unknown", " Unknown "])
def test_a_word_for_unknown_is_no_patient(word: str, tmp_path: Path) -> None:
    table = table_of(INDEX)
    found = compared(tmp_path, a=table.assign(patient_id=word))
    assert intervals(found) == intervals(compared(tmp_path, a=table.assign(patient_id="")))
    assert any(repr(word.strip()) in note and "unknown" in note for note in found.notes)


def test_patients_that_are_named_stay_where_others_are_not_known(tmp_path: Path) -> None:
    named = table_of(INDEX)
    some = named.assign(patient_id=named["patient_id"].replace("", "NA"))
    assert intervals(compared(tmp_path, a=some)) == intervals(compared(tmp_path, a=named))


@pytest.mark.parametrize("others", ["known", "unknown"])
def test_a_table_that_gives_all_images_one_patient_does_not_speak_for_others(others: str, tmp_path: Path) -> None:
    table = table_of(INDEX, seed=2) if others == "known" else table_of(INDEX, seed=2).assign(patient_id="")
    found = compared(tmp_path, first=table_of(INDEX).assign(patient_id="study"), b=table)
    assert intervals(found)["b"] == intervals(compared(tmp_path, b=table))["b"]


def test_images_of_one_patient_have_no_intervals_and_that_is_said(tmp_path: Path) -> None:
    tables = {name: table_of(INDEX, seed=seed).assign(patient_id="p1") for seed, name in enumerate("ab")}
    found = compared(tmp_path, **tables)
    assert all(math.isnan(end) for interval in intervals(found).values() for end in interval)
    assert all(math.isnan(end) for part in found.slices("source") for end in part.interval)
    assert math.isnan(found.head_to_head("a", "b").interval.low)
    assert math.isnan(found.judged("a", "sick", 0.5).sensitivity.bootstrap.low)
    assert any("one patient" in note and "'p1'" in note for note in found.notes)


def test_figures_without_an_interval_are_shown_alone(tmp_path: Path) -> None:
    found = compared(tmp_path, **{n: table_of(INDEX, seed=i).assign(patient_id="p") for i, n in enumerate("ab")})
    cells = [cell for section in sections(found) for row in section.rows for cell in row]
    assert not [cell for cell in cells if "()" in cell or "nan" in cell]
    assert "one patient" in comparison_html(found)
    assert "NaN" not in json.dumps(comparison_json(found))
    assert all("nan" not in figure_svg(found, name) for name in figure_names(found))
