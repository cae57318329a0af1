"""Which images of a folder a model has learnt from: the split that its evaluation there has to use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lungassist.dataset import SPLITS, UNUSED, DatasetIndex, read_split
from lungassist.errors import DatasetError
from lungassist.models.weights import PREDICTIONS_FILE


@dataclass(frozen=True, slots=True)
class Assigned:
    """Splits of an index's images, `(N,)`, and what a person should know of them."""

    splits: NDArray[np.str_]
    notes: tuple[str, ...]


def splits_for(index: DatasetIndex, model_folder: Path, split_file: Path | None = None) -> Assigned:
    """Say of every image in which split it is.

    A split file decides, where one is given; images that it does not name are left out. Without one, files are looked
    up in the model's own table of predictions by label and name, whatever their format: the public database's
    `COVID/images/COVID-1.png` is the `COVID-1.jpg` of a copy. If half of the folder, or half of the table, is found so,
    the table's splits are used, and what it does not know is test. Every other folder is new to the model: all test.

    Raises:
        DatasetError: the split file cannot be used, or names none of the images.
    """
    if split_file is not None:
        return _from_file(index, split_file)
    known = _own_split(model_folder)
    if known is None:
        return Assigned(_all_test(index), ("The model's own split is not known: every image counts as test.",))
    names, same = _matched(index, known)
    if not _is_its_own(same, known):
        return Assigned(_all_test(index), _warned(int(same.sum())))
    splits = names.map(known["split"]).where(same, "test")
    notes = ["By the names of its files, the model was trained on images of this folder: its own split is used."]
    if not same.all():
        notes.append(f"{int((~same).sum()):,} images are new to it and count as test.")
    return Assigned(np.asarray(splits, dtype=np.str_), tuple(notes))


def seen_in_training(index: DatasetIndex, model_folder: Path) -> NDArray[np.bool_]:
    """Which images `(N,)` the model was trained on, by its own table: only if the folder is the one that it names.

    What a split file says of them changes nothing of that.
    """
    known = _own_split(model_folder)
    if known is None:
        return np.zeros(len(index.table), np.bool_)
    names, same = _matched(index, known)
    return np.asarray(same & (names.map(known["split"]) == "train") & _is_its_own(same, known), np.bool_)


def only(assigned: Assigned, wanted: tuple[str, ...]) -> Assigned:
    """Leave the images of other splits out."""
    return Assigned(np.where(np.isin(assigned.splits, wanted), assigned.splits, UNUSED), assigned.notes)


def _matched(index: DatasetIndex, known: pd.DataFrame) -> tuple[pd.Series[str], pd.Series[bool]]:
    """The images' bare names, and whether the model's table has them with the same label."""
    names = index.table["file"].map(_bare)
    return names, names.map(known["label"]).fillna("") == index.table["label"]


def _is_its_own(same: pd.Series[bool], known: pd.DataFrame) -> bool:
    """Whether the folder is the one that the model was trained on: half of it, or half of the table, is the same."""
    return bool(same.sum() >= min(len(same), len(known)) / 2)


def _from_file(index: DatasetIndex, path: Path) -> Assigned:
    given = read_split(path).set_index("file")["split"]
    splits = index.table["file"].map(given)
    named = int(splits.notna().sum())
    if not named:
        raise DatasetError(
            f"{path} names none of the images of {index.root}. Expected files as {index.table['file'].iat[0]!r}; "
            f"found: {given.index[0] if len(given) else 'none'!r}."
        )
    notes = []
    if named < len(splits):
        notes.append(f"{path.name} does not name {len(splits) - named:,} of {len(splits):,} images; they are left out.")
    if absent := len(given) - named:
        notes.append(f"{path.name} names {absent:,} files that are not there.")
    return Assigned(np.asarray(splits.fillna(UNUSED), dtype=np.str_), tuple(notes))


def _own_split(model_folder: Path) -> pd.DataFrame | None:
    """Label and split of every image that the model's own table names, by `_bare`; None without such a table."""
    try:
        table = pd.read_csv(model_folder / PREDICTIONS_FILE, dtype=str, keep_default_na=False)
    except (OSError, ValueError):
        return None
    if not {"file", "label", "split"} <= set(table):
        return None
    table = table[table["split"].isin(SPLITS)]
    bare = table["file"].map(_bare)
    return table.assign(bare=bare)[~bare.duplicated()].set_index("bare")[["label", "split"]]


def _bare(file: str) -> str:
    """A file's place without its format, and without the folders `images` that some layouts have."""
    path = PurePosixPath(file)
    return "/".join([*(part for part in path.parts[:-1] if part.lower() not in {"image", "images"}), path.stem])


def _all_test(index: DatasetIndex) -> NDArray[np.str_]:
    return np.full(len(index.table), "test")


def _warned(same: int) -> tuple[str, ...]:
    told = "The folder is not the one that the model was trained on: every image counts as test."
    if same:
        told += f" {same:,} files are named as ones that it was trained with; if they are the same, say so by --split."
    return (told,)
