"""CLAHE undone: tables applied as defined, equalised radiographs found and restored, everything else left alone."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from benchmarks import undo_clahe as benchmark
from lungassist import undo_clahe as module
from lungassist.classes import CLASSES
from lungassist.imaging import read_radiograph
from lungassist.phantom import phantom, phantom_png
from lungassist.preprocess import Preprocessing, prepare_image
from lungassist.settings import Settings
from lungassist.triage import forget, triage
from lungassist.undo_clahe import SURE, UndoClahe, probability_of_clahe, undo_clahe, with_tables
from train import undo_clahe as training

Image = NDArray[np.uint8]


@pytest.mark.parametrize("side", [32, 224, 300])
def test_until_it_is_trained_it_changes_nothing(side: int) -> None:
    images = torch.rand(2, 1, side, side)
    log_odds, tables = UndoClahe().eval()(images)
    assert log_odds.shape == (2,)
    torch.testing.assert_close(with_tables(images, tables), images)


def test_a_table_is_linear_between_its_grey_levels_and_its_tiles() -> None:
    levels = torch.linspace(0, 1, 9)
    raised = (0.3 * levels.sqrt()).view(1, 9, 1, 1).expand(1, 9, 14, 14)
    ramp = torch.linspace(0, 1, 225).view(1, 1, 1, 225).expand(1, 1, 225, 225)
    expected = ramp[0, 0, 0].numpy() + np.interp(ramp[0, 0, 0].numpy(), levels.numpy(), 0.3 * levels.sqrt().numpy())
    np.testing.assert_allclose(with_tables(ramp, raised)[0, 0, 100].numpy(), expected, atol=1e-5)
    left = torch.zeros(1, 9, 2, 2)
    left[..., 0] = 0.2  # brighter on the left, not on the right
    added = (with_tables(torch.full((1, 1, 64, 64), 0.5), left) - 0.5)[0, 0]
    assert added[:, 0].numpy() == pytest.approx(0.2)
    assert added[:, -1].numpy() == pytest.approx(0)
    assert (np.diff(added[32].numpy()) <= 1e-6).all()


def prepared(pixels: NDArray[np.float32]) -> Image:
    return prepare_image(pixels, Preprocessing())


@pytest.mark.parametrize("kind", CLASSES)
def test_a_drawn_chest_is_left_as_it_is_to_the_bit(kind: str) -> None:
    image = prepared(phantom(kind, 2, 256).astype(np.float32))
    assert probability_of_clahe(image) < SURE
    assert undo_clahe(image) is image


@pytest.fixture(scope="module")
def radiographs(request: pytest.FixtureRequest) -> list[NDArray[np.float32]]:
    """Validation images of every class, as they were read: nothing was trained on them."""
    xrays = request.getfixturevalue("xrays")
    table = pd.read_csv("weights/efficientnet_lite2/predictions.csv").query("split == 'validation'")
    files, settings, found = set(table["file"]), Settings.from_environment(), []
    with tarfile.open(xrays / "cxr4-0.tar") as shard:
        for member in shard:
            if member.name.removeprefix("./") in files and (file := shard.extractfile(member)):
                found.append(read_radiograph(file.read(), member.name, settings).pixels)
    return found


def equalised(pixels: NDArray[np.float32], limit: float) -> NDArray[np.float32]:
    low, high = float(pixels.min()), float(pixels.max())
    grey = np.asarray(np.rint((pixels - low) * (255 / (high - low))), np.uint8)
    return np.asarray(cv2.createCLAHE(limit, (8, 8)).apply(grey), np.float32)


@pytest.mark.xrays
@pytest.mark.parametrize("limit", [2.0, 4.0])
def test_an_equalised_radiograph_comes_nearer_to_what_it_was(
    radiographs: list[NDArray[np.float32]], limit: float
) -> None:
    assert len(radiographs) >= 30, "validation images are missing"
    plain = [prepared(pixels).astype(float) for pixels in radiographs]
    changed = [prepared(equalised(pixels, limit)) for pixels in radiographs]
    restored = [undo_clahe(image) for image in changed]
    found = np.mean([after is not before for after, before in zip(restored, changed, strict=True)])
    before, after = (
        np.mean([np.abs(a - b).mean() for a, b in zip(images, plain, strict=True)]) for images in (changed, restored)
    )
    assert found > 0.8
    assert after < 0.75 * before


@pytest.mark.xrays
def test_a_radiograph_as_it_came_is_left_alone(radiographs: list[NDArray[np.float32]]) -> None:
    images = [prepared(pixels) for pixels in radiographs]
    assert np.mean([undo_clahe(image) is not image for image in images]) <= 0.05


def taken_for_equalised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that takes every image for equalised, and makes it brighter."""
    network = UndoClahe().eval()
    with torch.no_grad():
        network.equalised.bias.fill_(20.0)
        network.tables.bias.fill_(0.1)  # type: ignore[union-attr]
    monkeypatch.setattr(module, "_network", lambda: network)


