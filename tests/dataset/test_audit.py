"""What an audit must find: duplicates that were planted, labels that contradict, leaks, negatives, shortcuts."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import mutual_info_score
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import BernoulliNB

from lungassist.classes import CLASSES, COVID, NORMAL
from lungassist.dataset import (
    Audit,
    DatasetIndex,
    PreparedImages,
    assign_splits,
    audit,
    duplicate_groups,
    index_folder,
    open_cache,
)
from lungassist.dataset.duplicates import grouped
from lungassist.dataset.shortcuts import shortcut
from lungassist.phantom import phantom
from lungassist.preprocess import Preprocessing
from lungassist.settings import Settings

Image = NDArray[np.uint8]


def save(root: Path, label: str, name: str, image: Image) -> str:
    (root / label).mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(root / label / name), image)
    return f"{label}/{name}"


@pytest.fixture(scope="module")
def chests() -> list[Image]:
    """Twelve drawn chests of each class, each with soft tissue of its own: they look as alike as people do."""
    rng = np.random.default_rng(3)
    tissue = [cv2.resize(rng.normal(0, 25, (9, 9)), (256, 256), interpolation=cv2.INTER_CUBIC) for _ in range(48)]
    drawn = [phantom(label, seed, 256) for label in CLASSES for seed in range(12)]
    return [np.asarray(np.clip(image + soft, 0, 255), np.uint8) for image, soft in zip(drawn, tissue, strict=True)]


@pytest.fixture
def folder(tmp_path: Path, chests: list[Image]) -> Path:
    for number, image in enumerate(chests):
        save(tmp_path, CLASSES[number // 12], f"{number}.png", image)
    return tmp_path


def looked_through(root: Path, *, split: bool = False) -> tuple[DatasetIndex, PreparedImages, Audit]:
    index = index_folder(root)
    prepared = open_cache(index, Preprocessing(size=64), Settings.from_environment())
    return index, prepared, audit(index, prepared, assign_splits(index.table) if split else None)


VARIANTS = {
    "jpeg": (".jpg", lambda image: image),
    "smaller": (".png", lambda image: cv2.resize(image, (180, 180), interpolation=cv2.INTER_AREA)),
    "darker": (".png", lambda image: np.asarray(image * 0.6 + 10, np.uint8)),
    "cropped": (".png", lambda image: image[2:-2, 2:-2]),
    "written on": (".png", lambda image: cv2.putText(image.copy(), "L", (225, 30), 0, 0.8, 255, 2)),
    "gamma": (".png", lambda image: np.asarray((image / 255.0) ** 0.85 * 255, np.uint8)),
}


def test_drawn_chests_are_nobodys_duplicates(folder: Path) -> None:
    _, prepared, found = looked_through(folder)
    assert (duplicate_groups(prepared) == -1).all()
    assert (found.exact.groups, found.near.groups, found.negatives) == (0, 0, ())
    assert not any("one film" in sentence for sentence in found.findings)


@pytest.mark.parametrize("kind", VARIANTS)
def test_one_film_in_another_form_is_found(folder: Path, chests: list[Image], kind: str) -> None:
    suffix, change = VARIANTS[kind]
    pairs = {
        (f"{CLASSES[0]}/{i}.png", save(folder, CLASSES[0], f"copy-{i}{suffix}", change(chests[i]))) for i in range(6)
    }
    index, prepared, found = looked_through(folder)
    groups = duplicate_groups(prepared)
    files = index.table["file"]
    together = {tuple(sorted(files[groups == number])) for number in range(groups.max() + 1)}
    assert together == pairs
    assert (found.near.groups, found.near.images, found.exact.groups) == (6, 12, 0)


def test_copies_contradictions_and_leaks_are_told_apart(folder: Path, chests: list[Image]) -> None:
    save(folder, CLASSES[0], "same.png", chests[0])
    save(folder, CLASSES[1], "other-label.png", chests[1])
    save(folder, CLASSES[2], "near.jpg", chests[24])
    index, prepared, found = looked_through(folder)
    assert (found.exact.groups, found.exact.images, found.exact.across_classes) == (2, 4, 1)
    assert (found.near.groups, found.near.across_classes) == (1, 0)
    assert found.exact.examples[0] == (f"{CLASSES[0]}/1.png", f"{CLASSES[1]}/other-label.png")
    assert "have different labels" in found.findings[0]
    assert found.per_split == {}
    assert found.exact.across_splits == 0

    files = index.table["file"]
    splits = np.where(files.str.contains("same|near"), "test", "train")
    split = audit(index, prepared, splits)
    assert (split.exact.across_splits, split.near.across_splits) == (1, 1)
    assert split.per_split["test"] == {CLASSES[0]: 1, CLASSES[1]: 0, CLASSES[2]: 1, CLASSES[3]: 0}
    unused = np.where(files.str.contains("same|near"), "unused", "train")
    assert audit(index, prepared, unused).exact.across_splits == 0

    kept = assign_splits(index.table, together=duplicate_groups(prepared))
    clean = audit(index, prepared, kept)
    assert (clean.exact.across_splits, clean.near.across_splits) == (0, 0)


def test_groups_reach_as_far_as_their_links() -> None:
    first, second = np.array([5, 1, 8, 3, 2]), np.array([4, 0, 9, 2, 4])
    groups = grouped(11, first, second)
    assert groups.tolist() == [0, 0, 1, 1, 1, 1, -1, -1, 2, 2, -1]
    chain = np.random.default_rng(1).permutation(5000)
    assert set(grouped(5001, chain[:-1], chain[1:])) == {0, -1}
    assert grouped(3, np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == [-1] * 3


def test_blank_films_do_not_become_one_group(folder: Path) -> None:
    for number in range(300):
        save(folder, CLASSES[0], f"blank-{number}.png", np.full((40, 40 + number % 7), number % 256, np.uint8))
    _, _, found = looked_through(folder)
    assert found.near.groups == 0


def test_negatives_are_suspected(folder: Path, chests: list[Image]) -> None:
    negative = save(folder, CLASSES[0], "negative.png", 255 - chests[3])
    _, _, found = looked_through(folder)
    assert found.negatives == (negative,)
    assert f"1 image look like photographic negatives, such as {negative}." in found.findings


def test_sizes_colour_and_what_cannot_be_read(folder: Path, chests: list[Image]) -> None:
    tinted = np.stack([chests[0], chests[0] // 2, chests[0] // 3], axis=-1)
    save(folder, CLASSES[0], "tinted.png", tinted)
    save(folder, CLASSES[0], "grey-as-rgb.png", np.repeat(chests[0][:100, :, None], 3, axis=2))
    (folder / CLASSES[1] / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    _, _, found = looked_through(folder)
    assert (found.images, found.readable, found.coloured) == (51, 50, 1)
    assert [(size.height, size.width, size.images) for size in found.sizes] == [(256, 256, 49), (100, 256, 1)]
    assert found.other_sizes == 0
    assert list(found.unreadable) == [f"{CLASSES[1]}/broken.png"]
    assert found.per_class == {CLASSES[0]: 14, CLASSES[1]: 13, CLASSES[2]: 12, CLASSES[3]: 12}
    assert found.imbalance == pytest.approx(14 / 12)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["sizes"][0] == {
        "height": 256,
        "width": 256,
        "images": 49,
    }


def test_a_source_that_gives_the_class_away_is_told(folder: Path) -> None:
    index, prepared, _ = looked_through(folder)
    given_away = index.table.assign(source=np.where(index.table["label"] == COVID, "https://a", "https://b"))
    found = audit(DatasetIndex(index.root, given_away, {}), prepared)
    assert found.source is not None
    assert found.source.accuracy == pytest.approx(0.5, abs=0.1)
    assert "From the source alone the class is guessed right for" in "".join(found.findings)
    same = audit(DatasetIndex(index.root, index.table.assign(source="x"), {}), prepared)
    assert not any("source" in sentence for sentence in same.findings)


@pytest.mark.parametrize("seed", range(3))
def test_shortcuts_against_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice(["a", "b", "c"], 600, p=[0.5, 0.3, 0.2]).tolist()
    values = [f"{label if rng.random() < 0.4 else 'x'}{rng.integers(4)}" for label in labels]
    found = shortcut(labels, values)
    assert found is not None
    one_hot = np.array([[value == other for other in sorted(set(values))] for value in values])
    assert found.accuracy == pytest.approx(cross_val_score(BernoulliNB(), one_hot, labels, cv=10).mean(), abs=0.03)
    _, counts = np.unique(labels, return_counts=True)
    entropy = -sum(p * math.log(p) for p in counts / 600)
    assert found.information == pytest.approx(mutual_info_score(labels, values) / entropy)
    assert found.majority == pytest.approx(counts.max() / 600)


def test_a_value_of_its_own_for_every_image_tells_nothing() -> None:
    labels = [COVID] * 30 + [NORMAL] * 70
    found = shortcut(labels, [str(number) for number in range(100)])
    assert found is not None
    assert found.accuracy == 0.7
    assert shortcut(labels, [""] * 100) is None
    half = shortcut(labels, ["x"] * 50 + [""] * 50)
    assert half is not None
    assert (half.values, half.known) == (1, 0.5)
