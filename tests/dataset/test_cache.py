"""A whole folder, read and prepared once; what cannot be read is listed."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from lungassist.classes import COVID, NORMAL
from lungassist.dataset import index_folder, prepare_all
from lungassist.imaging import read_file
from lungassist.preprocess import Preprocessing, prepare_image
from lungassist.settings import Settings
from tests.drawn import write_films

SMALL_SQUARE = Preprocessing(size=32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_films(tmp_path / "data", {COVID: 5, NORMAL: 4})


def test_every_image_is_in_its_place_whatever_the_number_of_threads(folder: Path) -> None:
    settings, index = Settings.from_environment(), index_folder(folder)
    expected = [prepare_image(read_file(folder / file, settings).pixels, SMALL_SQUARE) for file in index.table["file"]]
    for workers in (1, 3):
        prepared = prepare_all(index, SMALL_SQUARE, settings, workers=workers)
        np.testing.assert_array_equal(prepared.images, np.stack(expected))
        assert prepared.readable.all()
        assert prepared.unreadable == {}


def test_what_cannot_be_read_is_listed_and_the_rest_is_prepared(folder: Path) -> None:
    broken = folder / COVID / "images" / "COVID-2.png"
    broken.write_bytes(broken.read_bytes()[:200])
    (folder / NORMAL / "images" / "Normal-1.png").write_bytes(b"")
    prepared = prepare_all(index_folder(folder), SMALL_SQUARE, Settings.from_environment())
    assert set(prepared.unreadable) == {"COVID/images/COVID-2.png", "Normal/images/Normal-1.png"}
    assert all("COVID-2" in reason or "Normal-1" in reason for reason in prepared.unreadable.values())
    np.testing.assert_array_equal(np.flatnonzero(~prepared.readable), [1, 5])
    assert not prepared.images[1].any()
    assert prepared.images[0].any()


def test_the_content_hash_is_of_bytes_and_labels(folder: Path, tmp_path: Path) -> None:
    def content_of(root: Path) -> str:
        return prepare_all(index_folder(root), SMALL_SQUARE, Settings.from_environment()).content_hash

    lines = sorted(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}\t{path.parent.parent.name}" for path in folder.glob("*/*/*")
    )
    before = content_of(folder)
    assert before == hashlib.sha256("\n".join(lines).encode()).hexdigest()
    # The same images under other names, in the other layout, are the same data.
    for label in (COVID, NORMAL):
        (tmp_path / "flat" / label).mkdir(parents=True)
        for number, path in enumerate(sorted((folder / label / "images").iterdir(), reverse=True)):
            shutil.copy(path, tmp_path / "flat" / label / f"{number}.png")
    assert content_of(tmp_path / "flat") == before
    shutil.move(folder / COVID / "images" / "COVID-1.png", folder / NORMAL / "images")
    assert content_of(folder) != before


def test_progress_ends_with_all(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    prepare_all(
        index_folder(folder),
        SMALL_SQUARE,
        Settings.from_environment(),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (9, 9)
