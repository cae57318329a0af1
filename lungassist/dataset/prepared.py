"""Prepared images as everything after the cache sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ImageRows:
    """Images `(N, S, S)` uint8 that lie in any order in one array on disk, read when they are asked for.

    `images[i]` is an image, `images[rows]` with a slice, integers or booleans is an array of some, `np.asarray(images)`
    all of them in memory. What is read is a copy.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, store: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
        """Take `(M, S, S)` images, and which of them are meant, `(N,)`; -1 for an image of zeros."""
        self._store = np.asarray(store)
        self.rows = rows

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(N, S, S)`."""
        return (len(self.rows), *self._store.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Any, /) -> NDArray[np.uint8]:
        """Read `(S, S)` for an integer, `(n, S, S)` for anything else."""
        rows = np.asarray(self.rows[chosen])
        absent = rows < 0
        if not absent.any():
            return np.take(self._store, rows, axis=0)
        images = np.zeros((*rows.shape, *self._store.shape[1:]), np.uint8)
        images[~absent] = self._store[rows[~absent]]
        return images

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("the images lie on disk; an array of them is always a copy")
        return self[:].astype(dtype or self.dtype, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedImages:
    """The prepared images of an index, in its order.

    Attributes:
        images: `(N, S, S)` uint8, memory-mapped; zeros where unreadable. Two files of the same bytes share a row of
            `images.rows`.
        readable: `(N,)` bool.
        content_hash: SHA-256 over the sorted lines 'SHA-256 of the file<tab>label' of what was readable.
        unreadable: file -> the reason.
        sizes: `(N, 2)` rows and columns of the images as they were read; 0 where unreadable.
        colourful: `(N,)` bool, those with colour in them.
        fingerprints: `(N,)` uint64, `fingerprint.perceptual_hash`.
        thumbnails: `(N, 32, 32)` uint8, memory-mapped, `fingerprint.thumbnail`.
    """

    images: ImageRows = field(repr=False)
    readable: NDArray[np.bool_] = field(repr=False)
    content_hash: str
    unreadable: dict[str, str]
    sizes: NDArray[np.int64] = field(repr=False)
    colourful: NDArray[np.bool_] = field(repr=False)
    fingerprints: NDArray[np.uint64] = field(repr=False)
    thumbnails: ImageRows = field(repr=False)
