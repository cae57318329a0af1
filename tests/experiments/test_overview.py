"""A data set at a glance: counts against a hand count, samples spread over the files, thumbnails as for training."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lungassist.dataset import index_folder
from lungassist.experiments.machine import machine_use
from lungassist.experiments.overview import class_table, contact_sheet, some_of, split_counts
from lungassist.experiments.presets import STANDARD, preset_choices
from lungassist.imaging.reader import read_file
from lungassist.preprocess import Preprocessing, prepare_image
from lungassist.settings import Settings
from lungassist.training.recipe import Recipe


def test_counts_by_class_and_split(films: Path) -> None:
    index = index_folder(films)
    splits = split_counts(index, "patient", 1)
    assert splits[("COVID", "train")] == 8 and splits[("COVID", "test")] == 1
    table = class_table(index, splits).set_index("class")
    assert table.loc["Normal"].to_dict() == {"images": 10, "public": 10192, "train": 8, "validation": 1, "test": 1}
    assert table.loc["All"].to_dict() == {"images": 40, "public": 21165, "train": 32, "validation": 4, "test": 4}


def test_samples_are_spread_and_the_same_every_time(films: Path) -> None:
    index = index_folder(films)
    chosen = some_of(index, "COVID", 4)
    every = index.table.loc[index.table["label"] == "COVID", "file"].tolist()
    assert len(chosen) == 4 and chosen == some_of(index, "COVID", 4)
    assert (chosen[0], chosen[-1]) == (every[0], every[-1])
    assert len(some_of(index, "COVID", 99)) == 10


def test_a_sheet_shows_images_as_they_are_trained_on_and_crosses_out_the_unreadable(
    films: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    name = "COVID/images/COVID-1.png"
    (tmp_path / "good.png").write_bytes((films / name).read_bytes())
    settings = Settings.from_environment()
    sheet = contact_sheet(tmp_path, ["good.png", "broken.png", "good.png"], settings, side=64, across=2)
    pixels = cv2.imdecode(np.frombuffer(sheet, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels.shape == (2 * 64 + 4, 2 * 64 + 4, 4)
    expected = prepare_image(read_file(films / name, settings).pixels, Preprocessing.named(size=64))
    np.testing.assert_array_equal(pixels[:64, :64, 0], expected)
    np.testing.assert_array_equal(pixels[68:, :64, 1], expected)
    assert not pixels[68:, 68:, 3].any(), "the place that is left is transparent"
    assert len(np.unique(pixels[:64, 68:, 0])) == 2


def test_presets_begin_with_the_standard_and_have_the_quick_one_next() -> None:
    choices = preset_choices()
    assert choices[0].key == STANDARD and choices[0].recipe == Recipe()
    assert choices[1].key == "quick/quick"
    keys = {choice.key for choice in choices}
    assert len(keys) == len(choices)
    assert "bundled/long-1" in keys
    assert "bundled/student-1" not in keys, "it builds on another run, which a form cannot"


def test_the_machine_says_how_busy_it_is() -> None:
    import os

    use = machine_use(os.getpid())
    assert 0 <= use.cpu <= 1 and 0 < use.memory < use.memory_total
    assert use.job_memory is not None and 1e6 < use.job_memory < use.memory_total
    assert machine_use(2**22 + 1).job_memory is None
