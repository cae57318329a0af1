"""A table of predictions as it stands in a file, CSV or Parquet, before anything is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from lungassist.dataset.index import separator_of
from lungassist.errors import PredictionsError
from lungassist.evaluation.predictions import PREFIX

PARQUET: Final = frozenset({".parquet", ".pq"})

#: Texts stay as they are written: a label NA is no missing one.
_AS_TEXT: Final[dict[str, Any]] = {"dtype": str, "keep_default_na": False}


def read_table_file(path: Path) -> pd.DataFrame:
    """The file's columns, their names without spaces around; all but the probabilities are text, '' for nothing.

    Raises:
        PredictionsError: it is not there, no such file, empty, or has two columns of one name.
    """
    try:
        table = pd.read_parquet(path) if path.suffix.lower() in PARQUET else _read_csv(path)
    except FileNotFoundError as error:
        raise PredictionsError(f"{path} does not exist. Expected a table of predictions, CSV or Parquet.") from error
    except pd.errors.EmptyDataError as error:
        raise PredictionsError(f"{path} is empty. Expected a table of predictions, with a row an image.") from error
    except (OSError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise PredictionsError(f"{path} cannot be read as a table of predictions, CSV or Parquet: {reason}") from error
    table.columns = [str(column).strip() for column in table.columns]
    _refuse_repeated(list(table.columns), path)
    text = [name for name in map(str, table) if not name.startswith(PREFIX)]
    return table.assign(**{name: table[name].astype(object).where(table[name].notna(), "").map(str) for name in text})


def _read_csv(path: Path) -> pd.DataFrame:
    """Columns parted by commas, or by semicolons or tabs where the line of names says so; those have decimal commas."""
    separator = separator_of(path)
    # pandas gives a second column of one name another, so that the line of names is looked at first.
    header = pd.read_csv(path, header=None, nrows=1, sep=separator, **_AS_TEXT)
    _refuse_repeated([name for name in map(str.strip, header.iloc[0]) if name], path)
    table = pd.read_csv(path, sep=separator, **_AS_TEXT)
    if not isinstance(table.index, pd.RangeIndex) and (table.iloc[:, -1] == "").all():
        # A separator at the end of every row, for which pandas moves all values by one; else they are R's row names.
        table = pd.read_csv(path, sep=separator, index_col=False, usecols=range(header.shape[1]), **_AS_TEXT)
    if separator != ",":
        numbers = [name for name in table if str(name).strip().startswith(PREFIX)]
        table[numbers] = table[numbers].apply(lambda values: values.str.replace(",", ".", regex=False))
    plain: pd.DataFrame = table.reset_index(drop=True)
    return plain


def _refuse_repeated(names: list[str], path: Path) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise PredictionsError(f"{path} has the column {repeated[0]!r} twice. Keep one of them, or rename it.")
