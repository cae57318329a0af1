"""Other surroundings: the chest stays, what lies around it is another's, and who draws what depends on nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lungassist.classes import CLASSES
from lungassist.evaluation.lungfield import AUTOMATIC, LungField
from lungassist.models.registry import build
from lungassist.phantom import drawn_lungs, phantom
from lungassist.training import surroundings as module
from lungassist.training.batch_norm import with_training_statistics
from lungassist.training.failures import CancelledError, StopRequest
from lungassist.training.fit import fit
from lungassist.training.pixels import LabelledImages, Rows
from lungassist.training.recipe import Recipe
from lungassist.training.state import start
from lungassist.training.surroundings import Chests, Surroundings, chests_everywhere, find_chests

SIDE = 160
RECIPE = Recipe(architecture="resnet18", start="scratch", size=SIDE, surroundings=1.0)


@pytest.fixture(scope="module")
def pictures() -> NDArray[np.uint8]:
    return np.stack([phantom(CLASSES[i % 4], seed=i, size=SIDE) for i in range(12)])


@pytest.fixture(scope="module")
def chests(pictures: NDArray[np.uint8]) -> Chests:
    return find_chests(pictures)


def labelled(pictures: NDArray[np.uint8]) -> LabelledImages:
    return LabelledImages(torch.from_numpy(pictures), torch.arange(len(pictures)) % 4)


def lungs(i: int) -> NDArray[np.bool_]:
    return cv2.resize(drawn_lungs(CLASSES[i % 4], i), (SIDE, SIDE), interpolation=cv2.INTER_AREA) > 0.5


def donated(
    pictures: NDArray[np.uint8], chests: Chests, own: int, donor: int, share: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """An image before and after, where only one other can give its surroundings."""
    usable = np.zeros(len(pictures), np.bool_)
    usable[donor] = True
    one = Surroundings(labelled(pictures), replace(chests, usable=usable), share)
    usable[own] = True  # the donors are known by now
    after = one.exchanged(torch.from_numpy(pictures[own : own + 1]), torch.tensor([own]), 1)
    return pictures[own].astype(np.float64), after[0].numpy().astype(np.float64)


def test_chests_are_found_in_synthetic_films(chests: Chests) -> None:
    assert chests.usable.all()
    for i in range(len(chests.boxes)):
        x, y, width, height = cv2.boundingRect(lungs(i).astype(np.uint8))
        found = chests.boxes[i] * SIDE
        assert np.abs(found - (x, y, width, height)).max() < 0.1 * SIDE


def test_the_chest_stays_and_its_surroundings_are_anothers(pictures: NDArray[np.uint8], chests: Chests) -> None:
    marked = pictures.copy()
    marked[5, :14, :40], marked[5, -14:, :40] = 255, 255  # two labels, at the top and at the bottom
    marked[0, :14, :40], marked[0, -14:, :40] = 0, 0
    before, after = donated(marked, chests, own=0, donor=5)
    assert np.abs(after - before)[lungs(0)].mean() < 1
    corners = np.concatenate([after[:10, :30], after[-10:, :30]])
    assert corners.mean() > before[:10, :30].mean() + 60, "the labels of the other came along"


def test_the_lungs_of_the_other_do_not_show(pictures: NDArray[np.uint8], chests: Chests) -> None:
    dark = pictures.copy()
    dark[5][lungs(5)] = 0
    plain, holed = (donated(some, chests, own=0, donor=5)[1] for some in (pictures, dark))
    assert np.abs(plain - holed).mean() < 1.5
    assert np.abs(pictures[5].astype(float) - dark[5]).mean() > 10, "it would have shown"


def test_grey_values_meet_where_chest_and_surroundings_border(pictures: NDArray[np.uint8], chests: Chests) -> None:
    darker = pictures.copy()
    darker[5] = pictures[5] // 3
    before, after = donated(darker, chests, own=0, donor=5)
    grown = [cv2.dilate(lungs(0).astype(np.uint8), np.ones((n, n))) > 0 for n in (1, 61)]
    hull = cv2.fillConvexPoly(
        np.zeros((SIDE, SIDE), np.uint8), cv2.convexHull(cv2.findNonZero(grown[0].astype(np.uint8))), 1
    )
    ring = (cv2.dilate(hull, np.ones((19, 19))) > 0) & (cv2.dilate(hull, np.ones((9, 9))) == 0)
    other = darker[5][ring].mean()
    assert abs(after[ring].mean() - before[ring].mean()) < 0.5 * abs(other - before[ring].mean())


def test_the_share_is_kept_to(pictures: NDArray[np.uint8], chests: Chests) -> None:
    rows = torch.arange(12).repeat(20)
    for share in (0.0, 0.3, 1.0):
        some = Surroundings(labelled(pictures), chests, share)
        images = torch.from_numpy(pictures)[rows]
        changed = (some.exchanged(images, rows, 3) != images).flatten(1).any(1).float().mean()
        # One donor in twelve is the image itself, whose surroundings are its own.
        assert float(changed) == pytest.approx(share, abs=0.12)


def test_a_part_of_a_batch_is_that_part_of_the_whole(pictures: NDArray[np.uint8], chests: Chests) -> None:
    some = Surroundings(labelled(pictures), chests, 0.6)
    images, rows = torch.from_numpy(pictures), torch.arange(12)
    whole = some.exchanged(images, rows, 5)
    assert torch.equal(whole[4:9], some.exchanged(images[4:9], rows, 5, first=4))
    assert torch.equal(whole, some.exchanged(images, rows, 5))
    assert not torch.equal(whole, some.exchanged(images, rows, 6))
    assert torch.equal(images, torch.from_numpy(pictures)), "what is given is not written to"


def test_images_whose_lungs_were_not_found_neither_get_nor_give(pictures: NDArray[np.uint8], chests: Chests) -> None:
    usable = np.arange(12) < 3
    white = pictures.copy()
    white[3:] = 255
    some = Surroundings(labelled(white), replace(chests, usable=usable), 1.0)
    after = some.exchanged(torch.from_numpy(white), torch.arange(12), 1)
    assert (after[3:] == 255).all()
    assert not (after[:3].float().mean(dim=(1, 2)) > 200).any()
    nobody = Surroundings(labelled(pictures), replace(chests, usable=np.zeros(12, np.bool_)), 1.0)
    images = torch.from_numpy(pictures)
    assert torch.equal(nobody.exchanged(images, torch.arange(12), 1), images)


def test_a_chest_of_quite_another_size_gives_nothing(pictures: NDArray[np.uint8], chests: Chests) -> None:
    boxes = chests.boxes.copy()
    boxes[5, 2:] = boxes[0, 2:] * 1.6
    before, after = donated(pictures, replace(chests, boxes=boxes), own=0, donor=5)
    assert np.array_equal(before, after)


@pytest.mark.parametrize(("agreement", "rows", "usable"), [(0.9, 40, True), (0.5, 40, False), (0.9, 4, False)])
def test_lungs_that_cannot_be_trusted_are_left_alone(
    pictures: NDArray[np.uint8], monkeypatch: Any, agreement: float, rows: int, usable: bool
) -> None:
    mask = np.zeros((128, 128), np.bool_)
    mask[40 : 40 + rows, 20:108] = True
    monkeypatch.setattr(module, "lung_fields", lambda images: [LungField(mask, agreement, AUTOMATIC) for _ in images])
    found = find_chests(pictures[:2])
    assert found.usable.tolist() == [usable] * 2
    assert found.boxes[0].tolist() == pytest.approx([20 / 128, 40 / 128, 88 / 128, rows / 128])


def test_a_field_without_lungs_is_no_error(pictures: NDArray[np.uint8], monkeypatch: Any) -> None:
    empty = LungField(np.zeros((128, 128), np.bool_), 1.0, AUTOMATIC)
    monkeypatch.setattr(module, "lung_fields", lambda images: [empty for _ in images])
    assert not find_chests(pictures[:1]).usable.any()


def test_threads_and_batches_do_not_change_what_is_found(pictures: NDArray[np.uint8], chests: Chests) -> None:
    rows = np.arange(40) % 12
    told: list[tuple[int, int]] = []
    many = find_chests(Rows(pictures, rows), workers=3, progress=lambda *step: told.append(step))
    for name in ("planes", "boxes", "usable"):
        assert np.array_equal(getattr(many, name), getattr(chests, name)[rows])
    assert told == [(32, 40), (40, 40)]


def test_a_wish_to_end_is_heard(pictures: NDArray[np.uint8]) -> None:
    stop = StopRequest()
    stop.signal_number = 15
    with pytest.raises(CancelledError):
        find_chests(pictures, stop=stop)


def test_only_a_recipe_that_asks_for_it_looks_for_lungs(pictures: NDArray[np.uint8], monkeypatch: Any) -> None:
    assert Surroundings.of(RECIPE, labelled(pictures)) is not None
    monkeypatch.setattr("lungassist.training.surroundings.find_chests", None)
    assert Surroundings.of(replace(RECIPE, surroundings=0.0), labelled(pictures)) is None


def test_training_and_its_batch_norm_see_them(pictures: NDArray[np.uint8]) -> None:
    recipe = replace(RECIPE, architecture="resnet18", size=SIDE, epochs=1, batch_size=6, batch_norm="held")
    data = labelled(pictures)
    some = Surroundings.of(recipe, data)
    losses = []
    for surroundings in (None, some):
        torch.manual_seed(1)
        state = start(build("resnet18", 4), recipe, len(pictures))
        losses.append([figures.train_loss for figures in fit(state, data, data, recipe, surroundings=surroundings)])
    assert losses[0] != losses[1]
    torch.manual_seed(1)
    model = build("resnet18", 4)
    plain, other = (
        with_training_statistics(model, data.images, recipe, surroundings).get_submodule("bn1").running_mean
        for surroundings in (None, some)
    )
    assert not torch.allclose(plain, other)  # type: ignore[arg-type]


def test_chests_that_are_everywhere_leave_no_surroundings(pictures: NDArray[np.uint8]) -> None:
    images, rows = torch.from_numpy(pictures), torch.arange(12)
    some = Surroundings(labelled(pictures), chests_everywhere(12), 1.0)
    assert torch.equal(some.exchanged(images, rows, 1), images), "the chest is the whole picture"
