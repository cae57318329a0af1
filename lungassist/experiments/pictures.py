"""Images of a table as pictures: small, and with what a model saw in them painted over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lungassist.explain import shared_scale
from lungassist.imaging import png_bytes
from lungassist.imaging.reader import read_file
from lungassist.imaging.render import to_uint8
from lungassist.overlay import overlay
from lungassist.predict import Classifier
from lungassist.preprocess import Preprocessing, prepare_image
from lungassist.settings import Settings


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model says of an image: the finding, its probability, and the evidence for it as PNG over the image."""

    finding: str
    probability: float
    png: bytes


def thumbnail_png(path: Path, settings: Settings, side: int = 160) -> bytes:
    """An image as it is prepared for a model, `side` pixels square.

    Raises:
        StudyError: it cannot be read.
    """
    return png_bytes(prepare_image(read_file(path, settings).pixels, Preprocessing.named(size=side)))


def seen_by(classifier: Classifier, path: Path, settings: Settings, side: int = 480) -> Seen:
    """Ask a model, and paint the Grad-CAM evidence for its finding over the image, its longer side `side` pixels.

    Raises:
        StudyError: the image cannot be read.
        WeightsError: the model's answer is not finite.
    """
    pixels = read_file(path, settings).pixels
    prepared = prepare_image(pixels, classifier.card.preprocessing)
    prediction = classifier.predict(prepared[None])
    best = int(prediction.probabilities[0].argmax())
    share = side / max(pixels.shape)
    size = round(pixels.shape[1] * share), round(pixels.shape[0] * share)
    small = to_uint8(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32))
    assert prediction.heat_maps is not None
    maps = prediction.heat_maps[0]
    painted = overlay(small, maps[best], shared_scale(maps))
    return Seen(classifier.classes[best], float(prediction.probabilities[0, best]), png_bytes(painted))
