"""A split mended so that nothing that is judged shows a film or a patient that was trained on.

A model that goes on from another one inherits the other's split: whatever the first has been trained on must never be
a test image of the second. A fresh split would break that; this one only ever moves images into training.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lungassist.dataset.duplicates import grouped


def without_leaks(
    splits: Sequence[str] | NDArray[np.str_],
    patient_ids: Sequence[str],
    together: Sequence[int] | NDArray[np.integer],
) -> NDArray[np.str_]:
    """Move into training whatever shares a film or a patient with an image of another split.

    Images that are linked, directly or through others, by a group of `together` or by a patient form a family. A family
    that lies in one split stays there; one that lies in several goes into `train` as a whole. So test and validation
    can only lose images, and a model trained on the old `train` has seen none of those that are left in them.

    Args:
        splits: `N` words of `train`, `validation`, `test`; an image with another word (unused, unreadable) keeps it and
            links nothing.
        patient_ids: `N` ids, '' where unknown.
        together: `N` group numbers, -1 for none, from `duplicate_groups`.

    Returns:
        `(N,)` of the same words.

    Raises:
        ValueError: the three are not of one length.
    """
    before = np.asarray(splits, dtype=np.str_)
    if not len(before) == len(patient_ids) == len(together):
        raise ValueError(f"expected a patient and a group for each of {len(before)} images")
    used = np.isin(before, ("train", "validation", "test"))
    first, second = _links(patient_ids, together, used)
    families = pd.Series(grouped(len(before), first, second))
    spread = pd.Series(before)[used & (families >= 0).to_numpy()].groupby(families).nunique()
    leaking = families.isin(spread.index[spread > 1]).to_numpy() & used
    return np.where(leaking, "train", before)


def _links(
    patient_ids: Sequence[str], together: Sequence[int] | NDArray[np.integer], used: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edges from the first member of every patient and every group to the others."""
    rows = np.flatnonzero(used)
    patients = pd.Series(list(patient_ids), dtype=object).iloc[rows]
    groups = pd.Series(np.asarray(together)).iloc[rows]
    first, second = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for keys in (patients[patients != ""], groups[groups >= 0]):
        heads = pd.Series(keys.index, index=keys.index).groupby(keys).transform("min")
        others = heads.index != heads
        first.append(heads[others].to_numpy(np.int64))
        second.append(heads.index[others].to_numpy(np.int64))
    return np.concatenate(first), np.concatenate(second)
