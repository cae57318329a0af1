"""A cache on disk: pixels in flat files, and in a SQLite database which of them are whole and what they are of.

Pixels are written first and forced to the disk, then recorded in one transaction. Whatever is killed in between leaves
pixels that no record names, and the next writer writes over them. One process writes at a time (a file lock); any
number read.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from lungassist.dataset.fingerprint import THUMBNAIL
from lungassist.errors import CacheError

#: Rises when the files are laid out in another way; an older cache is then written anew.
FORMAT: Final = 1

DATABASE: Final = "records.db"
_IMAGES: Final = "images.u8"
_THUMBNAILS: Final = "thumbnails.u8"

#: Beside its pixels: the record, the names of a file or two.
_BYTES_A_RECORD: Final = 512

_SCHEMA: Final = f"""
CREATE TABLE image (
    sha256 BLOB PRIMARY KEY, row INTEGER NOT NULL UNIQUE, height INTEGER NOT NULL, width INTEGER NOT NULL,
    colourful INTEGER NOT NULL, fingerprint BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE file (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL, sha256 BLOB NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = {FORMAT};
"""

Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Record:
    """An image in the cache: where its pixels lie, and what was noticed when it was read."""

    row: int
    height: int
    width: int
    colourful: bool
    fingerprint: int


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image on its way into the cache."""

    sha256: bytes
    prepared: NDArray[np.uint8] = field(repr=False)
    thumbnail: NDArray[np.uint8] = field(repr=False)
    height: int
    width: int
    colourful: bool
    fingerprint: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What a cache holds: `images` by the SHA-256 of their file, `files` as they were (size, mtime in ns) when read."""

    images: Mapping[bytes, Record]
    files: Mapping[str, tuple[Stamp, bytes]]

    @property
    def rows(self) -> int:
        """Rows of the flat files that are in use."""
        return 1 + max((record.row for record in self.images.values()), default=-1)


class CacheFolder:
    """Owns every path of one cache. `side` is that of its images in pixels."""

    def __init__(self, path: Path, side: int) -> None:
        self.path, self.side = path, side
        self._flat = {path / _IMAGES: side * side, path / _THUMBNAILS: THUMBNAIL * THUMBNAIL}

    def contents(self) -> Contents:
        """What is recorded and whole. A database that is damaged or of another format counts as empty.

        Raises:
            CacheError: it is there, but may not be read.
        """
        if not (self.path / DATABASE).is_file():
            return Contents({}, {})
        try:
            # A transaction that was cut off is rolled back by the next reader, if it may write.
            mode = "rw" if os.access(self.path, os.W_OK) and os.access(self.path / DATABASE, os.W_OK) else "ro"
            with closing(_connect(self.path / DATABASE, mode)) as connection:
                if _format_of(connection) != FORMAT:
                    return Contents({}, {})
                images = connection.execute("SELECT sha256, row, height, width, colourful, fingerprint FROM image")
                whole = self._whole_rows()
                found = {
                    sha: Record(row, height, width, bool(colourful), int.from_bytes(fingerprint, "big"))
                    for sha, row, height, width, colourful, fingerprint in images
                    if row < whole
                }
                files = connection.execute("SELECT path, size, modified_ns, sha256 FROM file")
                return Contents(found, {path: ((size, time), sha) for path, size, time, sha in files})
        except sqlite3.OperationalError as error:
            raise CacheError(
                f"The prepared images in {self.path} cannot be read: {error}. Check its rights."
            ) from error
        except sqlite3.DatabaseError:
            return Contents({}, {})

    def _whole_rows(self) -> int:
        """Rows that every flat file is long enough for; a file cut short by others must not be read past its end."""
        return min((path.stat().st_size // each if path.is_file() else 0) for path, each in self._flat.items())

    def pixels(self, rows: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The first `rows` images `(rows, S, S)` and thumbnails `(rows, 32, 32)`, memory-mapped."""
        images, thumbnails = self._flat
        return _mapped(images, rows, self.side), _mapped(thumbnails, rows, THUMBNAIL)

    @contextmanager
    def writing(self, wait: Callable[[], None]) -> Iterator[Writer]:
        """Be the one process that writes; while another does, `wait` is called again and again and may raise.

        Raises:
            CacheError: the folder cannot be written to, or its disk is full.
        """
        with explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            with _locked(self.path, wait):
                yield Writer(self)

    def remove(self) -> None:
        """Delete it. Who has it open keeps what is mapped.

        Raises:
            CacheError: another process is writing to it, or it may not be deleted.
        """

        def refuse() -> None:
            raise CacheError(f"{self.path} is being written to. End that job first.")

        with explained(self.path), _locked(self.path, refuse):
            shutil.rmtree(self.path)

    def clear(self) -> None:
        """Delete the files of a damaged cache or of another format."""
        for path in (self.path / DATABASE, self.path / f"{DATABASE}-journal", *self._flat):
            path.unlink(missing_ok=True)

    def free_for(self, images: int) -> None:
        """Raise CacheError unless the disk has room for so many more images."""
        wanted = images * (sum(self._flat.values()) + _BYTES_A_RECORD)
        free = shutil.disk_usage(self.path).free
        if free < wanted:
            raise CacheError(
                f"Preparing {images:,} images needs {wanted / 1e6:,.0f} MB in {self.path.parent}, where "
                f"{free / 1e6:,.0f} MB are free. Remove caches that are not needed, or name another folder by "
                "LUNGASSIST_HOME."
            )

    def append(self, first: int, images: Sequence[NewImage]) -> None:
        """Write the pixels of images as the rows from `first` on, and force them to the disk."""
        blocks = ([image.prepared for image in images], [image.thumbnail for image in images])
        for (path, each), block in zip(self._flat.items(), blocks, strict=True):
            # Opened for update, not for appending: rows that no record names are written over.
            with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
                file.seek(first * each)
                file.write(np.stack(block).tobytes())
                file.flush()
                os.fsync(file.fileno())


class Writer:
    """Adds images to a cache; holds its lock."""

    def __init__(self, folder: CacheFolder) -> None:
        self._folder = folder
        self.contents = folder.contents()
        self._next = self.contents.rows
        if not self.contents.images:
            folder.clear()
        with closing(self._connection()) as connection:
            if _format_of(connection) != FORMAT:
                connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            with connection:
                connection.execute("DELETE FROM image WHERE row >= ?", (self._next,))

    def _connection(self) -> sqlite3.Connection:
        return _connect(self._folder.path / DATABASE, "rwc")

    def add(self, images: Sequence[NewImage], files: Sequence[tuple[str, Stamp, bytes]]) -> None:
        """Make images, and files of images that are there already or now, part of the cache."""
        if images:
            self._folder.append(self._next, images)
        rows = [
            (new.sha256, self._next + i, new.height, new.width, new.colourful, new.fingerprint.to_bytes(8, "big"))
            for i, new in enumerate(images)
        ]
        with closing(self._connection()) as connection, connection:
            connection.executemany("INSERT INTO image VALUES (?, ?, ?, ?, ?, ?)", rows)
            connection.executemany(
                "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?)", [(path, *stamp, sha) for path, stamp, sha in files]
            )
        self._next += len(images)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=60)


def _format_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _mapped(path: Path, rows: int, side: int) -> NDArray[np.uint8]:
    if not rows:
        return np.zeros((0, side, side), np.uint8)
    return np.memmap(path, np.uint8, "r", shape=(rows, side, side))


@contextmanager
def _locked(path: Path, wait: Callable[[], None]) -> Iterator[None]:
    # Beside the folder: deleting a lock that another process waits for would let two of them write.
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    while True:
        try:
            lock.acquire(timeout=0.2)
            break
        except Timeout:
            wait()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what a disk refuses into a CacheError that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        full = "full" in str(error)
        raise CacheError(_full(path) if full else f"{path} cannot be written to: {error}. {_ADVICE}") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise CacheError(_full(path)) from error
        raise CacheError(f"{path} cannot be written to: {error.strerror or error}. {_ADVICE}") from error


_ADVICE: Final = "Give it the right to be written to, or name another folder by LUNGASSIST_HOME."


def _full(path: Path) -> str:
    return (
        f"The disk of {path} is full. What was prepared until now is kept: make room, for example by removing caches "
        "that are not needed, and start again."
    )
