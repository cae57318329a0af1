"""Finds the labelled images of a folder, in the COVID-19 Radiography Database's layout or a folder per class."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from lungassist.classes import COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA
from lungassist.dataset.workbook import read_sources
from lungassist.errors import DatasetError

IMAGE_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".dcm", ".dicom"})

#: Folders beside or in those of the classes that hold no radiographs; the database's masks are white lungs on black.
_NOT_IMAGES: Final = frozenset({"mask", "masks", "__macosx"})

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    COVID: ("covid", "covid19", "covid19pneumonia", "covidpneumonia", "sarscov2", "coronavirus", "c19"),
    LUNG_OPACITY: ("lungopacity", "lungopacities", "opacity", "opacities"),
    NORMAL: ("normal", "normals", "healthy", "nofinding", "nofindings"),
    VIRAL_PNEUMONIA: ("viralpneumonia", "viral", "pneumoniaviral", "viruspneumonia", "pneumoniavirus"),
}
_SPELLINGS: Final[Mapping[str, str]] = {name: label for label, names in _NAMES.items() for name in names}

#: Where images are not looked for; words of a note.
_ELSEWHERE: Final = "are not directly in"

#: What tables have for a patient who is not known; as one patient, all of these images would stay in one split.
_UNKNOWN: Final = frozenset({"", "na", "n/a", "nan", "none", "null", "unknown"})

#: Columns of a table of predictions, which a finished run's own would have twice or for classes that it does not know.
_OF_A_TABLE: Final = frozenset({"split", "model", "version"})
_PROBABILITY: Final = "probability_"


@dataclass(frozen=True, slots=True)
class DatasetIndex:
    """The labelled images below `root`.

    `table` has a row an image, sorted by file, with the columns `file` (relative to `root`, `/` between folders),
    `label`, `patient_id` and `source` (empty where unknown) and whatever else a metadata file brought.
    `taken_for` says which folder was read as which class, `notes` in sentences what was passed over or not understood.
    """

    root: Path
    table: pd.DataFrame
    taken_for: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes present, in alphabetical order, which is the database's own."""
        return tuple(sorted(self.table["label"].unique()))


def index_folder(root: Path, metadata: Path | None = None) -> DatasetIndex:
    """Index `root/CLASS/images/*` or `root/CLASS/*`; masks beside the images are passed over.

    A folder around the database's own (`COVID-19_Radiography_Dataset`, as the download unpacks) is stepped into. The
    workbooks `CLASS.metadata.xlsx` beside the classes say where an image comes from, unless `metadata` does.

    Args:
        root: the folder of the class folders.
        metadata: a CSV with a `file` column as in the index; its other columns are joined on, but `label` and those
            that a table of predictions has of its own (`split`, `model`, `version`, `probability_CLASS`).

    Raises:
        DatasetError: no such folder, no images, one class only, or a metadata file that cannot be used.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder. Expected one with a folder per class below it.")
    rows, taken_for, notes = _classes_below(root)
    inner = _only_folder(root)
    if not taken_for and inner is not None:
        root = inner
        rows, taken_for, notes = _classes_below(root)
    table = pd.DataFrame(rows, columns=["file", "label"]).astype(str)
    if table["label"].nunique() < 2:
        found = ", ".join(taken_for) or "none"
        left_out = "".join(f" {note}" for note in notes if _ELSEWHERE in note)
        raise DatasetError(
            f"{root} needs images of at least two classes, as CLASS/images/* or CLASS/*; found: {found}.{left_out}"
        )
    table, more = _with_metadata(table, metadata)
    if (table["source"] == "").all():
        sources, told = read_sources(root, table["file"].tolist())
        table["source"] = sources
        more += told
    return DatasetIndex(root, table, taken_for, (*notes, *more))


def class_named(folder: str) -> str:
    """The class that a folder's name stands for; a name that is no known spelling stands for itself."""
    return _SPELLINGS.get(re.sub(r"[^a-z0-9]", "", folder.lower()), folder)


def _classes_below(root: Path) -> tuple[list[tuple[str, str]], dict[str, str], list[str]]:
    rows: list[tuple[str, str]] = []
    taken_for: dict[str, str] = {}
    notes: list[str] = []
    for folder in _folders(root):
        files, passed_over = _images_in(folder)
        notes += _left_out(folder)
        if not files:
            notes.append(f"The folder {folder.name} has no images and was passed over.")
            continue
        taken_for[folder.name] = label = class_named(folder.name)
        rows += [(file.relative_to(root).as_posix(), label) for file in files]
        if label != folder.name:
            notes.append(f"The folder {folder.name} was taken for the class {label}.")
        if passed_over:
            notes.append(f"{passed_over:,} files in {folder.name} are no images by their names and were passed over.")
    return rows, taken_for, notes


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and _counts(path.name))
    except OSError as error:
        raise DatasetError(f"{root} cannot be looked into: {error.strerror}. Check its rights.") from error


