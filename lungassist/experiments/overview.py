"""A data set at a glance, without reading an image: what is in it, how its folders were understood, how it splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lungassist.dataset import SPLITS, DatasetIndex, assign_splits
from lungassist.dataset.public import PUBLIC_COUNTS
from lungassist.errors import StudyError
from lungassist.imaging.reader import read_file
from lungassist.preprocess import Preprocessing, prepare_image
from lungassist.settings import Settings

#: Between two thumbnails of a sheet, in pixels.
_GAP = 4


def split_counts(index: DatasetIndex, method: str, seed: int) -> dict[tuple[str, str], int]:
    """Images by (class, split), before near duplicates are looked for, which may move a few.

    Raises:
        DatasetError: there are too few images for every class to be in every split.
    """
    split = assign_splits(index.table, method=method, seed=seed)
    return dict(Counter(zip(index.table["label"].tolist(), split.tolist(), strict=True)))


def class_table(index: DatasetIndex, splits: Mapping[tuple[str, str], int]) -> pd.DataFrame:
    """A row a class and one for all: `class`, `images`, `public` (0 where the database has no such class), the splits.

    Args:
        index: the images.
        splits: images by (class, split).
    """
    counts = index.table["label"].value_counts()
    rows = [
        {
            "class": label,
            "images": int(counts[label]),
            "public": PUBLIC_COUNTS.get(label, 0),
            **{name: splits.get((label, name), 0) for name in SPLITS},
        }
        for label in index.classes
    ]
    table = pd.DataFrame(rows)
    total = pd.DataFrame([{"class": "All", **table.drop(columns="class").sum().to_dict()}])
    return pd.concat([table, total], ignore_index=True)


def some_of(index: DatasetIndex, label: str, count: int) -> list[str]:
    """`count` files of a class, spread over its list and the same every time."""
    files = index.table.loc[index.table["label"] == label, "file"].tolist()
    places = np.unique(np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int))
    return [files[place] for place in places]


def contact_sheet(root: Path, files: list[str], settings: Settings, side: int = 112, across: int = 6) -> bytes:
    """Thumbnails in rows of `across`, prepared as for training, as PNG; an unreadable one is crossed out."""
    tiles = [_thumbnail(root / file, settings, side) for file in files]
    rows = -(-len(tiles) // across)
    step = side + _GAP
    columns = min(across, len(tiles))
    sheet = np.zeros((rows * step - _GAP, columns * step - _GAP, 4), np.uint8)
    for number, tile in enumerate(tiles):
        down, right = (number // across) * step, (number % across) * step
        sheet[down : down + side, right : right + side, :3] = tile[..., None]
        sheet[down : down + side, right : right + side, 3] = 255
    return cv2.imencode(".png", sheet)[1].tobytes()


def _thumbnail(path: Path, settings: Settings, side: int) -> NDArray[np.uint8]:
    try:
        return prepare_image(read_file(path, settings).pixels, Preprocessing.named(size=side))
    except StudyError:
        crossed = np.full((side, side), 40, np.uint8)
        cv2.line(crossed, (0, 0), (side - 1, side - 1), 160, 2)
        cv2.line(crossed, (side - 1, 0), (0, side - 1), 160, 2)
        return crossed
