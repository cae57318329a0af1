"""What a file holds is what is read: no column is renamed, moved or lost without a word."""

from __future__ import annotations

from pathlib import Path

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
