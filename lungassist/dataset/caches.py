"""Which caches of prepared images there are, how large they are, and how to be rid of one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lungassist.dataset.cache_folder import CacheFolder
from lungassist.errors import CacheError
from lungassist.settings import Settings


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A cache on disk.

    Attributes:
        path: its folder.
        size_bytes: what it takes on the disk.
        images: how many it holds; 0 where it is damaged or of another version.
        side: of its images, in pixels.
        enhancement: that they were prepared with.
    """

    path: Path
    size_bytes: int
    images: int
    side: int
    enhancement: str


def list_caches(settings: Settings) -> list[CacheEntry]:
    """All caches below `settings.cache_dir`, by name; none where there is no such folder."""
    if not settings.cache_dir.is_dir():
        return []
    found = ((path, re.fullmatch(r"(\d+)-([a-z-]+)-[0-9a-f]{8}", path.name)) for path in settings.cache_dir.iterdir())
    return [_entry(path, int(name[1]), name[2]) for path, name in sorted(found, key=lambda pair: pair[0].name) if name]


def _entry(path: Path, side: int, enhancement: str) -> CacheEntry:
    try:
        images = len(CacheFolder(path, side).contents().images)
    except CacheError:
        images = 0
    return CacheEntry(path, _size_of(path), images, side, enhancement)


def _size_of(folder: Path) -> int:
    sizes = []
    for path in folder.iterdir():
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # a journal that its writer has removed by now
        sizes.append(status.st_blocks * 512)
    return sum(sizes)


def remove_cache(entry: CacheEntry) -> None:
    """Delete a cache; its images are prepared again when they are needed. What a run has open stays open.

    Raises:
        CacheError: images are being added to it now, or it may not be deleted.
    """
    CacheFolder(entry.path, entry.side).remove()
