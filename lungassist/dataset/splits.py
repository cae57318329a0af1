"""Splits a data set into train, validation and test: by patient within every class, or at random as the paper does."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lungassist.errors import DatasetError
from lungassist.files import write_atomically

SPLITS: Final = ("train", "validation", "test")

#: In a table of splits, of an image that could not be read.
UNREADABLE: Final = "unreadable"

#: Of an image that a given split file does not name.
UNUSED: Final = "unused"

_WORDS: Final = (*SPLITS, UNREADABLE, UNUSED)

METHODS: Final = ("patient", "random")

#: Of train, validation and test, as in the paper.
SHARES: Final = (0.8, 0.1, 0.1)


def assign_splits(
    table: pd.DataFrame,
    *,
    method: str = "patient",
    seed: int = 1,
    together: Sequence[int] | NDArray[np.integer] | None = None,
) -> NDArray[np.str_]:
    """Assign every image of an index's table to a split, 80/10/10.

    Args:
        table: with the columns `label` and `patient_id`.
        method: `patient`, see `split_by_patient`, or `random`, see `split_at_random`, which knows no patients.
        seed: of the shuffle.
        together: `N` group numbers, -1 for none; the images of a group, say near duplicates, stay in one split.

    Returns:
        `(N,)` of 'train', 'validation', 'test'.

    Raises:
        DatasetError: there is no such method, or too few images for every class to be in every split.
    """
    labels = table["label"].tolist()
    if together is not None and len(together) != len(labels):
        raise ValueError(f"expected a group number for each of {len(labels)} images; came {len(together)}")
    if method == "patient":
        return split_by_patient(labels, _joined(table["patient_id"].tolist(), together), seed=seed)
    if method != "random":
        raise DatasetError(f"The method of splitting must be one of {', '.join(METHODS)}, not {method!r}.")
    splits = split_at_random(len(labels), seed=seed, together=together)
    if (lack := _lacking(labels, splits)) is not None:
        label, split = lack
        raise DatasetError(
            f"Split at random with seed {seed}, no image of the class {label!r} falls into {split}; the data set has "
            f"{labels.count(label)} of them. Split by patient, which keeps every class in every split, or add images."
        )
    return splits


def _lacking(labels: Sequence[str], splits: NDArray[np.str_]) -> tuple[str, str] | None:
    """The first class without an image in some split, and that split."""
    counts = pd.crosstab(np.asarray(labels), splits).reindex(columns=SPLITS, fill_value=0)
    return next(((str(label), str(name)) for label, name in counts.stack().index if counts.loc[label, name] == 0), None)


def split_at_random(
    count: int,
    *,
    shares: tuple[float, float, float] = SHARES,
    seed: int = 1,
    together: Sequence[int] | NDArray[np.integer] | None = None,
) -> NDArray[np.str_]:
    """Assign `count` images to splits at random, as the paper does: 21,165 become 16,932, 2,117 and 2,116.

    The sizes are the shares of `count`; what rounding leaves over goes to the largest remainders, the earlier split
    first. Groups are placed before single images, each in a split drawn by the room that is left in it, so that the
    sizes are met exactly unless a group is larger than that room.

    Args:
        count: of the images.
        shares: of train, validation and test; they sum to 1.
        seed: of the shuffle.
        together: `count` group numbers, -1 for none; a group stays in one split.
    """
    room = _sizes(count, shares)
    rng = np.random.default_rng(seed)
    where = np.full(count, -1)
    for members in _groups(together):
        fitting = np.where(room >= len(members), room, 0)
        chosen = int(rng.choice(len(room), p=fitting / fitting.sum())) if fitting.any() else int(np.argmax(room))
        where[members] = chosen
        room[chosen] -= len(members)
    alone = np.flatnonzero(where < 0)
    # A split that a large group has overfilled takes from the next ones: what is dealt is exactly what is left.
    dealt = np.repeat(np.arange(len(room)), np.maximum(room, 0))[: len(alone)]
    where[alone[rng.permutation(len(alone))]] = dealt
    splits: NDArray[np.str_] = np.asarray(SPLITS)[where]
    return splits


def _sizes(count: int, shares: Sequence[float]) -> NDArray[np.int64]:
    # Rounded: 0.1 * 21,165 and its like must not gain a remainder by floating point alone.
    wanted = np.round(np.asarray(shares) * count, 6)
    sizes = np.floor(wanted).astype(np.int64)
    order = np.argsort(sizes - wanted, kind="stable")
    sizes[order[: count - sizes.sum()]] += 1
    return sizes


def _groups(together: Sequence[int] | NDArray[np.integer] | None) -> list[NDArray[np.int64]]:
    """Members of every group of at least two, the largest group first."""
    if together is None:
        return []
    rows = pd.Series(np.asarray(together))
    found = [np.asarray(members) for _, members in rows[rows >= 0].groupby(rows[rows >= 0]).groups.items()]
    return sorted((members for members in found if len(members) > 1), key=len, reverse=True)


def _joined(patient_ids: Sequence[str], together: Sequence[int] | NDArray[np.integer] | None) -> list[str]:
    """Patient ids under which patients who share a group are one."""
    groups = _groups(together)
    if not groups:
        return list(patient_ids)
    parent: dict[Hashable, Hashable] = {}

    def root(node: Hashable) -> Hashable:
        while (above := parent.setdefault(node, node)) != node:
            parent[node] = node = parent[above]
        return node

    nodes: list[Hashable] = [pid or row for row, pid in enumerate(patient_ids)]
    for members in groups:
        for row in members[1:]:
            parent[root(nodes[row])] = root(nodes[members[0]])
    names: dict[Hashable, str] = {}
    rows_of: dict[Hashable, list[int]] = {}
    for row, node in enumerate(nodes):
        rows_of.setdefault(root(node), []).append(row)
    for top, rows in rows_of.items():
        known = sorted({patient_ids[row] for row in rows} - {""})
        names[top] = known[0] if known else ("" if len(rows) == 1 else f"\0images from {rows[0]}")
    return [names[root(node)] for node in nodes]


def split_by_patient(
    labels: Sequence[str],
    patient_ids: Sequence[str],
    *,
    shares: tuple[float, float, float] = SHARES,
    seed: int = 1,
) -> NDArray[np.str_]:
    """Assign every image to a split.

    Within each class the patients are shuffled and dealt, largest first, to the split that lacks most images. An
    image without a patient id is its own patient. A patient with images of several classes goes where the class
    that comes first in the alphabet puts them.

    Args:
        labels: `N` class names.
        patient_ids: `N` ids, '' where unknown.
        shares: of train, validation and test; they sum to 1.
        seed: of the shuffle.

    Returns:
        `(N,)` of 'train', 'validation', 'test'.

    Raises:
        DatasetError: a class has too few patients for one in each split, or shares so many with other classes that it
            has no image in one.
    """
    patients = [pid or f"\0image {i}" for i, pid in enumerate(patient_ids)]
    frame = pd.DataFrame({"label": list(labels), "patient": patients})
    frame["home"] = frame.groupby("patient")["label"].transform("min")
    rng = np.random.default_rng(seed)
    where: dict[str, str] = {}
    for label, rows in frame.groupby("home", sort=True):
        sizes = rows["patient"].value_counts().sort_index()
        if len(sizes) < len(SPLITS):
            raise DatasetError(
                f"The class {label!r} has images of {len(sizes)} patient(s); at least 3 are needed, so that train, "
                "validation and test each get one. Near duplicates that are kept together count as one patient."
            )
        where |= _deal(sizes, np.asarray(shares) * len(rows), rng)
    splits = np.asarray(frame["patient"].map(where), dtype=np.str_)
    if (lack := _lacking(labels, splits)) is not None:
        raise DatasetError(_shared_too_much(frame, *lack, seed))
    return splits


def _shared_too_much(frame: pd.DataFrame, label: str, split: str, seed: int) -> str:
    rows = frame[frame["label"] == label]
    shared = rows.loc[rows["home"] != label, "patient"].nunique()
    return (
        f"Split by patient with seed {seed}, no image of the class {label!r} falls into {split}: {shared} of its "
        f"{rows['patient'].nunique()} patient(s) have images of classes before it in the alphabet too, and go where "
        "those put them. Where ids are counted anew in every class, make them different, as in COVID-1 and Normal-1; "
        "else choose another seed, or add patients. Near duplicates that are kept together count as one patient."
    )


def _deal(sizes: pd.Series[int], wanted: NDArray[np.float64], rng: np.random.Generator) -> dict[str, str]:
    shuffled = sizes.iloc[rng.permutation(len(sizes))].sort_values(ascending=False, kind="stable")
    lacking = wanted.copy()
    home: dict[str, str] = {}
    for patient, size in shuffled.items():
        # Relative to what a split wants: otherwise the small splits are filled last, by single images only.
        target = int(np.argmax(lacking / wanted))
        lacking[target] -= size
        home[str(patient)] = SPLITS[target]
    return home


def split_hash(files: Sequence[str], splits: Sequence[str]) -> str:
    """SHA-256 over the sorted lines 'file<tab>split': the same for the same assignment in any order."""
    lines = sorted(f"{file}\t{split}" for file, split in zip(files, splits, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def write_split(path: Path, table: pd.DataFrame) -> None:
    """Write a table with the columns `file`, `label` and `split`, and whatever else it has, as CSV, atomically."""
    write_atomically(path, lambda temporary: table.to_csv(temporary, index=False))


def read_split(path: Path) -> pd.DataFrame:
    """Read what `write_split` wrote; every value is text.

    Raises:
        DatasetError: it cannot be read, lacks a column, names a file twice, or a split that there is not.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as a split file (a CSV with file, label, split): {error}") from error
    if missing := [name for name in ("file", "label", "split") if name not in table]:
        raise DatasetError(
            f"{path} is no split file: expected columns file, label, split; missing: {', '.join(missing)}."
        )
    if unknown := _first(set(table["split"]) - set(_WORDS)):
        raise DatasetError(f"{path}: a split must be one of {', '.join(_WORDS)}; found {unknown!r}.")
    if twice := _first(table["file"][table["file"].duplicated()]):
        raise DatasetError(f"{path} names {twice!r} more than once; every file must stand once.")
    return table


def _first(values: Iterable[str]) -> str | None:
    return min(values, default=None)
