"""The command that measures the `radiograph` normalisation set and the usual energies of bands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lungassist.dataset import index_folder, open_cache, split_by_patient
from lungassist.enhance import band_energies
from lungassist.preprocess import Preprocessing
from lungassist.settings import Settings
from train.normalisation import main, measure


def test_mean_and_deviation_are_those_of_the_training_images_alone(films: Path) -> None:
    index = index_folder(films)
    images = np.asarray(open_cache(index, Preprocessing(), Settings.from_environment()).images) / 255
    split = split_by_patient(index.table["label"].tolist(), [""] * len(images), seed=1)
    mean, std, energies = measure(films, None)
    assert mean == pytest.approx(images[split == "train"].mean())
    assert std == pytest.approx(images[split == "train"].std())
    assert abs(mean - np.mean(images)) > 1e-9
    each = [band_energies(np.asarray(image * 255).round().astype(np.uint8)) for image in images[split == "train"]]
    assert energies == pytest.approx(np.median(each, axis=0))


def test_the_command_prints_them(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(films)]) == 0
    mean, energies = capsys.readouterr().out.splitlines()
    assert mean.startswith("mean 0.")
    assert energies.startswith("bands ")
    assert energies.count(",") == 6
    assert main(["--data", str(tmp_path / "nowhere")]) == 1
    assert "is not a folder" in capsys.readouterr().err
