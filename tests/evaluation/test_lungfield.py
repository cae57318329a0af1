"""The automatic lung field against anatomy that is known because it was drawn, and masks as the database has them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lungassist.classes import CLASSES, COVID
from lungassist.evaluation.lungfield import (
    AUTOMATIC,
    MASKS,
    SIDE,
    LungField,
    database_field,
    dice,
    evidence_inside,
    lung_field,
    lung_fields,
    mask_path,
)
from lungassist.phantom import drawn_lungs, phantom
from lungassist.preprocess import Preprocessing, prepare_image
from lungassist.settings import Settings
from tests.drawn import png


def prepared(label: str, seed: int) -> np.ndarray:
    return prepare_image(phantom(label, seed, 256).astype(np.float32), Preprocessing())


@pytest.mark.parametrize("label", CLASSES)
def test_the_lungs_of_synthetic_chests_are_found(label: str) -> None:
    for seed in (11, 12):
        field = lung_field(prepared(label, seed))
        truth = cv2.resize(drawn_lungs(label, seed), (SIDE, SIDE), interpolation=cv2.INTER_AREA) > 0.5
        assert dice(field.mask, truth) > 0.85
        assert field.origin == AUTOMATIC


def test_a_chest_moved_within_the_film_is_followed() -> None:
    picture = phantom(COVID, 5, 256).astype(np.float32)
    small = cv2.resize(picture, (190, 190), interpolation=cv2.INTER_AREA)
    film = np.full((256, 256), float(picture.min()), np.float32)
    film[20:210, 50:240] = small
    truth = np.zeros((256, 256), np.float32)
    truth[20:210, 50:240] = cv2.resize(drawn_lungs(COVID, 5), (190, 190), interpolation=cv2.INTER_AREA)
    field = lung_field(prepare_image(film, Preprocessing()))
    assert dice(field.mask, cv2.resize(truth, (SIDE, SIDE), interpolation=cv2.INTER_AREA) > 0.5) > 0.8


def test_several_at_once_are_found_as_one_by_one() -> None:
    images = [prepared(label, seed) for label in CLASSES for seed in (1, 2)]
    for field, image in zip(lung_fields(images), images, strict=True):
        alone = lung_field(image)
        assert np.array_equal(field.mask, alone.mask)
        assert field.agreement == alone.agreement


def test_a_blank_film_has_some_answer_and_no_error() -> None:
    for grey in (0, 128, 255):
        assert lung_field(np.full((224, 224), grey, np.uint8)).mask.shape == (SIDE, SIDE)


def test_evidence_is_counted_where_it_lies() -> None:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[:, : SIDE // 4] = True
    field = LungField(mask, 1.0, MASKS)
    even = np.ones((8, 8), np.float32)
    assert evidence_inside(even, field) == pytest.approx(0.25)
    inside, outside = np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32)
    inside[:, 0], outside[:, 6:] = 1, 1
    assert evidence_inside(inside, field) > 0.95
    assert evidence_inside(outside, field) == 0
    assert np.isnan(evidence_inside(np.zeros((8, 8), np.float32), field))


def test_the_databases_masks_are_read_where_they_are(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / COVID / folder).mkdir(parents=True)
    white = np.zeros((256, 256), np.uint8)
    white[64:192, 32:96] = 255
    (tmp_path / COVID / "masks" / "COVID-1.png").write_bytes(png(white))
    (tmp_path / COVID / "masks" / "COVID-2.png").write_bytes(png(np.zeros((256, 256), np.uint8)))
    (tmp_path / COVID / "masks" / "COVID-3.png").write_text("no picture")
    settings = Settings.from_environment()
    # A copy of the database may have its images as JPEG, its masks not.
    assert mask_path(tmp_path, "COVID/images/COVID-1.jpg") == tmp_path / COVID / "masks" / "COVID-1.png"
    field = database_field(tmp_path, "COVID/images/COVID-1.jpg", settings)
    assert field is not None
    assert field.origin == MASKS
    assert field.mask.mean() == pytest.approx((128 * 64) / 256**2, abs=0.01)
    assert field.mask[SIDE // 2, 20]
    for name in ("COVID-2.png", "COVID-3.png", "COVID-4.png"):
        assert database_field(tmp_path, f"COVID/images/{name}", settings) is None


def test_dice_by_hand() -> None:
    one, other = np.zeros((4, 4), np.bool_), np.zeros((4, 4), np.bool_)
    assert dice(one, other) == 1
    one[0], other[0, :2] = True, True
    assert dice(one, other) == pytest.approx(2 * 2 / (4 + 2))
