"""What members of an ensemble say of images that go through an enhancement first: asked anew where that changes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lungassist.dataset import PreparedImages, index_folder, open_cache
from lungassist.enhance import ENHANCERS
from lungassist.errors import PredictionsError
from lungassist.evaluation.predictions import PREFIX
from lungassist.models.card import Card
from lungassist.predict import Classifier
from lungassist.settings import Settings

_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class SeenThrough:
    """An enhancement that every image goes through before each member of an ensemble adds its own.

    Attributes:
        enhancement: of `preprocess.ENHANCEMENTS`.
        data: the folder of the images that the members were trained and judged on.
        metadata: the CSV that went with it, or None.
        settings: the reader's limits, and where prepared images are kept.
    """

    enhancement: str
    data: Path
    metadata: Path | None
    settings: Settings


def asked_anew(
    through: SeenThrough, members: Sequence[tuple[Path, Card]], tables: Sequence[pd.DataFrame]
) -> tuple[list[pd.DataFrame], int]:
    """The members' tables, with what they say of the images that the enhancement changes.

    Args:
        through: the enhancement and the images.
        members: their folders and cards.
        tables: theirs, with the same files in the same order.

    Returns:
        The tables in the same order, and how many images the enhancement changed.

    Raises:
        DatasetError, CacheError: the folder cannot be read.
        PredictionsError: it lacks images of the tables, or holds others than the members saw.
    """
    index = index_folder(through.data, through.metadata)
    first = members[0][1]
    prepared = open_cache(index, replace(first.preprocessing, enhancement="none"), through.settings)
    rows = _rows(tables[0], index.table, prepared, through.data)
    _refuse_other_contents([card for _, card in members], prepared, through.data)
    enhance = ENHANCERS[through.enhancement]
    changed, images = [], []
    for place, row in enumerate(rows):
        image = np.asarray(prepared.images[row])
        enhanced = enhance(image)
        if not np.array_equal(enhanced, image):
            changed.append(place)
            images.append(enhanced)
    if not changed:
        return list(tables), 0
    return [
        _with_answers(table, changed, _answers(folder, images), card.classes)
        for (folder, card), table in zip(members, tables, strict=True)
    ], len(changed)


def _rows(table: pd.DataFrame, indexed: pd.DataFrame, prepared: PreparedImages, data: Path) -> NDArray[np.int64]:
    place = pd.Series(np.arange(len(indexed)), indexed["file"])[prepared.readable]
    lacking = table.loc[~table["file"].isin(place.index), "file"]
    if len(lacking):
        raise PredictionsError(
            f"{data} lacks {len(lacking):,} of the {len(table):,} images that the members were trained and judged on, "
            f"such as {lacking.iloc[0]}. Name the folder that they were trained on."
        )
    return place.reindex(table["file"]).to_numpy(np.int64)


def _refuse_other_contents(cards: Sequence[Card], prepared: PreparedImages, data: Path) -> None:
    for card in cards:
        own = card.data.get("content_sha256")
        if own and own != prepared.content_hash:
            raise PredictionsError(
                f"The files in {data} have other contents than those that {card.name} was trained and judged on. Name "
                "the folder that it was trained on."
            )


def _answers(folder: Path, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    member = Classifier.load(folder)
    own = ENHANCERS[member.card.preprocessing.enhancement]
    batches = (images[first : first + _BATCH] for first in range(0, len(images), _BATCH))
    return np.concatenate(
        [member.predict(np.stack([own(image) for image in batch]), None).probabilities for batch in batches]
    )


def _with_answers(
    table: pd.DataFrame, changed: Sequence[int], answers: NDArray[np.float64], classes: Sequence[str]
) -> pd.DataFrame:
    result = table.copy()
    result.loc[result.index[list(changed)], [f"{PREFIX}{label}" for label in classes]] = answers
    return result
