"""Tables ready to show: their columns are never mistaken for one another, whatever the metadata calls its own."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.section_export import section_csv
from lungassist.evaluation.sections import Section, sliced

from .made import index_of, read, table_of


@pytest.mark.parametrize("name", ["Model", "Images", "Classes", "Accuracy (95 %)", "Remarks", "scanner"])
def test_a_property_called_as_a_column_of_ours_has_a_column_of_its_own(name: str, tmp_path: Path) -> None:
    table = table_of(index_of(300))
    # What a spreadsheet would run is quoted, also where the column is called as one of numbers.
    table[name] = ["=1+1" if i % 2 else "mild" for i in range(len(table))]
    section = sliced(Comparison.of([read(tmp_path, "a", table)], resamples=20), name)
    assert len(set(section.columns)) == len(section.columns)
    assert name in section.columns[1]
    head, *rows = csv.reader(io.StringIO(section_csv(section)))
    assert head == list(section.columns)
    assert {row[1] for row in rows} == {"'=1+1", "mild"}


def test_columns_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="different columns"):
        Section("Slices", ("Model", "Images", "Images"), ())
