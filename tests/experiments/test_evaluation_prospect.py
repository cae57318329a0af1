"""What is said of an evaluation before it is launched: classes, training images, and what is there already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lungassist.classes import CLASSES
from lungassist.dataset import index_folder, write_split
from lungassist.device import choose_device
from lungassist.evaluation.evaluate import evaluate
from lungassist.evaluation.predictions import predictions_table, write_predictions
from lungassist.experiments.evaluation_prospect import Prospect, prospects
from lungassist.experiments.evaluation_request import EvaluationRequest
from lungassist.experiments.split_files import split_files
from lungassist.files import write_json
from lungassist.predict import Classifier
from lungassist.settings import Settings
from tests.drawn import write_films
from tests.tiny import save_tiny_model


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    save_tiny_model(tmp_path / "weights" / "tiny")
    write_films(tmp_path / "root" / "films", dict.fromkeys(CLASSES, 3))
    return replace(Settings.from_environment(), data_roots=(tmp_path / "root",), weights_dir=tmp_path / "weights")


def look(settings: Settings, folder: str = "films", **more: object) -> Prospect:
    data = settings.data_roots[0] / folder
    wanted = EvaluationRequest("x", ("tiny",), data, **more)  # type: ignore[arg-type]
    (found,) = prospects(wanted, index_folder(data), settings)
    return found


def train_on(settings: Settings, folder: str = "films") -> pd.DataFrame:
    """Let the model's own table say that the first of every class was trained on, the second validated with."""
    index = index_folder(settings.data_roots[0] / folder)
    table = index.table.assign(split=["train", "validation", "test"] * 4)
    even = np.full((len(table), 4), 0.25)
    write_predictions(settings.weights_dir / "tiny" / "predictions.csv", predictions_table(table, even, CLASSES))
    return table


def test_a_folder_that_is_new_to_the_model_is_all_test_and_nothing_is_warned_of(settings: Settings) -> None:
    found = look(settings)
    assert found.is_open and found.counts == {"test": 12}
    assert (found.warning, found.trained) == ("", 0)


def test_images_that_it_was_trained_on_keep_their_split_and_are_named_plainly(settings: Settings) -> None:
    train_on(settings)
    found = look(settings)
    assert found.counts == {"train": 4, "validation": 4, "test": 4}
    assert "was trained on 4 of these images" in found.warning and "only the 4 test images" in found.warning


def test_a_split_file_that_calls_training_images_test_is_contradicted(settings: Settings, tmp_path: Path) -> None:
    table = train_on(settings)
    path = tmp_path / "root" / "films" / "all-test.csv"
    write_split(path, table.assign(split="test"))
    found = look(settings, split_file=path)
    assert found.counts == {"test": 12}
    assert "trained on 4 of the 12 images that count as test" in found.warning
    assert split_files(settings.data_roots[0] / "films", settings) == [path]


def test_classes_that_it_does_not_know_are_named_with_their_number(settings: Settings) -> None:
    films = settings.data_roots[0] / "films"
    (films / "COVID").rename(films / "Tuberculosis")
    found = look(settings)
    assert not found.is_open
    assert "'Tuberculosis' (3 images)" in found.problem and "'COVID'" in found.problem


def test_classes_that_the_folder_lacks_are_said(settings: Settings) -> None:
    write_films(settings.data_roots[0] / "two", {"COVID": 2, "Normal": 2})
    found = look(settings, "two")
    assert found.is_open
    assert any("Lung opacity, Viral pneumonia" in note for note in found.notes)


def test_what_is_there_is_there_until_the_folder_the_model_or_the_question_changes(settings: Settings) -> None:
    data = settings.data_roots[0] / "films"
    place = settings.evaluations_dir / "clinic"
    write_json(place / "config.json", EvaluationRequest("clinic", ("tiny",), data).to_json())
    classifier = Classifier.load(settings.weights_dir / "tiny", choose_device("cpu"))
    evaluate(classifier, index_folder(data), np.full(12, "test"), place, settings)
    assert look(settings).there == "clinic"
    assert look(settings, lungs=True).is_open, "the lungs were not measured"
    write_films(data, dict.fromkeys(CLASSES, 4))
    assert look(settings).is_open, "the folder has more images now"
    write_films(data, dict.fromkeys(CLASSES, 3))
    for label in CLASSES:
        (data / label / "images" / f"{label}-4.png").unlink()
    assert look(settings).there == "clinic"
    save_tiny_model(settings.weights_dir / "tiny", seed=5)
    assert look(settings).is_open, "the model is another one"


def test_a_broken_card_is_told_of(settings: Settings) -> None:
    (settings.weights_dir / "tiny" / "card.json").write_text("{")
    assert "card.json" in look(settings).problem
