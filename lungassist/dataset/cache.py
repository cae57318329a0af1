"""Prepares every image of a data set once ever, in parallel, into one memory-mapped array on disk.

What is kept is found again by content: the SHA-256 of a file's bytes. A folder that was moved, copied or renamed is
read again, but nothing is decoded twice. A file whose path, size and time of modification are as they were is not even
read. There is a cache for each way of preparing an image; a change of the code or of a library that changes a single
byte of a prepared image makes it another way.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lungassist.dataset.cache_folder import CacheFolder, Contents, NewImage, Stamp, Writer
from lungassist.dataset.fingerprint import perceptual_hash, thumbnail
from lungassist.dataset.index import DatasetIndex
from lungassist.dataset.prepared import ImageRows, PreparedImages
from lungassist.enhance import learnt_by
from lungassist.errors import CacheError, DatasetError, MissingFileError, StoppedError, StudyError
from lungassist.imaging.reader import read_bounded, read_radiograph
from lungassist.preprocess import Preprocessing, prepare_image
from lungassist.settings import Settings

#: Images between two records; a process that is killed loses at most so many.
_CHUNK: Final = 256

#: A file written less than this before it was read may have been written again within its clock's tick.
_SETTLED_NS: Final = 2_000_000_000

#: Mean of (max - min) over red, green and blue from which an image counts as coloured; JPEG tints grey a little.
_COLOURFUL: Final = 0.02

Progress = Callable[[int, int], None]
Stop = Callable[[], bool]


def open_cache(
    index: DatasetIndex,
    preprocessing: Preprocessing,
    settings: Settings,
    *,
    workers: int = 4,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> PreparedImages:
    """Open the prepared images of `index`, preparing first those that are not in the cache.

    A file that cannot be read is listed, not fatal. The process may be killed at any moment, and several may open the
    same cache at once: one prepares, the others wait for it.

    Args:
        index: what to read.
        preprocessing: how to prepare it.
        settings: the reader's limits, and where the cache lies.
        workers: threads; decoding releases the interpreter's lock.
        progress: called with (done, all) now and then, and at the end.
        stop: asked often; what was prepared until it says True is kept.

    Raises:
        DatasetError: the folder of images is gone.
        CacheError: the cache cannot be read or written, or its disk is full.
        StoppedError: `stop` said so.
    """
    if not index.root.is_dir():
        raise _vanished(index.root)
    folder = CacheFolder(settings.cache_dir / cache_name(preprocessing), preprocessing.size)
    work = _Work(index, preprocessing, settings, progress or (lambda _done, _all: None), stop or (lambda: False))
    work.recognise(folder.contents())
    if work.lacking:
        with folder.writing(work.heed) as writer:
            work.recognise(writer.contents)
            folder.free_for(len(work.lacking))
            work.fill(writer, workers)
    work.progress(len(work.files), len(work.files))
    return work.opened(folder)


def cache_name(preprocessing: Preprocessing) -> str:
    """Name of the folder for images prepared so: their side, enhancement, and a hash of what preparing does to some."""
    rng = np.random.default_rng(0)
    probe = hashlib.sha256()
    for shape in ((299, 299), (40, 53), (640, 400)):
        slope = np.indices(shape).sum(axis=0) / sum(shape)
        picture = (slope + rng.normal(0, 0.1, shape)).astype(np.float32)
        probe.update(prepare_image(picture, preprocessing).tobytes())
        probe.update(perceptual_hash(thumbnail(picture)).to_bytes(8, "big"))
    probe.update(learnt_by(preprocessing.enhancement))  # which may leave all of these as they are
    return f"{preprocessing.size}-{preprocessing.enhancement}-{probe.hexdigest()[:8]}"


@dataclass(slots=True)
class _Found:
    """What came of one file: its hash, its pixels unless they were known, or why there are none."""

    place: int
    stamp: Stamp | None = None
    sha256: bytes = b""
    image: NewImage | None = field(default=None, repr=False)
    reason: str = ""


class _Work:
    """The files of an index on their way to being known by their hash."""

    def __init__(
        self, index: DatasetIndex, preprocessing: Preprocessing, settings: Settings, progress: Progress, stop: Stop
    ) -> None:
        self.index, self.preprocessing, self.settings = index, preprocessing, settings
        self.progress, self.stop = progress, stop
        self.files: list[str] = index.table["file"].tolist()
        root = index.root.resolve()
        self.paths = [root / file for file in self.files]
        self.stamps = [_stamp(path) for path in self.paths]
        self.hashes: list[bytes] = [b""] * len(self.files)
        self.unreadable: dict[str, str] = {}
        self.kept: set[bytes] = set()

    @property
    def lacking(self) -> list[int]:
        """Places in the index of the files whose hash is not known yet."""
        return [i for i, digest in enumerate(self.hashes) if not digest]

    def recognise(self, contents: Contents) -> None:
        """Take the hash of every file that is as it was when it was read before."""
        self.kept = set(contents.images)
        for i, (path, stamp) in enumerate(zip(self.paths, self.stamps, strict=True)):
            before, digest = contents.files.get(str(path), (None, b""))
            if stamp is not None and stamp == before and digest in contents.images:
                self.hashes[i] = digest

    def heed(self) -> None:
        """Raise StoppedError if that is wished."""
        if self.stop():
            raise StoppedError("Preparing the images was stopped. What was prepared until then is kept.")

    def fill(self, writer: Writer, workers: int) -> None:
        """Read every lacking file, and add to the cache those images that it does not hold."""
        places = self.lacking
        known = len(self.files) - len(places)
        waiting: list[_Found] = []
        try:
            for done, found in enumerate(_ahead(self._read, places, workers), start=1):
                waiting.append(found)
                if len(waiting) == _CHUNK:
                    self._record(writer, waiting)
                if done % 32 == 0:
                    self.progress(known + done, len(self.files))
                self.heed()
        finally:
            self._record(writer, waiting)

    def _record(self, writer: Writer, waiting: list[_Found]) -> None:
        images: dict[bytes, NewImage] = {}
        files: list[tuple[str, Stamp, bytes]] = []
        for found in waiting:
            if found.reason:
                self.unreadable[self.files[found.place]] = found.reason
                continue
            self.hashes[found.place] = found.sha256
            if found.image is not None and found.sha256 not in self.kept:
                images[found.sha256] = found.image
            if found.stamp is not None:
                files.append((str(self.paths[found.place]), found.stamp, found.sha256))
        if images or files:
            writer.add(list(images.values()), files)
        self.kept |= set(images)
        waiting.clear()

    def _read(self, place: int) -> _Found:
        path = self.paths[place]
        started, before = time.time_ns(), _stamp(path)
        try:
            data = read_bounded(path, path.name, self.settings.max_file_bytes)
            digest = hashlib.sha256(data).digest()
            image = None if digest in self.kept else self._prepared(data, path.name, digest)
        except MissingFileError as error:
            if not path.parent.is_dir():
                raise _vanished(path.parent) from error
            return _Found(place, reason=str(error))
        except StudyError as error:
            return _Found(place, reason=str(error))
        settled = before is not None and before == _stamp(path) and before[1] < started - _SETTLED_NS
        return _Found(place, before if settled else None, digest, image)

    def _prepared(self, data: bytes, name: str, digest: bytes) -> NewImage:
        radiograph = read_radiograph(data, name, self.settings)
        small = thumbnail(radiograph.pixels)
        return NewImage(
            digest,
            prepare_image(radiograph.pixels, self.preprocessing),
            small,
            *radiograph.shape,
            radiograph.colourfulness > _COLOURFUL,
            perceptual_hash(small),
        )

    def opened(self, folder: CacheFolder) -> PreparedImages:
        """Everything together, from what the cache holds now."""
        contents = folder.contents()
        images, thumbnails = folder.pixels(contents.rows)
        records = [contents.images.get(digest) for digest in self.hashes]
        if any(digest and record is None for digest, record in zip(self.hashes, records, strict=True)):
            raise CacheError(f"{folder.path} was removed or replaced while it was being opened. Start again.")
        rows = np.array([-1 if record is None else record.row for record in records], np.int64)
        sizes = [(0, 0) if record is None else (record.height, record.width) for record in records]
        return PreparedImages(
            images=ImageRows(images, rows),
            readable=rows >= 0,
            content_hash=self._content_hash(rows >= 0),
            unreadable={file: self.unreadable[file] for file in self.files if file in self.unreadable},
            sizes=np.array(sizes, np.int64).reshape(-1, 2),
            colourful=np.array([record is not None and record.colourful for record in records], np.bool_),
            fingerprints=np.array([0 if record is None else record.fingerprint for record in records], np.uint64),
            thumbnails=ImageRows(thumbnails, rows),
        )

    def _content_hash(self, readable: NDArray[np.bool_]) -> str:
        pairs = zip(self.hashes, self.index.table["label"], readable, strict=True)
        lines = sorted(f"{digest.hex()}\t{label}" for digest, label, usable in pairs if usable)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _vanished(folder: Path) -> DatasetError:
    return DatasetError(f"{folder} is gone. Is its disk connected? What was prepared until now is kept.")


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _ahead(read: Callable[[int], _Found], places: Sequence[int], workers: int) -> Iterator[_Found]:
    """`map(read, places)` in threads, in order, with a bounded number of results waiting."""
    pool = ThreadPoolExecutor(workers)
    under_way: deque[Future[_Found]] = deque()
    try:
        for place in places:
            under_way.append(pool.submit(read, place))
            if len(under_way) > _CHUNK:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
