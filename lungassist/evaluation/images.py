"""Models side by side on the same images: rows in one order, and resamples shared by all that is computed of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lungassist.evaluation.patients import patients_of
from lungassist.evaluation.predictions import PREFIX
from lungassist.evaluation.tables import Predictions
from lungassist.metrics import Bootstrap, Measured, Roles


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Some images, and what each of several models said of all of them.

    Attributes:
        table: a row an image, sorted by file: file, label, patient_id, split, source and every further property that
            any of the models' tables has.
        classes: in the order of the probabilities.
        probabilities: model -> `(N, K)`.
        resamples, seed: of the bootstrap.
    """

    table: pd.DataFrame = field(repr=False)
    classes: tuple[str, ...]
    probabilities: Mapping[str, NDArray[np.float64]] = field(repr=False)
    resamples: int
    seed: int

    def __len__(self) -> int:
        return len(self.table)

    @property
    def models(self) -> tuple[str, ...]:
        """In the order of the tables."""
        return tuple(self.probabilities)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """`(N,)` class indices."""
        order = {name: i for i, name in enumerate(self.classes)}
        return np.asarray(self.table["label"].map(order), np.int64)

    @cached_property
    def findings(self) -> dict[str, NDArray[np.int64]]:
        """Model -> `(N,)` indices of the predicted classes."""
        return {name: values.argmax(axis=1) for name, values in self.probabilities.items()}

    @cached_property
    def right(self) -> dict[str, NDArray[np.bool_]]:
        """Model -> `(N,)`, whether the predicted class is the true one."""
        return {name: found == self.labels for name, found in self.findings.items()}

    @cached_property
    def bootstrap(self) -> Bootstrap:
        """Resamples of these images by patient; one whose patient is unknown is a patient of its own."""
        ids = [pid or f"\0{row}" for row, pid in enumerate(self.table["patient_id"])]
        return Bootstrap(pd.factorize(np.asarray(ids, object))[0], self.resamples, self.seed)

    @cached_property
    def measured(self) -> dict[str, Measured]:
        """Every figure of every model, with intervals."""
        return self.bootstrap.measure(self.labels, self.probabilities, Roles.of(self.classes))


def image_sets(tables: Sequence[Predictions], resamples: int, seed: int) -> tuple[ImageSet, ...]:
    """Gather models that were asked about the same images: the same files with the same labels.

    Tables that are known to be of different pictures under the same names stay apart.
    """
    ordered = [(table, table.table.sort_values("file", ignore_index=True)) for table in tables]
    groups: dict[bytes, list[list[tuple[Predictions, pd.DataFrame]]]] = {}
    for table, rows in ordered:
        hashes = pd.util.hash_pandas_object(rows[["file", "label"]], index=False)
        named_alike = groups.setdefault(hashes.to_numpy().tobytes(), [])
        fitting = (g for g in named_alike if not any(table.pictures.contradict(other.pictures) for other, _ in g))
        group = next(fitting, None)
        if group is None:
            named_alike.append(group := [])
        group.append((table, rows))
    return tuple(_image_set(members, resamples, seed) for named_alike in groups.values() for members in named_alike)


def _image_set(members: Sequence[tuple[Predictions, pd.DataFrame]], resamples: int, seed: int) -> ImageSet:
    classes = members[0][0].classes
    columns = [f"{PREFIX}{name}" for name in classes]
    properties = pd.DataFrame(members[0][1][["file", "label", "split"]])
    properties["patient_id"] = patients_of([rows["patient_id"] for _, rows in members])
    for table, rows in members:
        for name in table.properties:
            # What one table leaves empty, another may know.
            if name not in properties or (properties[name] == "").all():
                properties[name] = rows[name].to_numpy()
    return ImageSet(
        table=properties,
        classes=classes,
        probabilities={table.name: rows[columns].to_numpy(np.float64) for table, rows in members},
        resamples=resamples,
        seed=seed,
    )
