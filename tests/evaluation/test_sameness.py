"""Tables of different pictures under the same names are never paired, ranked together, or called common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lungassist.classes import CLASSES
from lungassist.dataset import index_folder
from lungassist.device import choose_device
from lungassist.errors import PredictionsError
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.evaluate import evaluate
from lungassist.evaluation.tables import Predictions, read_predictions, read_tables
from lungassist.predict import Classifier
from lungassist.settings import Settings
from tests.drawn import film, png, write_films
from tests.tiny import save_tiny_model

COUNT = 3


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders whose files are named alike: one has other pictures."""
    one, other = (write_films(tmp_path / name, dict.fromkeys(CLASSES, COUNT)) for name in ("one", "other"))
    for label in CLASSES:
        (other / label / "images" / f"{label}-1.png").write_bytes(png(film(label, 77)))
    return one, other


def evaluated(model: Path, folder: Path, out: Path, **more: object) -> Predictions:
    classifier = Classifier.load(model, choose_device("cpu"))
    index = index_folder(folder)
    done = evaluate(classifier, index, np.full(len(index.table), "test"), out, Settings.from_environment(), **more)  # type: ignore[arg-type]
    return read_predictions(done.table)


def test_different_pictures_of_one_name_stay_apart(folders: tuple[Path, Path], tmp_path: Path) -> None:
    one, other = folders
    save_tiny_model(tmp_path / "weights" / "a")
    save_tiny_model(tmp_path / "weights" / "b", seed=1)
    here = evaluated(tmp_path / "weights" / "a", one, tmp_path / "out" / "one")
    there = evaluated(tmp_path / "weights" / "b", other, tmp_path / "out" / "other")
    comparison = Comparison.of([here, there], resamples=20)
    assert len(comparison.sets) == 2 and comparison.tests.pairs == ()
    assert any("different images" in note for note in comparison.notes)
    with pytest.raises(PredictionsError):
        comparison.head_to_head("a", "b")
    with pytest.raises(PredictionsError, match="different images that have the same names"):
        comparison.on_common_images()


def test_the_same_pictures_are_paired_whoever_was_asked(folders: tuple[Path, Path], tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "weights" / "a")
    save_tiny_model(tmp_path / "weights" / "b", seed=1)
    tables = [evaluated(tmp_path / "weights" / name, folders[0], tmp_path / "out") for name in ("a", "b")]
    assert len(Comparison.of(tables, resamples=20).sets) == 1


def test_a_table_that_nothing_is_recorded_of_is_compared_by_its_names(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    save_tiny_model(tmp_path / "weights" / "a")
    here = evaluated(tmp_path / "weights" / "a", folders[0], tmp_path / "out" / "one")
    assert here.path is not None
    elsewhere = tmp_path / "theirs.csv"
    elsewhere.write_bytes(here.path.read_bytes())
    assert len(Comparison.of(read_tables([here.path, elsewhere]), resamples=20).sets) == 1


def test_remarks_reach_whoever_compares(folders: tuple[Path, Path], tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "weights" / "a")
    table = evaluated(tmp_path / "weights" / "a", folders[0], tmp_path / "out", remarks=("It knows them by heart.",))
    assert any("by heart" in note for note in Comparison.of([table], resamples=20).notes)
