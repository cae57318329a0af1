"""What a model answered to the synthetic phantoms where it was made, and whether it answers the same here.

Another processor, another torch or another way to read an image must not change an answer. Hashes tell that the files
are whole; only asking tells that the answers are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lungassist.classes import CLASSES
from lungassist.errors import WeightsError
from lungassist.files import write_json
from lungassist.models.weights import GOLDEN_FILE
from lungassist.phantom import phantom
from lungassist.predict import Classifier
from lungassist.preprocess import prepare_image

#: Apart by more than this, answers are other ones: far above the rounding of any processor, far below what a reader
#: would notice.
TOLERANCE: Final = 1e-3

_SEED: Final = 1
_SIZE: Final = 512
#: Of what is written: finer than the tolerance, coarser than rounding.
_DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class Drift:
    """How far the answers here are from those recorded, at most, over all phantoms and classes.

    Attributes:
        probability: of calibrated probabilities.
        evidence: of the mean of a heat map, as a share of the largest mean recorded.
    """

    probability: float
    evidence: float

    @property
    def is_none(self) -> bool:
        """Whether nobody could tell the two apart."""
        return self.probability <= TOLERANCE and self.evidence <= 10 * TOLERANCE


def golden_answers(classifier: Classifier) -> dict[str, Any]:
    """What the model says of a phantom of every class, as plain values."""
    pictures = [phantom(kind, _SEED, _SIZE).astype(np.float32) / np.float32(255) for kind in CLASSES]
    images = np.stack([prepare_image(picture, classifier.card.preprocessing) for picture in pictures])
    prediction = classifier.predict(images)
    assert prediction.heat_maps is not None  # they were asked for
    evidence = prediction.heat_maps.astype(np.float64).mean(axis=(2, 3))
    return {
        "weights_sha256": classifier.card.weights_sha256,
        "temperature": classifier.card.temperature,
        "phantoms": [
            {
                "kind": kind,
                "seed": _SEED,
                "size": _SIZE,
                "probabilities": _named(prediction.probabilities[row], classifier.classes),
                "mean_evidence": _named(evidence[row], classifier.classes),
            }
            for row, kind in enumerate(CLASSES)
        ],
    }


def record(folder: Path, shelf: Path | None = None) -> Path:
    """Ask the model in `folder` and keep its answers beside it; returns the file.

    Args:
        folder: the model's.
        shelf: where the members of an ensemble are; the folder's own by default.

    Raises:
        WeightsError: the model is damaged.
    """
    place = folder / GOLDEN_FILE
    write_json(place, golden_answers(Classifier.load(folder, shelf=shelf)))
    return place


def drift_of(classifier: Classifier, folder: Path) -> Drift | None:
    """Ask the model again; None where nothing is recorded in its folder.

    Raises:
        WeightsError: the record cannot be read, or is of other weights.
    """
    place = folder / GOLDEN_FILE
    if not place.is_file():
        return None
    try:
        recorded = json.loads(place.read_text(encoding="utf-8"))
        theirs = _arrays(recorded, classifier.classes)
        weights, temperature = recorded["weights_sha256"], recorded["temperature"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{place} is no record of answers ({error!r}). Restore it from where it came.") from error
    if (weights, temperature) != (classifier.card.weights_sha256, classifier.card.temperature):
        raise WeightsError(f"{place} is of other weights. Record it anew: python -m train.golden {folder}.")
    ours = _arrays(golden_answers(classifier), classifier.classes)
    largest = max(float(np.abs(theirs[1]).max()), 1e-12)
    apart = [float(np.abs(mine - other).max()) for mine, other in zip(ours, theirs, strict=True)]
    return Drift(apart[0], apart[1] / largest)


def _named(values: NDArray[np.float64], classes: tuple[str, ...]) -> dict[str, float]:
    return {name: round(float(value), _DECIMALS) for name, value in zip(classes, values, strict=True)}


def _arrays(answers: Mapping[str, Any], classes: tuple[str, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities and mean evidence, `(4, K)` each."""
    kinds = [entry["kind"] for entry in answers["phantoms"]]
    if kinds != list(CLASSES):
        raise ValueError(f"phantoms of {kinds}, expected {list(CLASSES)}")
    probabilities, evidence = (
        np.asarray([[entry[key][name] for name in classes] for entry in answers["phantoms"]], np.float64)
        for key in ("probabilities", "mean_evidence")
    )
    return probabilities, evidence
