"""The public COVID-19 Radiography Database, and how a folder compares with it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import pandas as pd

from lungassist.classes import COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA
from lungassist.dataset.index import DatasetIndex

#: Images a class of the complete database (its fourth version, 21,165 images, as the paper used it).
PUBLIC_COUNTS: Final[Mapping[str, int]] = MappingProxyType(
    {COVID: 3616, LUNG_OPACITY: 6012, NORMAL: 10192, VIRAL_PNEUMONIA: 1345}
)


def compare_with_public(index: DatasetIndex) -> pd.DataFrame:
    """Images a class here and in the complete public database, in the columns `class`, `images`, `public`.

    Classes that the database does not have, have 0 there.
    """
    here = index.table["label"].value_counts()
    names = sorted({*PUBLIC_COUNTS, *here.index})
    counts = [(name, int(here.get(name, 0)), PUBLIC_COUNTS.get(name, 0)) for name in names]
    return pd.DataFrame(counts, columns=["class", "images", "public"])


def public_sentence(index: DatasetIndex) -> str:
    """Whether the images are the complete public database, in a sentence."""
    table = compare_with_public(index)
    total = sum(PUBLIC_COUNTS.values())
    if (table["images"] == table["public"]).all():
        return f"By its counts this is the complete COVID-19 Radiography Database: {total:,} images."
    if not set(index.classes) & set(PUBLIC_COUNTS):
        return "These are not the classes of the COVID-19 Radiography Database."
    more = table[(table["images"] > table["public"]) & (table["public"] > 0)]
    foreign = table.loc[table["public"] == 0, "class"].tolist()
    sentence = (
        f"{int(table['images'].sum()):,} images; the complete COVID-19 Radiography Database has {total:,}. "
        + ", ".join(f"{row[1]} {row[2]:,} of {row[3]:,}" for row in table[table["public"] > 0].itertuples())
        + "."
    )
    if len(more):
        sentence += f" There are more of {', '.join(more['class'])} than it has."
    if foreign:
        sentence += f" It does not have the classes {', '.join(foreign)}."
    return sentence