def _counts(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in _NOT_IMAGES


def _only_folder(root: Path) -> Path | None:
    folders = _folders(root)
    return folders[0] if len(folders) == 1 else None


def _images_in(folder: Path) -> tuple[list[Path], int]:
    """The images of a class, and how many other files lie among them."""
    place = _place_of_images(folder)
    try:
        with os.scandir(place) as entries:
            files = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file()]
    except OSError as error:
        raise DatasetError(f"{place} cannot be looked into: {error.strerror}. Check its rights.") from error
    names = sorted(name for name in files if _is_image(name))
    return [place / name for name in names], len(files) - len(names)


def _place_of_images(folder: Path) -> Path:
    return next((path for path in _folders(folder) if path.name.lower() in {"images", "image"}), folder)


def _left_out(folder: Path) -> list[str]:
    """A note on images of a class that lie in neither of the two layouts, which else nobody would miss."""
    place, elsewhere = _place_of_images(folder), []
    for inside, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if _counts(name))
        if Path(inside) != place:
            elsewhere += [Path(inside, name) for name in sorted(files) if _is_image(name)]
    if not elsewhere:
        return []
    return [
        f"{len(elsewhere):,} images {_ELSEWHERE} {place.relative_to(folder.parent).as_posix()}, such as "
        f"{elsewhere[0].relative_to(folder.parent).as_posix()}, and were left out: move them there to use them."
    ]


def _is_image(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES and _is_text(name)


def _is_text(name: str) -> bool:
    """Whether a file's name can be written to a table; bytes that are no UTF-8 cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_metadata(table: pd.DataFrame, metadata: Path | None) -> tuple[pd.DataFrame, list[str]]:
    notes: list[str] = []
    if metadata is not None:
        extra = _read_metadata(metadata, table)
        unknown = int((~extra["file"].isin(table["file"])).sum())
        absent = int((~table["file"].isin(extra["file"])).sum())
        if unknown:
            notes.append(f"{metadata.name} names {unknown:,} files that are not there.")
        if absent:
            notes.append(f"{metadata.name} does not name {absent:,} of {len(table):,} images.")
        if taken := [name for name in map(str, extra) if name in _OF_A_TABLE or name.startswith(_PROBABILITY)]:
            notes.append(
                f"{metadata.name}: passed over {', '.join(taken)}, which a table of predictions has of its own."
            )
        table = table.merge(extra.drop(columns=["label", *taken], errors="ignore"), on="file", how="left")
    for column in ("patient_id", "source"):
        if column not in table:
            table[column] = ""
    table = table.fillna("").sort_values("file", ignore_index=True)
    nobody = table["patient_id"].str.strip().str.lower().isin(_UNKNOWN) & (table["patient_id"] != "")
    if nobody.any():
        words = ", ".join(sorted({repr(word) for word in table.loc[nobody, "patient_id"]}))
        notes.append(f"{int(nobody.sum()):,} images have the patient {words}: taken for unknown, each its own patient.")
        table.loc[nobody, "patient_id"] = ""
    return table, notes


def separator_of(metadata: Path) -> str:
    """Semicolons or tabs where the first line has no comma and names a column `file` between these, else commas.

    Raises:
        OSError, UnicodeDecodeError: it cannot be read as text.
    """
    with metadata.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline()
    other = (sign for sign in (";", "\t") if "file" in (name.strip(' \r\n"').lower() for name in head.split(sign)))
    return "," if "," in head else next((sign for sign in other if sign in head), ",")


def _is_own(name: str) -> bool:
    """Whether a column's name, in whatever case, is one that means something here."""
    return name.strip().lower() in {"file", "label", "patient_id", "source", *_OF_A_TABLE}


def _read_metadata(metadata: Path, table: pd.DataFrame) -> pd.DataFrame:
    try:
        separator = separator_of(metadata)
        extra = pd.read_csv(metadata, dtype=str, keep_default_na=False, sep=separator)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{metadata} cannot be read as a CSV of metadata: {error}") from error
    if "file" not in extra:
        extra = extra.rename(columns={name: name.strip().lower() for name in map(str, extra) if _is_own(name)})
    if list(extra).count("file") != 1 or extra["file"].duplicated().any():
        raise DatasetError(
            f"{metadata} needs a column 'file' in which every file stands once, and commas between the columns; its "
            f"first line has the columns {', '.join(map(repr, extra))}."
        )
    if not extra["file"].isin(table["file"]).any():
        # Going on would lose the patients, and with them the split between them.
        raise DatasetError(
            f"{metadata} names none of the images. Expected files as {table['file'].iat[0]!r}; "
            f"found: {next(iter(extra['file']), 'none')!r}."
        )
    return extra
