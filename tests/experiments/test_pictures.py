"""Images of a table as pictures, with what a model saw."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lungassist.errors import StudyError
from lungassist.experiments.pictures import seen_by, thumbnail_png
from lungassist.imaging.reader import read_file
from lungassist.predict import Classifier
from lungassist.preprocess import prepare_image
from lungassist.settings import Settings

SETTINGS = Settings.from_environment()


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_a_model_says_of_an_image_what_it_says_elsewhere(films: Path, small_model: Path) -> None:
    image = next(films.glob("COVID/images/*.png"))
    model = Classifier.load(small_model)
    seen = seen_by(model, image, SETTINGS)
    prepared = prepare_image(read_file(image, SETTINGS).pixels, model.card.preprocessing)
    probabilities = model.predict(prepared[None]).probabilities[0]
    assert seen.finding == model.classes[probabilities.argmax()]
    assert seen.probability == pytest.approx(probabilities.max())
    assert max(decoded(seen.png).shape[:2]) == 480


def test_a_thumbnail_is_small_and_a_file_that_is_no_image_is_refused(films: Path, tmp_path: Path) -> None:
    assert decoded(thumbnail_png(next(films.glob("COVID/images/*.png")), SETTINGS)).shape[:2] == (160, 160)
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(StudyError):
        thumbnail_png(tmp_path / "broken.png", SETTINGS)
