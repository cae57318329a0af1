"""Whose image it is: where that is not known but a word stands in its place, and where tables differ about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

#: What stands where nothing is known: R's and pandas' words when they write a table, and people's. In small letters.
_UNKNOWN: Final = frozenset(
    {"na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "null", "none", "nil", "unknown", "missing", "?", "-", "--"}
)


def known_patients(ids: pd.Series[str]) -> tuple[pd.Series[str], list[str]]:
    """Patient ids, '' in place of a word that says that there is none.

    Taken for an id, such a word would make one patient of all the images that have it.

    Returns:
        The ids, and a note a word.
    """
    told = ids.str.strip()
    unknown = told.str.lower().isin(_UNKNOWN)
    notes = [
        f"The patient_id {word!r} of {count:,} images was taken for unknown: each counts as a patient of its own."
        for word, count in told[unknown].value_counts().items()
    ]
    return ids.mask(unknown, ""), notes


def patients_of(columns: Sequence[pd.Series[str]]) -> NDArray[np.object_]:
    """Whose the images are, of what several tables say of the same ones, in one order.

    The first that knows any speaks for all, but not one that gives all images a single id: it tells nobody apart, and
    where another table leaves patients unknown, each image is a patient of its own.
    """
    telling = [ids for ids in columns if len(ids) == 1 or ids.iat[0] == "" or ids.nunique() > 1] or list(columns)
    return next((ids for ids in telling if (ids != "").any()), telling[0]).to_numpy(object)
