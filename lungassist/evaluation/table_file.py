"""A table of predictions as it stands in a file, CSV or Parquet, before anything is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

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
        if path.suffix.lower() in PARQUET:
            table = pd.read_parquet(path)
        else:
            # pandas gives a second column of one name another, so that the line of names is looked at first.
            header = pd.read_csv(path, header=None, nrows=1, **_AS_TEXT)
            _refuse_repeated([name for name in map(str.strip, header.iloc[0]) if name], path)
            table = pd.read_csv(path, **_AS_TEXT)
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


def _refuse_repeated(names: list[str], path: Path) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise PredictionsError(f"{path} has the column {repeated[0]!r} twice. Keep one of them, or rename it.")
