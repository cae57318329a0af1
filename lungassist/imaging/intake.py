"""From what a user gives (files, folders, ZIPs, uploads) to single studies, one at a time."""

from collections.abc import Iterable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Final

from lungassist.errors import MissingFileError
from lungassist.imaging import formats
from lungassist.imaging.archive import studies_of_zip
from lungassist.imaging.clutter import is_clutter
from lungassist.imaging.reader import read_bounded
from lungassist.imaging.study import Study
from lungassist.imaging.wording import shown
from lungassist.settings import Settings

#: Enough to tell DICOM (its prefix is at 128) from ZIP.
_HEAD: Final = 132


def iter_studies(paths: Iterable[str | Path], settings: Settings) -> Iterator[Study]:
    """Yield the studies of files, folders (with their subfolders, sorted) and ZIPs wherever they are.

    Every file gets a study, readable or not, except what `is_clutter` names inside folders and ZIPs; a file named
    directly always gets one. A linked folder is followed, and no folder is read twice. Nothing is raised: what is
    missing or damaged becomes a failing study. A study is named by its path, beginning with the one that the user gave:
    `ward/sub/scan.png`, `/data/archive.zip/scan.png`.
    """
    for path in map(Path, paths):
        name = path.as_posix()  # as given, so that a result can be traced back to its file
        if _is_folder(path):
            yield from _of_folder(path, name, settings)
        else:
            yield from _of_file(path, name, settings)


def expand_upload(name: str, data: bytes, settings: Settings) -> Iterator[Study]:
    """Yield the studies of uploaded bytes: the members of a ZIP, or the one file.

    Nothing is raised. The bytes stay in memory as long as a study of them does.
    """
    if formats.sniff(data) == formats.ZIP:
        yield from studies_of_zip(BytesIO(data), name, settings)
    else:
        yield Study(name, partial(bytes, data))


def _of_folder(folder: Path, name: str, settings: Settings) -> Iterator[Study]:
    empty = True
    for study in _walk(folder, name, settings, set()):
        empty = False
        yield study
    if empty:
        error = MissingFileError(f"{shown(name)}: expected a folder with images; it holds no file to read.")
        yield Study.failing(name, error)


def _walk(folder: Path, name: str, settings: Settings, seen: set[tuple[int, int]]) -> Iterator[Study]:
    """Read a folder and those below it; `seen` holds device and inode of each, since a link may lead back."""
    try:
        status = folder.stat()
        entries = sorted(folder.iterdir())
    except OSError:
        yield Study.failing(name, _unreadable(name, "folder"))
        return
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        if is_clutter(entry.name):
            continue
        inner = f"{name}/{entry.name}"
        if _is_folder(entry):
            yield from _walk(entry, inner, settings, seen)
        else:
            yield from _of_file(entry, inner, settings)


def _is_folder(path: Path) -> bool:
    """Whether it is one; a path that may not be looked at, or that cannot exist, is left to the reading of files."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _of_file(path: Path, name: str, settings: Settings) -> Iterator[Study]:
    try:
        # A pipe or device is no regular file, and opening it could wait for ever; its study fails on reading.
        is_zip = path.is_file() and formats.sniff(_head(path)) == formats.ZIP
        stream = path.open("rb") if is_zip else None
    except (OSError, ValueError):
        yield Study.failing(name, _unreadable(name, "file"))
        return
    if stream is None:
        yield Study(name, partial(read_bounded, path, name, settings.max_file_bytes))
    else:
        yield from studies_of_zip(stream, name, settings)


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_HEAD)


def _unreadable(name: str, kind: str) -> MissingFileError:
    return MissingFileError(f"{shown(name)}: the {kind} cannot be read. Check the path and its permissions.")