def test_what_is_taken_for_equalised_is_changed_by_its_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    taken_for_equalised(monkeypatch)
    image = np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(4, 0).repeat(4, 1)
    image.setflags(write=False)
    expected = np.rint(np.clip(image / 255 + 0.1, 0, 1) * 255)
    assert np.abs(undo_clahe(image) - expected).max() <= 1
    assert image[0, 0] == 0, "the image given is left alone"


def test_triage_says_so(monkeypatch: pytest.MonkeyPatch, make_triage: Callable[..., list[str]]) -> None:
    assert not any("CLAHE" in warning for warning in make_triage("undo-clahe"))
    taken_for_equalised(monkeypatch)
    assert any("equalised in tiles (CLAHE)" in warning for warning in make_triage("undo-clahe"))
    assert not any("CLAHE" in warning for warning in make_triage("none"))


@pytest.fixture
def make_triage(tmp_path: Path) -> Callable[..., list[str]]:
    """A phantom through a tiny model with an enhancement; gives the warnings."""
    from lungassist.imaging import iter_studies
    from lungassist.predict import Classifier
    from tests.tiny import save_tiny_model

    (tmp_path / "study.png").write_bytes(phantom_png("Normal", 1, 256))

    def warnings(enhancement: str) -> list[str]:
        save_tiny_model(tmp_path / enhancement, preprocessing=Preprocessing(size=64, enhancement=enhancement))
        model = Classifier.load(tmp_path / enhancement)
        settings = Settings.from_environment()
        (found,) = triage(iter_studies([tmp_path / "study.png"], settings), model, settings, keep=forget)
        assert hasattr(found, "finding")
        return list(found.finding.warnings)

    return warnings


def folder_of_phantoms(place: Path, each: int) -> Path:
    for kind in CLASSES:
        (place / kind).mkdir(parents=True)
        for seed in range(each):
            (place / kind / f"{kind}-{seed}.png").write_bytes(phantom_png(kind, seed, 128))
    return place


def test_training_writes_what_can_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, place = folder_of_phantoms(tmp_path / "data", 12), tmp_path / "learnt.safetensors"
    assert training.main(["--data", str(data), "--epochs", "1", "--out", str(place)]) == 0
    assert "learnt.safetensors" in capsys.readouterr().out
    monkeypatch.setattr(module, "WEIGHTS", place)
    module._network.cache_clear()
    try:
        assert 0 <= probability_of_clahe(prepared(phantom("Normal", 1, 128).astype(np.float32))) <= 1
    finally:
        module._network.cache_clear()


def test_too_few_images_to_train_on_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, place = folder_of_phantoms(tmp_path / "data", 4), tmp_path / "learnt.safetensors"
    assert training.main(["--data", str(data), "--out", str(place)]) == 1
    assert "too few" in capsys.readouterr().err
    assert training.main(["--data", str(tmp_path / "none"), "--out", str(place)]) == 1
    assert not place.exists()


def test_images_to_train_on_are_equalised_and_paired_with_what_they_were() -> None:
    random = np.random.default_rng(0)
    image = prepared(phantom("Normal", 1, 256).astype(np.float32))
    for _ in range(20):
        changed, wanted = training.equalised(image, random)
        assert changed.shape == wanted.shape == image.shape
        assert changed.std() != wanted.std()
        # The same anatomy in the same place: where one is brighter the other is.
        assert np.corrcoef(changed.ravel(), wanted.ravel())[0, 1] > 0.6


def test_the_benchmark_counts_what_is_taken_for_equalised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = folder_of_phantoms(tmp_path / "data", 2)
    assert benchmark.main(["--data", str(data), "--json", "--quick"]) == 0
    result = json.loads(capsys.readouterr().out)
    plain = result["changes"]["as they are"]
    assert (plain["taken_for_equalised"], plain["share"], plain["before"], plain["after"]) == (0, 0.0, 0.0, 0.0)
    assert all(0 <= line["accuracy_judged"] <= 100 for name, line in result["changes"].items() if "CLAHE" in name)
    changed = [line for name, line in result["changes"].items() if "CLAHE" in name]
    assert changed
    assert all(line["before"] > 0 for line in changed)


def test_a_cache_of_images_belongs_to_what_was_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lungassist.dataset import cache

    wanted = Preprocessing(size=32, enhancement="undo-clahe")
    before = cache.cache_name(wanted)
    assert before == cache.cache_name(wanted)
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"learnt anew")
    monkeypatch.setattr(module, "WEIGHTS", other)
    assert cache.cache_name(wanted) != before
