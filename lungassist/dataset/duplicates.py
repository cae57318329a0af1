"""Images that show the same film: byte for byte, or scaled, compressed, exposed or marked in another way.

All chests look alike, so a perceptual hash alone proposes and the correlation of thumbnails decides. The thresholds
were chosen on 9,970 images of the database's layout, 49.7 million pairs. Of the pairs of different bytes, all 65 that
correlate between 0.98 and 0.999 were looked at and show one film each; between 0.97 and 0.98, where two people begin to
look as alike as one film cropped by several pixels, there are 36. All 220 from 0.98 up differ by at most 10 bits of the
hash, as do 0.2 % of all pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lungassist.dataset.prepared import PreparedImages

#: Bits by which the perceptual hashes of two images of one film differ at most.
HASH_DISTANCE: Final = 10

#: Correlation of two thumbnails from which they show one film.
CORRELATION: Final = 0.98

#: Images compared with all others at a time, which bounds the memory.
_BLOCK: Final = 256

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DuplicatePairs:
    """Pairs of images of one film: places in the index, `first < second`, each `(M,)`.

    `exact` `(M,)` says where the files are the same byte for byte. Of several exact copies each is paired with the
    first of them only, and that one alone with near duplicates.
    """

    first: Indices
    second: Indices
    exact: NDArray[np.bool_]


def duplicate_pairs(prepared: PreparedImages) -> DuplicatePairs:
    """Find all pairs of exact and near duplicates; a film without any contrast is nobody's duplicate but exactly."""
    readable = np.flatnonzero(prepared.readable)
    rows = prepared.images.rows[readable]
    _, earliest, inverse = np.unique(rows, return_index=True, return_inverse=True)
    original = readable[earliest[inverse]]
    copies = original != readable
    unique = np.sort(readable[earliest])
    one, other = _near(prepared.fingerprints[unique], prepared.thumbnails[unique])
    first = np.concatenate([original[copies], unique[one]])
    second = np.concatenate([readable[copies], unique[other]])
    return DuplicatePairs(first, second, np.arange(len(first)) < int(copies.sum()))


def duplicate_groups(prepared: PreparedImages, pairs: DuplicatePairs | None = None) -> Indices:
    """Number the groups of duplicates, exact and near: `(N,)`, -1 for an image that has none.

    Whoever shares a film with a member is a member. Give it to `assign_splits` as `together`.
    """
    pairs = pairs or duplicate_pairs(prepared)
    return grouped(len(prepared.readable), pairs.first, pairs.second)


def grouped(count: int, first: Indices, second: Indices) -> Indices:
    """Number the connected components of `count` nodes and their edges: `(count,)`, -1 for a node without edges."""
    label = np.arange(count)
    while True:
        lowest = np.minimum(label[first], label[second])
        before = label.copy()
        np.minimum.at(label, first, lowest)
        np.minimum.at(label, second, lowest)
        label = label[label]
        if (label == before).all():
            break
    groups = np.full(count, -1)
    touched = np.union1d(first, second).astype(np.int64)
    groups[touched] = np.unique(label[touched], return_inverse=True)[1]
    return groups


def _near(hashes: NDArray[np.uint64], thumbnails: NDArray[np.uint8]) -> tuple[Indices, Indices]:
    standard = standardised(thumbnails)
    found: list[tuple[Indices, Indices]] = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    for start in range(0, len(hashes), _BLOCK):
        block = hashes[start : start + _BLOCK]
        near = np.bitwise_count(block[:, None] ^ hashes[None, start:]) <= HASH_DISTANCE
        near &= np.arange(len(hashes) - start) > np.arange(len(block))[:, None]
        columns = np.flatnonzero(near.any(axis=0))
        alike = standard[start : start + _BLOCK] @ standard[start + columns].T >= CORRELATION
        one, other = np.nonzero(alike & near[:, columns])
        found.append((start + one, start + columns[other]))
    return np.concatenate([one for one, _ in found]), np.concatenate([other for _, other in found])


def standardised(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Thumbnails `(N, 32, 32)` as rows of mean 0 and length 1, whose products are correlations; 0 without contrast."""
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    np.divide(flat, length, out=flat, where=length > 0)
    return flat
