"""What to know about a data set before a network is trained on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lungassist.dataset.audit_sentences import sentences
from lungassist.dataset.duplicates import DuplicatePairs, duplicate_groups, duplicate_pairs, grouped, standardised
from lungassist.dataset.index import DatasetIndex
from lungassist.dataset.prepared import PreparedImages
from lungassist.dataset.public import public_sentence
from lungassist.dataset.shortcuts import Shortcut, shortcut
from lungassist.dataset.splits import SPLITS

#: Of a list of files or sizes, how many an audit names.
_NAMED: Final = 20

#: Correlation with the average film below which a film is taken for its negative. Of 9,970 radiographs the two that
#: are negatives had -0.75 and -0.72, the next -0.20 (a chest in one corner of the film), half of them more than 0.73.
NEGATIVE: Final = -0.5

#: Fewer films than this have no average worth comparing with.
_ENOUGH: Final = 20


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Groups of images of one film.

    Attributes:
        groups, images: how many groups there are, and images in them.
        across_splits: groups with images in more than one of train, validation and test.
        across_classes: groups whose images have different labels.
        examples: the files of some groups, those across classes first, then those across splits.
    """

    groups: int
    images: int
    across_splits: int
    across_classes: int
    examples: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class NativeSize:
    """Rows and columns that `images` images had when they were read."""

    height: int
    width: int
    images: int


@dataclass(frozen=True, slots=True)
class Audit:
    """A data set, looked through.

    Attributes:
        images, readable: how many there are and can be used.
        per_class: images a class, unreadable ones included.
        per_split: split -> class -> images; empty where no split was given.
        public: how the counts compare with the public database, in a sentence.
        imbalance: images of the largest class for each of the smallest.
        sizes: the most frequent native sizes; `other_sizes` images have others.
        coloured: images with colour in them.
        unreadable: file -> the reason.
        exact: groups of files that are the same byte for byte.
        near: groups of images of one film in which not all files are the same.
        negatives: files that look like photographic negatives.
        source, size: what the column `source` and the native size tell of the class; None where nothing is known.
        findings: what a person should know before training, in sentences; empty where there is nothing.
    """

    images: int
    readable: int
    per_class: Mapping[str, int]
    per_split: Mapping[str, Mapping[str, int]]
    public: str
    imbalance: float
    sizes: tuple[NativeSize, ...]
    other_sizes: int
    coloured: int
    unreadable: Mapping[str, str]
    exact: Duplicates
    near: Duplicates
    negatives: tuple[str, ...]
    source: Shortcut | None
    size: Shortcut | None
    findings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def audit(
    index: DatasetIndex, prepared: PreparedImages, splits: Sequence[str] | NDArray[np.str_] | None = None
) -> Audit:
    """Look through a data set.

    Args:
        index: its images.
        prepared: their pixels, in the index's order.
        splits: `N` splits, if it is split already; others than train, validation and test count as none.
    """
    labels = index.table["label"].tolist()
    files = np.asarray(index.table["file"].tolist(), object)
    counts = Counter(labels)
    pairs = duplicate_pairs(prepared)
    exact, near = _duplicates(prepared, pairs, files, labels, splits)
    sizes = [f"{height} x {width}" if height else "" for height, width in prepared.sizes.tolist()]
    common = Counter((height, width) for height, width in prepared.sizes.tolist() if height).most_common(_NAMED)
    found = Audit(
        images=len(labels),
        readable=int(prepared.readable.sum()),
        per_class=dict(sorted(counts.items())),
        per_split={} if splits is None else _per_split(labels, splits),
        public=public_sentence(index),
        imbalance=max(counts.values()) / min(counts.values()),
        sizes=tuple(NativeSize(height, width, images) for (height, width), images in common),
        other_sizes=int(prepared.readable.sum()) - sum(images for _, images in common),
        coloured=int(prepared.colourful.sum()),
        unreadable=dict(prepared.unreadable),
        exact=exact,
        near=near,
        negatives=tuple(files[_negatives(prepared)].tolist()),
        source=shortcut(labels, index.table["source"].tolist()),
        size=shortcut(labels, sizes),
    )
    return replace(found, findings=tuple(sentences(found)))


def _per_split(labels: Sequence[str], splits: Sequence[str] | NDArray[np.str_]) -> dict[str, dict[str, int]]:
    classes = sorted(set(labels))
    counts = Counter(zip(map(str, splits), labels, strict=True))
    return {split: {label: counts[split, label] for label in classes} for split in SPLITS}


def _duplicates(
    prepared: PreparedImages,
    pairs: DuplicatePairs,
    files: NDArray[np.object_],
    labels: Sequence[str],
    splits: Sequence[str] | NDArray[np.str_] | None,
) -> tuple[Duplicates, Duplicates]:
    count = len(files)
    homes = [""] * count if splits is None else [str(split) if split in SPLITS else "" for split in splits]
    same = grouped(count, pairs.first[pairs.exact], pairs.second[pairs.exact])
    alike = duplicate_groups(prepared, pairs)
    of_one_content = [len(set(prepared.images.rows[members].tolist())) == 1 for members in _members(alike)]
    near = [members for members, exact in zip(_members(alike), of_one_content, strict=True) if not exact]
    return _described(_members(same), files, labels, homes), _described(near, files, labels, homes)


def _members(groups: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The places of every group, in order of its number."""
    order = np.argsort(groups, kind="stable")
    numbers, starts = np.unique(groups[order], return_index=True)
    parts = np.split(order, starts[1:])
    return [part for number, part in zip(numbers.tolist(), parts, strict=True) if number >= 0]


def _described(
    groups: list[NDArray[np.int64]], files: NDArray[np.object_], labels: Sequence[str], homes: Sequence[str]
) -> Duplicates:
    def kinds(words: Sequence[str], members: NDArray[np.int64]) -> int:
        return len({words[i] for i in members.tolist()} - {""})

    conflicts = [kinds(labels, members) > 1 for members in groups]
    leaks = [kinds(homes, members) > 1 for members in groups]
    worst = sorted(range(len(groups)), key=lambda i: (not conflicts[i], not leaks[i]))[:_NAMED]
    return Duplicates(
        groups=len(groups),
        images=sum(map(len, groups)),
        across_splits=sum(leaks),
        across_classes=sum(conflicts),
        examples=tuple(tuple(files[groups[i][:_NAMED]].tolist()) for i in worst),
    )


def _negatives(prepared: PreparedImages) -> NDArray[np.int64]:
    """Places of films that are dark where the average film is bright."""
    readable = np.flatnonzero(prepared.readable)
    if len(readable) < _ENOUGH:
        return np.zeros(0, np.int64)
    films = standardised(prepared.thumbnails[readable])
    average = films.mean(axis=0)
    likeness = films @ (average / max(float(np.linalg.norm(average)), 1e-6))
    return np.asarray(readable[likeness < NEGATIVE], dtype=np.int64)
