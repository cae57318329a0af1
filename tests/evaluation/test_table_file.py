"""What a file holds is what is read: no column is renamed, moved or lost without a word."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lungassist.errors import PredictionsError
from lungassist.evaluation.tables import read_predictions

from .made import index_of, table_of, written


def with_header(folder: Path, *repeated: str) -> Path:
    """A table with further columns of these names."""
    path = written(folder, "a", table_of(index_of(60)))
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([",".join([head, *repeated]), *(row + ",x" * len(repeated) for row in rows)]))
    return path


@pytest.mark.parametrize("name", ["probability_COVID", "label", " label ", '"patient_id"', "source"])
def test_two_columns_of_one_name_are_refused(name: str, tmp_path: Path) -> None:
    plain = name.replace('"', "").strip()
    with pytest.raises(PredictionsError, match=f"has the column '{plain}' twice"):
        read_predictions(with_header(tmp_path, name))


def test_columns_without_a_name_are_no_columns_of_one_name(tmp_path: Path) -> None:
    assert len(read_predictions(with_header(tmp_path, "", ""))) == 60


def test_a_column_that_ends_in_a_number_is_not_a_repeated_one(tmp_path: Path) -> None:
    assert "source.1" in read_predictions(with_header(tmp_path, "source.1")).properties


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_spreadsheets_table_with_decimal_commas(separator: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a", table_of(index_of(60)))
    expected = read_predictions(path).table
    head, *rows = path.read_text().splitlines()
    other = tmp_path / "other" / path.name
    other.parent.mkdir()
    lines = [head.replace(",", separator), *(row.replace(",", separator).replace(".", ",") for row in rows)]
    other.write_text("\n".join(lines).replace(",png", ".png").replace(",jpg", ".jpg"))
    found = read_predictions(other).table
    probabilities = [name for name in expected if str(name).startswith("probability_")]
    pd.testing.assert_frame_equal(found[probabilities], expected[probabilities])
    assert found["file"].tolist() == expected["file"].tolist()


def test_a_comma_at_the_end_of_every_row_moves_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, "a", table_of(index_of(60)))
    expected = read_predictions(path).table
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *(f"{row}," for row in rows)]))
    pd.testing.assert_frame_equal(read_predictions(path).table, expected)
    path.write_text("\n".join([head, *(f"{number},{row}" for number, row in enumerate(rows))]))  # as R writes its names
    pd.testing.assert_frame_equal(read_predictions(path).table, expected)
