"""What tells the ways apart: its features, its numbers against torch's, its training, and real images in every way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from benchmarks import way_round as benchmark
from lungassist.classes import CLASSES
from lungassist.imaging import read_file
from lungassist.imaging.plausibility import way_of
from lungassist.imaging.way_round import (
    CELLS,
    WAYS,
    WEIGHTS,
    WayRound,
    cell_means,
    features,
    probabilities_of_ways,
    turned,
    way_round,
)
from lungassist.phantom import phantom
from lungassist.settings import Settings
from train import way_round as training


def chest(seed: int = 1, side: int = 128) -> np.ndarray:
    return (phantom("Normal", seed, side) / 255).astype(np.float32)


def test_cells_are_means_of_all_pixels() -> None:
    grey = np.random.default_rng(0).random((64, 96)).astype(np.float32)
    np.testing.assert_allclose(cell_means(grey, 32), grey.reshape(32, 2, 32, 3).mean(axis=(1, 3)), rtol=1e-6)
    assert cell_means(grey[:45, :50], 32).shape == (32, 32)


def test_features_leave_out_black_borders_brightness_and_contrast() -> None:
    grey = 0.2 + 0.6 * chest()
    seen = features(grey)
    assert seen is not None
    assert seen.shape == (CELLS * CELLS,)
    assert (float(seen.mean()), float(seen.std())) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))
    for other in (np.pad(grey, ((0, 70), (30, 50))), 0.5 * grey + 0.1):
        np.testing.assert_allclose(features(other), seen, atol=1e-4)
    assert features(np.full((64, 64), 0.5, np.float32)) is None
    assert features(chest()[:20]) is None


def test_it_answers_as_torch_does_from_the_same_weights() -> None:
    network = training.Perceptron().eval()
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(WEIGHTS).items()})
    grey = chest()
    seen = features(grey)
    assert seen is not None
    with torch.inference_mode():
        theirs = network(torch.from_numpy(seen)[None])[0].double().softmax(0).numpy()
    np.testing.assert_allclose(probabilities_of_ways(grey), theirs, atol=1e-5)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_way_of_a_drawn_chest_is_known(way: WayRound) -> None:
    assert way_round(np.ascontiguousarray(turned(chest(), way))) == way


def test_training_learns_from_what_it_is_shown_and_writes_what_is_read(tmp_path: Path) -> None:
    for place, label in enumerate(CLASSES):
        (tmp_path / "data" / label).mkdir(parents=True)
        for seed in range(10):
            image = Image.fromarray(phantom(label, 10 * place + seed, 128))
            image.save(tmp_path / "data" / label / f"{label}-{seed}.png")
    images = np.stack([phantom(label, seed, 96) for label in CLASSES for seed in range(4)])
    network = training.train(images, epochs=40, seed=1)
    seen = [features(np.ascontiguousarray(turned(chest(7, 96), way))) for way in WAYS]
    with torch.inference_mode():
        found = network(torch.from_numpy(np.stack([each for each in seen if each is not None]))).argmax(1)
    assert found.tolist() == list(range(len(WAYS)))
    out = tmp_path / "way.safetensors"
    arguments = ["--data", str(tmp_path / "data"), "--epochs", "1", "--out", str(out)]
    assert training.main(arguments) == 0
    assert {name: tuple(tensor.shape) for name, tensor in load_file(out).items()} == {
        name: tuple(tensor.shape) for name, tensor in load_file(WEIGHTS).items()
    }


def test_the_benchmark_counts_every_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label in ("COVID", "Normal"):
        (tmp_path / label).mkdir()
        for seed in range(4):
            Image.fromarray(phantom(label, seed, 128)).save(tmp_path / label / f"{label}-{seed}.png")
    benchmark.main(["--data", str(tmp_path), "--quick", "--json"])
    result = json.loads(capsys.readouterr().out)
    lines, images = result["changes"], result["images"]
    assert images > 0
    assert lines["as they are"] == {"right": images, "right_share": 100, "doubted": 0, "doubted_share": 0}
    assert lines["turned by half"] == {"right": images, "right_share": 100, "doubted": images, "doubted_share": 100}
    assert len(lines) == len(WAYS) + 1


@pytest.mark.xrays
def test_real_images_in_every_way(settings: Settings, xrays: Path) -> None:
    """At least 90 % of 200 images are known in each way, and at most 1 % of upright ones are doubted."""
    images = sorted(path for path in xrays.rglob("*.[pj]*g") if "masks" not in path.parts)
    roomy = replace(settings, max_pixels=100_000_000)
    chosen = [read_file(path, roomy) for path in Random(1).sample(images, min(200, len(images)))]
    for way in WAYS:
        shown = [replace(each, pixels=np.ascontiguousarray(turned(each.pixels, way))) for each in chosen]
        right = np.mean([way_of(each) == way for each in shown])
        assert right >= (0.99 if way == WAYS[0] else 0.9), way
