"""Reads tables of predictions, LungAssist's own and those made elsewhere.

A row an image, as CSV or Parquet, with the columns

  file                 the image; named once for a model. Tables are compared by it
  label                the true class
  probability_CLASS    for every class, in [0, 1]; a row sums to 1, but for rounding
  patient_id           '', absent or a word such as NA: unknown, and the image counts as a patient of its own
  split                train, validation or test; absent: all of the images are test images
  model, version       of what made the row; absent: from the card beside the file, else from the file's name
  evidence_in_lungs, lung_area, lung_field
                       of the shortcut audit, see `evidence`
  source, ...          any further column: a property of the image, by which results can be sliced

The usual spellings of the database's four classes are understood; other class sets work too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lungassist.dataset import SPLITS, UNREADABLE, UNUSED
from lungassist.errors import PredictionsError, WeightsError
from lungassist.evaluation.checks import check_rows, spelled_alike
from lungassist.evaluation.evidence import COLUMNS
from lungassist.evaluation.patients import known_patients
from lungassist.evaluation.predictions import PREFIX, arrays_of
from lungassist.evaluation.sameness import UNKNOWN, Pictures, pictures_of, remarks_of
from lungassist.evaluation.table_file import read_table_file
from lungassist.models.card import Card

#: What every table has, after reading, before the columns that only some have.
COMMON: Final = ("file", "label", "patient_id", "split", "source")

_CARD: Final = "card.json"


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What one model said of some images.

    Attributes:
        name: of the model; different for each table of a comparison.
        version: of the model; '' where unknown.
        classes: in the order of the probabilities.
        table: a row an image, in the file's order: `COMMON`, further properties, `probability_CLASS`.
        notes: in sentences, what was taken for granted when it was read.
        card: the model's, where it lay beside the table.
        path: where the table was read from.
        pictures: of which images it is, as far as that is recorded.
    """

    name: str
    version: str
    classes: tuple[str, ...]
    table: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()
    card: Card | None = field(default=None, repr=False)
    path: Path | None = None
    pictures: Pictures = UNKNOWN

    def __len__(self) -> int:
        return len(self.table)

    @property
    def labels(self) -> NDArray[np.int64]:
        """`(N,)` indices into `classes`."""
        return arrays_of(self.table, self.classes)[0]

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """`(N, K)`, as they were written."""
        return arrays_of(self.table, self.classes)[1]

    @property
    def properties(self) -> tuple[str, ...]:
        """Columns by which results can be sliced: properties of the images, which neither name nor judge them."""
        fixed = {"file", "label", "split", "patient_id", *COLUMNS, *(f"{PREFIX}{name}" for name in self.classes)}
        return tuple(name for name in map(str, self.table) if name not in fixed)

    @property
    def splits(self) -> tuple[str, ...]:
        """Those of train, validation and test that have images."""
        present = set(self.table["split"].unique())  # not every row: a page asks at every rerun
        return tuple(name for name in SPLITS if name in present)

    def of_split(self, split: str) -> Predictions:
        """The images of one split; none is no error."""
        chosen = self.table[self.table["split"] == split].reset_index(drop=True)
        return replace(self, table=chosen)


def read_predictions(path: Path) -> Predictions:
    """Read a table of one model.

    Raises:
        PredictionsError: it cannot be read, is empty, holds several models, or breaks the schema above; the message
            names the first row that does.
    """
    found = _read_models(path)
    if len(found) > 1:
        names = ", ".join(table.name for table in found)
        raise PredictionsError(f"{path} holds {len(found)} models ({names}); one was expected. Choose a table of one.")
    return found[0]


def read_tables(paths: Iterable[Path]) -> tuple[Predictions, ...]:
    """Read tables for a comparison; one file may hold several models, and no two of the result share a name.

    Raises:
        PredictionsError: see `read_predictions`; or the models' classes differ, or no table is named.
    """
    tables = [table for path in paths for table in _read_models(path)]
    if not tables:
        raise PredictionsError("No table of predictions was named. Make one with python -m lungassist evaluate.")
    for table in tables[1:]:
        refuse_other_classes(table, tables[0].classes, tables[0].name)
    return named_apart(tables)


