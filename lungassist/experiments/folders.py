"""Which folders may be trained on: those below the configured roots, and no others."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from lungassist.dataset.index import IMAGE_SUFFIXES, separator_of
from lungassist.errors import DatasetError
from lungassist.settings import Settings

#: How far below a root data sets are looked for, and how many folders are opened for it at most: a root may be a
#: whole file server.
_DEPTH: Final = 4
_MOST_FOLDERS: Final = 2000

#: Entries of a folder that are looked at for an image, and rows of a CSV for the name of one.
_ENOUGH: Final = 200


def data_folders(settings: Settings) -> list[Path]:
    """Folders below the roots that look like a data set: at least two folders with images in them. Sorted."""
    found: list[Path] = []
    waiting = [(root, 0) for root in settings.data_roots if root.is_dir()]
    seen: set[Path] = set()  # where links lead to, so that none is gone round for ever
    while waiting and len(seen) < _MOST_FOLDERS:
        folder, depth = waiting.pop(0)
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        below = _folders_in(folder)
        if len(list(islice(filter(_has_images, below), 2))) == 2:
            found.append(folder)
        elif depth < _DEPTH:
            waiting += [(path, depth + 1) for path in below if _is_inside(path, settings)]
    return sorted(found)


def chosen_folder(text: str, settings: Settings) -> Path:
    """The folder that a person named: a path, absolute or below a root.

    Raises:
        DatasetError: it leads out of the configured roots, by itself, by `..` or by a link; or it is no folder.
    """
    wanted = Path(text.strip()).expanduser()
    if not text.strip() or "\0" in text:
        raise DatasetError(f"Choose a folder with images below {_roots(settings)}.")
    places = [wanted] if wanted.is_absolute() else [root / wanted for root in settings.data_roots]
    place = next((path for path in places if path.exists()), places[0])
    if not _is_inside(place, settings):
        raise DatasetError(
            f"{place} leads to {place.resolve()}, which is outside of the folders that may be trained on: "
            f"{_roots(settings)}. Choose one below them, or add it to LUNGASSIST_DATA_ROOTS."
        )
    if not place.is_dir():
        raise DatasetError(f"{place} is not a folder. Expected one with a folder of images per class below it.")
    return place


def below_root(text: str, roots: Sequence[Path]) -> str:
    """A path as short as it is still clear: below the root that it is of, whose name it bears where there are more."""
    for root in roots:
        if text == str(root):
            return root.name
        if text.startswith(f"{root}/"):
            below = text.removeprefix(f"{root}/")
            return below if len(roots) == 1 else f"{root.name}/{below}"
    return text


def metadata_files(folder: Path, settings: Settings) -> list[Path]:
    """Metadata CSVs in `folder` or beside it: those with a column `file`, first the ones that name its images."""
    places = [folder] + ([folder.parent] if _is_inside(folder.parent, settings) else [])
    named = {path: names_images(path, folder) for place in places for path in sorted(place.glob("*.csv"))}
    return [path for path, hit in named.items() if hit] + [path for path, hit in named.items() if hit is False]


def names_images(path: Path, folder: Path) -> bool | None:
    """Whether a CSV's first rows name images of the folder; None where it has no column for them."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, delimiter=separator_of(path))
            column = next((name for name in rows.fieldnames or () if name.strip().lower() == "file"), None)
            if column is None:
                return None
            return any((folder / (row[column] or "?")).is_file() for row in islice(rows, _ENOUGH))
    except (OSError, ValueError, csv.Error):
        return None


def _is_inside(path: Path, settings: Settings) -> bool:
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError):  # a link that leads to itself
        return False
    return any(resolved.is_relative_to(root.resolve()) for root in settings.data_roots)


def _folders_in(folder: Path) -> list[Path]:
    return sorted(folder / name for name in _names(folder, folders=True))


def _has_images(folder: Path) -> bool:
    place = folder / "images"
    names = islice(_names(place if place.is_dir() else folder, folders=False), _ENOUGH)
    return any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in names)


def _names(folder: Path, *, folders: bool) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (e.name for e in entries if e.is_dir() == folders and not e.name.startswith("."))
    except OSError:
        return  # a folder that may not be opened holds no data set for us


def _roots(settings: Settings) -> str:
    return ", ".join(str(root) for root in settings.data_roots)
