"""Finds the labelled images of a folder, in the COVID-19 Radiography Database's layout or a folder per class."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from lungassist.classes import COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA
from lungassist.errors import DatasetError

IMAGE_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".dcm"})

_SPELLINGS: Final[dict[str, str]] = {
    "covid": COVID,
    "covid19": COVID,
    "lungopacity": LUNG_OPACITY,
    "opacity": LUNG_OPACITY,
    "normal": NORMAL,
    "healthy": NORMAL,
    "viralpneumonia": VIRAL_PNEUMONIA,
    "viral": VIRAL_PNEUMONIA,
}


@dataclass(frozen=True, slots=True)
class DatasetIndex:
    """The labelled images below `root`.

    `table` has a row an image, sorted by file, with the columns `file` (relative to `root`, `/` between folders),
    `label`, `patient_id` and `source` (empty where unknown) and whatever else a metadata file brought.
    `taken_for` says which folder was read as which class.
    """

    root: Path
    table: pd.DataFrame
    taken_for: dict[str, str]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes present, in alphabetical order, which is the database's own."""
        return tuple(sorted(self.table["label"].unique()))


def index_folder(root: Path, metadata: Path | None = None) -> DatasetIndex:
    """Index `root/CLASS/images/*` or `root/CLASS/*`; masks and spreadsheets beside the images are passed over.

    Args:
        root: the folder of the class folders.
        metadata: a CSV with a `file` column as in the index; its other columns but `label` are joined on.

    Raises:
        DatasetError: no such folder, no images, one class only, or a metadata file that cannot be used.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder. Expected one with a folder per class below it.")
    rows, taken_for = [], {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        files = _images_in(folder)
        if not files:
            continue
        taken_for[folder.name] = label = class_named(folder.name)
        rows += [(file.relative_to(root).as_posix(), label) for file in files]
    table = pd.DataFrame(rows, columns=["file", "label"]).astype(str)
    if table["label"].nunique() < 2:
        found = ", ".join(taken_for) or "none"
        raise DatasetError(
            f"{root} needs images of at least two classes, as CLASS/images/* or CLASS/*; found: {found}."
        )
    return DatasetIndex(root, _with_metadata(table, metadata), taken_for)


def class_named(folder: str) -> str:
    """The class that a folder's name stands for; a name that is no known spelling stands for itself."""
    return _SPELLINGS.get(re.sub(r"[^a-z0-9]", "", folder.lower()), folder)


def _images_in(folder: Path) -> list[Path]:
    inner = folder / "images"
    place = inner if inner.is_dir() else folder
    with os.scandir(place) as entries:
        names = sorted(e.name for e in entries if e.is_file() and Path(e.name).suffix.lower() in IMAGE_SUFFIXES)
    return [place / name for name in names if not name.startswith(".")]


def _with_metadata(table: pd.DataFrame, metadata: Path | None) -> pd.DataFrame:
    if metadata is not None:
        try:
            extra = pd.read_csv(metadata, dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise DatasetError(f"{metadata} cannot be read as a CSV of metadata: {error}") from error
        if "file" not in extra or extra["file"].duplicated().any():
            raise DatasetError(f"{metadata} needs a column 'file' in which every file stands once.")
        if not extra["file"].isin(table["file"]).any():
            # Going on would lose the patients, and with them the split between them.
            raise DatasetError(
                f"{metadata} names none of the images. Expected files as {table['file'].iat[0]!r}; "
                f"found: {next(iter(extra['file']), 'none')!r}."
            )
        table = table.merge(extra.drop(columns="label", errors="ignore"), on="file", how="left")
    for column in ("patient_id", "source"):
        if column not in table:
            table[column] = ""
    return table.fillna("").sort_values("file", ignore_index=True)
