"""What a run is fitted on: an index, its prepared pixels, and the split."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lungassist.dataset import (
    UNREADABLE,
    UNUSED,
    Audit,
    DatasetIndex,
    PreparedImages,
    assign_splits,
    audit,
    duplicate_groups,
    index_folder,
    open_cache,
    read_split,
)
from lungassist.errors import DatasetError, StoppedError
from lungassist.preprocess import Preprocessing
from lungassist.settings import Settings
from lungassist.training.config import RunConfig
from lungassist.training.failures import StopRequest
from lungassist.training.pixels import LabelledImages, Rows

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Material:
    """A data set, read, prepared and split.

    Attributes:
        index: the images' names and labels.
        prepared: their pixels, in the index's order.
        raw: the same before they are enhanced, where a run enhances them after they are changed.
        table: the index's table with a column `split`: one of `dataset.SPLITS`, `unreadable`, or `unused` where a given
            split does not name the image.
        audit: what was found in the data.
    """

    index: DatasetIndex
    prepared: PreparedImages
    table: pd.DataFrame
    audit: Audit
    raw: PreparedImages | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the network's outputs."""
        return self.index.classes

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class indices `(N,)`."""
        order = {name: i for i, name in enumerate(self.classes)}
        indices: NDArray[np.int64] = self.table["label"].map(order).to_numpy().astype(np.int64)
        return indices

    def rows(self, *splits: str) -> NDArray[np.int64]:
        """Which of the images are in any of the splits, `(n,)` in the table's order."""
        found: NDArray[np.int64] = np.flatnonzero(self.table["split"].isin(splits).to_numpy()).astype(np.int64)
        return found

    def data(self, split: str) -> LabelledImages:
        """A split's images, still where they lie, and labels; those to train on are `raw` where there are such."""
        chosen = self.rows(split)
        source = self.raw if self.raw is not None and split == "train" else self.prepared
        return LabelledImages(Rows(source.images, chosen), torch.from_numpy(self.labels[chosen]))


def gather(
    config: RunConfig,
    index: DatasetIndex,
    settings: Settings,
    *,
    progress: Callable[[int, int], None] | None = None,
    stop: StopRequest | None = None,
    dealt: Path | None = None,
) -> Material:
    """Read, prepare, audit and split every image of `index`.

    Args:
        config: the run's.
        index: of its folder.
        settings: where the cache is.
        progress: told how many images of how many are there.
        stop: becomes true when somebody wants the run to end.
        dealt: the split that the run was begun with, which is kept; by default images are dealt as `config` says.

    Raises:
        DatasetError: a class has no readable image, or too few patients for three splits.
        CancelledError: somebody asked the run to end; what was prepared until then is kept.
    """
    recipe = config.recipe
    stop = stop or StopRequest()

    def opened(preprocessing: Preprocessing) -> PreparedImages:
        return open_cache(index, preprocessing, settings, workers=recipe.workers, progress=progress, stop=stop)

    try:
        prepared = opened(recipe.preprocessing)
        raw = opened(replace(recipe.preprocessing, enhancement="none")) if recipe.enhance_changed else None
    except StoppedError:
        stop.end()
    for file, reason in prepared.unreadable.items():
        log.warning("left out %s: %s", file, reason)
    usable = index.table[prepared.readable]
    if lost := sorted(set(index.classes) - set(usable["label"])):
        first = next(iter(prepared.unreadable.items()))
        raise DatasetError(f"No image of the class {lost[0]!r} can be read; the first that failed: {', '.join(first)}")
    split = np.full(len(index.table), UNREADABLE, dtype=object)
    split[prepared.readable] = _split_of(config, usable, prepared) if dealt is None else _as_dealt(dealt, usable)
    found = audit(index, prepared, split.astype(str))
    return Material(index, prepared, index.table.assign(split=split), found, raw)


def _split_of(config: RunConfig, usable: pd.DataFrame, prepared: PreparedImages) -> NDArray[np.str_]:
    recipe = config.recipe
    if config.split_file is not None:
        return _split_from(config.split_file, usable)
    together = duplicate_groups(prepared)[prepared.readable] if recipe.duplicates_together else None
    return assign_splits(usable, method=recipe.split, seed=recipe.split_seed, together=together)


def _as_dealt(path: Path, usable: pd.DataFrame) -> NDArray[np.str_]:
    """The split in a run's directory; an image that was not readable then is in none, which the run will refuse."""
    given = read_split(path).set_index("file")["split"].replace(UNREADABLE, UNUSED)
    return np.asarray(usable["file"].map(given).fillna(UNUSED), dtype=np.str_)


def _split_from(path: Path, usable: pd.DataFrame) -> NDArray[np.str_]:
    given = read_split(path).set_index("file")["split"]
    split = usable["file"].map(given).fillna(UNUSED)
    for name in ("train", "validation", "test"):
        missing = sorted(set(usable["label"]) - set(usable.loc[split == name, "label"]))
        if missing:
            raise DatasetError(f"{path} puts no image of the class {missing[0]!r} of this folder into {name}.")
    return np.asarray(split, dtype=np.str_)


def indexed(config: RunConfig) -> DatasetIndex:
    """The index of the run's folder.

    Raises:
        DatasetError: the folder is gone, empty, or of one class only.
    """
    index = index_folder(config.data, config.metadata)
    log.info("%d images in %s; read as %s", len(index.table), config.data, index.taken_for)
    for note in index.notes:
        log.info("%s", note)
    return index
