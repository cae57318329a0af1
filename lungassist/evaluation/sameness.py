"""Whether two tables can be of the same images: in two folders, files of one name may be different pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from lungassist.models.card import Card


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is recorded of the images of a whole table.

    Attributes:
        listing: number of the names and labels; the same for tables that name the same images.
        content: SHA-256 of the files' bytes and labels, see `PreparedImages.content_hash`; '' where unknown.
    """

    listing: int
    content: str

    def contradict(self, other: Pictures) -> bool:
        """Whether tables that name the same images are known to have seen different ones."""
        return self.listing == other.listing and bool(self.content and other.content) and self.content != other.content


#: Of a table that nothing is recorded of.
UNKNOWN: Final = Pictures(0, "")


def pictures_of(path: Path, rows: pd.DataFrame, card: Card | None) -> Pictures:
    """Look for the record that `evaluate` leaves beside a table, or the card of the model that it is of.

    Args:
        path: of the table.
        rows: all of them, with `file` and `label`.
        card: beside the table; counts if it speaks of as many images.
    """
    ordered = rows[["file", "label"]].sort_values("file")
    listing = hash(pd.util.hash_pandas_object(ordered, index=False).to_numpy().tobytes())
    content = _record(path).get("key", {}).get("images", "")
    if not content and card is not None and card.data.get("images") == len(rows):
        content = card.data.get("content_sha256", "")
    return Pictures(listing, str(content))


def remarks_of(path: Path) -> tuple[str, ...]:
    """Sentences of `evaluate` that whoever compares a table must read."""
    return tuple(map(str, _record(path).get("remarks", ())))


def _record(path: Path) -> Mapping[str, Any]:
    """What `evaluate` wrote beside the table; empty if it is another's."""
    try:
        values = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    ours = isinstance(values, dict) and values.get("table") == path.name and isinstance(values.get("key"), dict)
    return values if ours else {}
