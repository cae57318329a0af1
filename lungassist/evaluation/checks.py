"""What is looked at before a table of predictions is believed; each complaint names what came and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from lungassist.classes import CLASSES
from lungassist.dataset import SPLITS, UNREADABLE, UNUSED
from lungassist.dataset.index import class_named
from lungassist.errors import PredictionsError
from lungassist.evaluation.predictions import PREFIX

#: How far a row's sum may be from 1: probabilities that were written with three digits.
SUM_TOLERANCE: Final = 0.01

_WORDS: Final = (*SPLITS, UNUSED, UNREADABLE)


def spelled_alike(table: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, tuple[str, ...], list[str]]:
    """Check the columns and give the classes the names that they have everywhere in LungAssist.

    Returns:
        The table, the classes in order, and notes.

    Raises:
        PredictionsError: a column is missing, there are fewer than two classes, or two are the same.
    """
    if missing := [name for name in ("file", "label") if name not in table]:
        raise PredictionsError(
            f"{path} is no table of predictions: the column {missing[0]!r} is missing. "
            f"Expected file, label and a {PREFIX}CLASS for each class; found: {_some(table.columns)}."
        )
    given = [name for name in map(str, table) if name.startswith(PREFIX)]
    if len(given) < 2:
        raise PredictionsError(
            f"{path} has {len(given)} columns {PREFIX}CLASS. Expected one for each of at least two classes, "
            f"such as {PREFIX}{CLASSES[0]}; found: {_some(table.columns)}."
        )
    named = {column: class_named(column.removeprefix(PREFIX).strip()) for column in given}
    if len(set(named.values())) < len(given):
        twice = next(label for label in named.values() if list(named.values()).count(label) > 1)
        both = " and ".join(column for column, label in named.items() if label == twice)
        raise PredictionsError(f"{path}: {both} are the same class, {twice}. Keep one of them.")
    classes = _ordered(set(named.values()))
    labels = table["label"].map(lambda label: class_named(label.strip()))
    notes = [f"The class {was} was taken for {label}." for was, label in _renamed(table["label"], labels)]
    return (
        table.rename(columns={c: f"{PREFIX}{label}" for c, label in named.items()}).assign(label=labels),
        classes,
        notes,
    )


def _ordered(found: set[str]) -> tuple[str, ...]:
    """The database's classes in its order, others by the alphabet."""
    return CLASSES if found == set(CLASSES) else tuple(sorted(found))


def _renamed(before: pd.Series[str], after: pd.Series[str]) -> list[tuple[str, str]]:
    pairs = pd.DataFrame({"before": before, "after": after}).drop_duplicates()
    return [(b, a) for b, a in pairs.itertuples(index=False) if b != a]


def check_rows(rows: pd.DataFrame, classes: tuple[str, ...], path: Path) -> list[str]:
    """Check the rows of one model, and make its probabilities numbers in place.

    Returns:
        Notes.

    Raises:
        PredictionsError: naming the first row that is wrong.
    """
    if rows.empty:
        raise PredictionsError(f"{path} has no row of the splits {', '.join(SPLITS)}.")
    _check_words(rows, classes, path)
    columns = [f"{PREFIX}{label}" for label in classes]
    numbers = rows[columns].apply(pd.to_numeric, errors="coerce").astype(np.float64)
    _check_numbers(rows, numbers, path)
    for column in columns:
        rows[column] = numbers[column]
    present = set(rows["label"])
    if len(present) == 1:
        raise PredictionsError(
            f"{path}: all {len(rows):,} images are of the class {rows['label'].iat[0]}. Precision, specificity and ROC "
            "need images of at least one other; add some."
        )
    return [f"No image is of the class {label}: its recall is unknown." for label in classes if label not in present]


def _check_words(rows: pd.DataFrame, classes: tuple[str, ...], path: Path) -> None:
    if (unknown := ~rows["label"].isin(classes)).any():
        label, file = _first(rows["label"], unknown), _first(rows["file"], unknown)
        raise PredictionsError(
            f"{path}: the label {label!r} of {file!r} has no probability; the table has those of {', '.join(classes)}. "
            f"Correct the label, or add the column {PREFIX}{label}: 0 everywhere if the model does not know the class."
        )
    if (strange := ~rows["split"].isin(_WORDS)).any():
        raise PredictionsError(
            f"{path}: a split must be one of {', '.join(SPLITS)}; {_first(rows['file'], strange)!r} has "
            f"{_first(rows['split'], strange)!r}."
        )
    if (nameless := rows["file"] == "").any():
        raise PredictionsError(f"{path}: {int(nameless.sum()):,} rows name no file. Every row needs one.")
    if (again := rows["file"].duplicated()).any():
        raise PredictionsError(
            f"{path} names {int(again.sum()):,} files more than once, such as {_first(rows['file'], again)!r}. Each "
            "must stand once for a model; if the rows are of different models, say which in a column model."
        )


def _check_numbers(rows: pd.DataFrame, numbers: pd.DataFrame, path: Path) -> None:
    values = numbers.to_numpy()
    if (strange := ~np.isfinite(values)).any():
        row, column = (int(i) for i in np.argwhere(strange)[0])
        came = rows[numbers.columns[column]].iat[row]
        raise PredictionsError(
            f"{path}: {numbers.columns[column]} of {rows['file'].iat[row]!r} is {str(came)!r}; expected a number in "
            "[0, 1]."
        )
    sums = values.sum(axis=1)
    if np.allclose(sums, 100, atol=100 * SUM_TOLERANCE) and values.min() >= 0:
        raise PredictionsError(f"{path}: the probabilities sum to 100; they look like percent. Divide them by 100.")
    if (outside := ((values < 0) | (values > 1 + 1e-9)).any(axis=1)).any():
        row = int(np.argmax(outside))
        raise PredictionsError(
            f"{path}: the probabilities of {rows['file'].iat[row]!r} are {_listed(values[row])}; expected numbers in "
            "[0, 1]. If they are logits, apply a softmax first."
        )
    if (off := np.abs(sums - 1) > SUM_TOLERANCE).any():
        row = int(np.argmax(off))
        raise PredictionsError(
            f"{path}: the probabilities of {int(off.sum()):,} images do not sum to 1, such as those of "
            f"{rows['file'].iat[row]!r}, {_listed(values[row])}, to {sums[row]:.4g}. Classes must exclude each other."
        )


def _first(values: pd.Series[str], where: pd.Series[bool]) -> str:
    return str(values[where].iat[0])


def _listed(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _some(names: pd.Index[str]) -> str:
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if len(names) else "nothing"
