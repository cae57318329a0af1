"""The shortcut audit's raw material: how much of a model's evidence lies inside the lungs, image by image.

A model that judges by a hospital's marker, the collimator's edge or the shoulders is right for the wrong reason, and
fails elsewhere. For each image the heat map of the model's finding is held against the lungs. Everything that
follows is computed from the columns of the predictions table that this writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lungassist.evaluation.lungfield import AUTOMATIC, MASKS, LungField, database_field, evidence_inside, lung_field
from lungassist.explain import GRAD_CAM
from lungassist.predict import Classifier
from lungassist.settings import Settings

#: Share of the finding's Grad-CAM evidence that lies inside the lungs, in [0, 1]; empty where there is no evidence.
INSIDE: Final = "evidence_in_lungs"
#: Share of the picture that the lungs take, which evidence spread evenly would have.
AREA: Final = "lung_area"
#: Whose lungs: `lungfield.MASKS`, the database's own, or `lungfield.AUTOMATIC`.
FIELD: Final = "lung_field"

COLUMNS: Final = (INSIDE, AREA, FIELD)

_ORIGINS: Final = (AUTOMATIC, MASKS)


class EvidenceInLungs:
    """Asks a model for probabilities and evidence, and looks where it lies."""

    #: Numbers a row beside the probabilities: share inside, area, and the place of the field's origin in `_ORIGINS`.
    extra: Final = 3

    def __init__(self, root: Path, settings: Settings, workers: int) -> None:
        """Take the folder whose `masks/` are used where they are, and the threads that find fields elsewhere."""
        self._root, self._settings, self._workers = root, settings, workers

    def rows(self, classifier: Classifier, images: NDArray[np.uint8], files: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities and `extra` numbers of prepared images `(n, S, S)`: `(n, K + extra)`."""
        answer = classifier.predict(images, GRAD_CAM)
        if answer.heat_maps is None:
            raise RuntimeError("predict returned no heat maps although they were asked for")
        findings = answer.probabilities.argmax(axis=1)
        with ThreadPoolExecutor(self._workers) as pool:
            fields = list(pool.map(self._field, images, files))
        measured = [
            (evidence_inside(maps[finding], field), field.mask.mean(), _ORIGINS.index(field.origin))
            for maps, finding, field in zip(answer.heat_maps, findings, fields, strict=True)
        ]
        return np.concatenate([answer.probabilities, np.asarray(measured, np.float64)], axis=1)

    def _field(self, image: NDArray[np.uint8], file: str) -> LungField:
        return database_field(self._root, file, self._settings) or lung_field(image)


def evidence_columns(rows: NDArray[np.float64]) -> dict[str, Any]:
    """Columns of a predictions table from the `extra` numbers `(N, 3)`."""
    return {
        INSIDE: np.round(rows[:, 0], 5),
        AREA: np.round(rows[:, 1], 5),
        FIELD: [_ORIGINS[int(origin)] for origin in rows[:, 2]],
    }
