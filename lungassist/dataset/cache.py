"""Reads and prepares a whole data set once, in parallel, into one uint8 array."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lungassist.dataset.index import DatasetIndex
from lungassist.errors import StudyError
from lungassist.imaging.reader import read_file
from lungassist.preprocess import Preprocessing, prepare_image
from lungassist.settings import Settings


@dataclass(frozen=True, slots=True)
class PreparedImages:
    """The prepared images of an index.

    Attributes:
        images: `(N, S, S)` uint8 in the index's order; zeros where unreadable.
        readable: `(N,)` bool.
        content_hash: SHA-256 over the sorted lines 'SHA-256 of the file<tab>label' of what was readable.
        unreadable: file -> the reason.
    """

    images: NDArray[np.uint8] = field(repr=False)
    readable: NDArray[np.bool_] = field(repr=False)
    content_hash: str
    unreadable: dict[str, str]


Prepared = tuple[NDArray[np.uint8] | None, str]


def prepare_all(
    index: DatasetIndex,
    preprocessing: Preprocessing,
    settings: Settings,
    *,
    workers: int = 4,
    progress: Callable[[int, int], None] | None = None,
) -> PreparedImages:
    """Read and prepare every image of `index`. A file that cannot be read is listed, not fatal.

    Args:
        index: what to read.
        preprocessing: how to prepare it.
        settings: the reader's limits.
        workers: threads; decoding releases the interpreter's lock.
        progress: called with (done, all) now and then.
    """
    files = index.table["file"].tolist()
    side = preprocessing.size
    images = np.zeros((len(files), side, side), np.uint8)
    readable = np.zeros(len(files), np.bool_)
    digests, unreadable = [], {}
    for i, (image, word) in enumerate(_each(index.root, files, preprocessing, settings, workers)):
        if image is None:
            unreadable[files[i]] = word
        else:
            images[i], readable[i] = image, True
            digests.append(f"{word}\t{index.table['label'].iat[i]}")
        if progress and (i % 64 == 63 or i + 1 == len(files)):
            progress(i + 1, len(files))
    content = hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()
    return PreparedImages(images, readable, content, unreadable)


def _each(
    root: Path, files: list[str], preprocessing: Preprocessing, settings: Settings, workers: int
) -> Iterator[Prepared]:
    def one(file: str) -> Prepared:
        try:
            radiograph = read_file(root / file, settings)
        except StudyError as error:
            return None, str(error)
        return prepare_image(radiograph.pixels, preprocessing), radiograph.sha256

    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(one, files)