def refuse_other_classes(table: Predictions, classes: tuple[str, ...], whose: str) -> None:
    """Compare like with like.

    Raises:
        PredictionsError: the table's classes are not `classes`; says which are missing and which too many.
    """
    missing, extra = set(classes) - set(table.classes), set(table.classes) - set(classes)
    if missing or extra:
        told = [f"it lacks {', '.join(sorted(missing))}"] if missing else []
        told += [f"it has {', '.join(sorted(extra))} besides"] if extra else []
        raise PredictionsError(
            f"{table.name} cannot be compared with {whose}, whose classes are {', '.join(classes)}: "
            f"{' and '.join(told)}. A class that a model does not know has the probability 0."
        )


def named_apart(tables: Sequence[Predictions]) -> tuple[Predictions, ...]:
    """Give every table a name of its own: two models of one name get their versions, or a number, behind it."""
    versions: dict[str, set[str]] = {}
    for table in tables:
        versions.setdefault(table.name, set()).add(table.version)
    versioned = [f"{t.name} {t.version}".strip() if len(versions[t.name]) > 1 else t.name for t in tables]
    taken: dict[str, int] = {}
    result = []
    for name, table in zip(versioned, tables, strict=True):
        taken[name] = taken.get(name, 0) + 1
        result.append(replace(table, name=name if taken[name] == 1 else f"{name} ({taken[name]})"))
    return tuple(result)


def _read_models(path: Path) -> list[Predictions]:
    table = read_table_file(path)
    if table.empty:
        raise PredictionsError(f"{path} has no rows. Expected one an image.")
    table, classes, notes = spelled_alike(table, path)
    card = _card_beside(path)
    notes = [*notes, *remarks_of(path)]
    table = table.assign(
        model=_given(table, "model", card.name if card else _stem(path)),
        version=_given(table, "version", card.full_version if card else ""),
    )
    return [
        _of_model(path, rows, str(name), str(version), classes, notes, card)
        for (name, version), rows in table.groupby(["model", "version"], sort=False)
    ]


def _of_model(
    path: Path,
    rows: pd.DataFrame,
    name: str,
    version: str,
    classes: tuple[str, ...],
    notes: Sequence[str],
    card: Card | None,
) -> Predictions:
    told = list(notes)
    if "split" not in rows:
        told.append("The table has no column split: every image counts as a test image.")
        rows = rows.assign(split="test")
    rows = rows[~rows["split"].isin((UNUSED, UNREADABLE))]
    for column in ("patient_id", "source"):
        if column not in rows:
            rows = rows.assign(**{column: ""})
    patients, unknown = known_patients(rows["patient_id"])
    rows, told = rows.assign(patient_id=patients), told + unknown
    rows = rows.drop(columns=["model", "version"]).reset_index(drop=True)
    probabilities = [f"{PREFIX}{label}" for label in classes]
    others = [column for column in rows if column not in (*COMMON, *probabilities)]
    rows = rows[[*COMMON, *others, *probabilities]]
    told += check_rows(rows, classes, path)
    fitting = card if card is not None and card.name == name and card.classes == classes else None
    return Predictions(name, version, classes, rows, tuple(told), fitting, path, pictures_of(path, rows, fitting))


def _card_beside(path: Path) -> Card | None:
    """The card of the model's folder that the table lies in; a damaged one is as none, for the table is what counts."""
    try:
        return Card.read(path.parent / _CARD) if (path.parent / _CARD).is_file() else None
    except WeightsError:
        return None


def _given(table: pd.DataFrame, column: str, otherwise: str) -> pd.Series[str]:
    if column not in table:
        return pd.Series(otherwise, index=table.index)
    return table[column].where(table[column] != "", otherwise)


def _stem(path: Path) -> str:
    return path.parent.name if path.stem == "predictions" and path.parent.name else path.stem
