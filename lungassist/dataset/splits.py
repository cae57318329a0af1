"""Splits a data set into train, validation and test, stratified by class, a patient's images kept together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lungassist.errors import DatasetError

SPLITS: Final = ("train", "validation", "test")


def split_by_patient(
    labels: Sequence[str],
    patient_ids: Sequence[str],
    *,
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1),
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
        DatasetError: a class has too few patients for one in each split.
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
                f"The class {label!r} has images of {len(sizes)} patient(s); at least 3 are needed, "
                "so that train, validation and test each get one."
            )
        where |= _deal(sizes, np.asarray(shares) * len(rows), rng)
    return np.asarray(frame["patient"].map(where), dtype=np.str_)


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
