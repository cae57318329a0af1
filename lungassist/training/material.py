"""What a run is fitted on: an index, its prepared pixels, and the split."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lungassist.dataset import DatasetIndex, PreparedImages, prepare_all, split_by_patient
from lungassist.errors import DatasetError
from lungassist.preprocess import Preprocessing
from lungassist.settings import Settings
from lungassist.training.fit import LabelledImages

log = logging.getLogger(__name__)

#: Of the split: the same for every run, so that models of one data set are judged on the same images.
SPLIT_SEED: Final = 1

UNREADABLE: Final = "unreadable"


@dataclass(frozen=True, slots=True)
class Material:
    """A data set, read, prepared and split.

    Attributes:
        index: the images' names and labels.
        prepared: their pixels, in the index's order.
        table: the index's table with a column `split`: one of `dataset.SPLITS`, or `unreadable`.
    """

    index: DatasetIndex
    prepared: PreparedImages
    table: pd.DataFrame

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

    def rows(self, split: str) -> NDArray[np.bool_]:
        """Which of the `(N,)` images are in a split."""
        chosen: NDArray[np.bool_] = (self.table["split"] == split).to_numpy().astype(np.bool_)
        return chosen

    def tensors(self, split: str, device: torch.device) -> LabelledImages:
        """A split's images and labels on the training device."""
        chosen = self.rows(split)
        return LabelledImages(
            torch.from_numpy(self.prepared.images[chosen]).to(device),
            torch.from_numpy(self.labels[chosen]).to(device),
        )


def gather(index: DatasetIndex, preprocessing: Preprocessing, workers: int) -> Material:
    """Read, prepare and split every image of `index`.

    Raises:
        DatasetError: a class has no readable image, or too few patients for three splits.
    """

    def tell(done: int, total: int) -> None:
        if done % 1024 == 0 or done == total:
            log.info("prepared %d of %d images", done, total)

    prepared = prepare_all(index, preprocessing, Settings.from_environment(), workers=workers, progress=tell)
    for file, reason in prepared.unreadable.items():
        log.warning("left out %s: %s", file, reason)
    usable = index.table[prepared.readable]
    if lost := sorted(set(index.classes) - set(usable["label"])):
        first = next(iter(prepared.unreadable.items()))
        raise DatasetError(f"No image of the class {lost[0]!r} can be read; the first that failed: {': '.join(first)}")
    split = np.full(len(index.table), UNREADABLE, dtype=object)
    split[prepared.readable] = split_by_patient(
        usable["label"].tolist(), usable["patient_id"].tolist(), seed=SPLIT_SEED
    )
    return Material(index, prepared, index.table.assign(split=split))
