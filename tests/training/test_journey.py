"""A run from a folder to a card: complete, honest, and followed from outside."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lungassist.classes import CLASSES, COVID, NORMAL
from lungassist.dataset import SPLITS, split_hash
from lungassist.errors import DatasetError, UsageError, WeightsError
from lungassist.evaluation.predictions import figures_of
from lungassist.imaging import iter_studies
from lungassist.models.card import Card
from lungassist.models.weights import save_model, verify
from lungassist.predict import Classifier
from lungassist.settings import Settings
from lungassist.training.config import RunConfig
from lungassist.training.recipe import Recipe
from lungassist.training.run import RunDirectory
from lungassist.training.state import EpochFigures
from lungassist.triage import Triaged, forget, triage
from tests.drawn import SMALL, card_of, network_of, write_films
from tests.training.runs import RECIPE, config_of, run_of, status_of
from train.finetune import main

EXPECTED_FILES = {
    ".lock",
    "config.json",
    "split.csv",
    "environment.json",
    "audit.json",
    "origins.json",
    "epochs.csv",
    "checkpoints/last.ckpt",
    "status.json",
    "model/model.safetensors",
    "model/card.json",
    "model/predictions.csv",
}


@pytest.fixture(scope="module")
def whole(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run. Read only: copy it to change it."""
    run_dir = tmp_path_factory.mktemp("runs") / "whole"
    run_of(run_dir, films)
    return run_dir


def test_the_run_directory_is_complete(whole: Path, films: Path) -> None:
    files = {path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file()}
    best = {file for file in files if file.startswith("checkpoints/best-")}
    events = {file for file in files if file.startswith("tensorboard/events.")}
    assert files == EXPECTED_FILES | best | events
    assert len(best) == len(events) == 1
    assert RunConfig.from_json(json.loads((whole / "config.json").read_text())) == config_of(films)
    assert status_of(whole)["state"] == "done"
    epochs = pd.read_csv(whole / "epochs.csv")
    assert list(epochs.columns) == list(EpochFigures.__dataclass_fields__)
    assert list(epochs["epoch"]) == [1, 2]
    assert {"torch", "python", "numpy", "lightning"} <= set(json.loads((whole / "environment.json").read_text()))


def test_tensorboard_shows_the_epochs(whole: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(whole / "tensorboard")).Reload()
    epochs = pd.read_csv(whole / "epochs.csv")
    for tag, column in (("loss/train", "train_loss"), ("accuracy/validation", "validation_accuracy")):
        values = [(event.step, event.value) for event in events.Scalars(tag)]
        assert [step for step, _ in values] == [1, 2]
        np.testing.assert_allclose([value for _, value in values], epochs[column], rtol=1e-6)


def test_the_card_says_what_happened(whole: Path, films: Path) -> None:
    card, split = verify(whole / "model"), pd.read_csv(whole / "split.csv")
    assert card.name == "drawn"
    assert card.classes == CLASSES
    assert card.preprocessing == RECIPE.preprocessing
    assert Recipe.from_json(card.hyper_parameters) == RECIPE
    assert card.data["images"] == 40
    assert card.data["per_class"] == dict.fromkeys(CLASSES, 10)
    assert card.split["sha256"] == split_hash(split["file"].tolist(), split["split"].tolist())
    assert card.split["counts"]["train"] == dict.fromkeys(CLASSES, 8)
    assert set(split["file"]) == {path.relative_to(films).as_posix() for path in films.rglob("*.png")}
    assert card.training["epochs"] == 2
    assert (whole / "checkpoints" / f"best-{card.training['best_epoch']:04d}.ckpt").exists()
    weakest = min(card.figures["test"]["per_class"].values(), key=lambda row: row["recall"])
    assert any("Weakest at" in words and f"{weakest['recall']:.0%}" in words for words in card.limitations)


def test_the_best_epoch_is_the_papers(whole: Path) -> None:
    card, epochs = Card.read(whole / "model" / "card.json"), pd.read_csv(whole / "epochs.csv")
    best = epochs.sort_values(
        ["contagious_called_normal", "validation_accuracy", "validation_loss"], ascending=[True, False, True]
    ).iloc[0]
    assert card.training["best_epoch"] == best["epoch"]


def test_the_cards_figures_are_those_of_the_predictions_beside_it(whole: Path) -> None:
    card = Card.read(whole / "model" / "card.json")
    table = pd.read_csv(whole / "model" / "predictions.csv", keep_default_na=False)
    assert set(card.figures) == set(SPLITS)
    for split in SPLITS:
        assert card.figures[split] == figures_of(table[table["split"] == split], card.classes)
    probabilities = table[[f"probability_{name}" for name in CLASSES]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=3e-5)


def test_the_saved_model_triages_as_its_table_says(whole: Path, films: Path) -> None:
    assert_triages_as_its_table(whole, films)


def test_a_flip_test_is_part_of_the_model(whole: Path, films: Path, tmp_path: Path) -> None:
    """Of the same weights, the table comes from both views, and triage asks as the table did."""
    recipe = replace(RECIPE, start=str(whole), epochs=0)
    once = run_of(tmp_path / "once", films, recipe)
    twice = run_of(tmp_path / "twice", films, replace(recipe, flip_test=True))
    assert (once.flip_test, twice.flip_test) == (False, True)
    assert once.weights_sha256 == twice.weights_sha256
    assert once.predictions_sha256 != twice.predictions_sha256
    assert_triages_as_its_table(tmp_path / "twice", films)


@pytest.mark.parametrize("after", [True, False])
def test_so_is_an_enhancement_wherever_in_training_it_is_done(films: Path, tmp_path: Path, after: bool) -> None:
    recipe = replace(RECIPE, enhancement="bands", enhance_changed=after, processing=0.3, batch_norm="held")
    card = run_of(tmp_path / "even", films, recipe)
    assert card.preprocessing.enhancement == "bands"
    assert_triages_as_its_table(tmp_path / "even", films)


def assert_triages_as_its_table(run_dir: Path, films: Path) -> None:
    table = pd.read_csv(run_dir / "model" / "predictions.csv").set_index("file")
    classifier, settings = Classifier.load(run_dir / "model"), Settings.from_environment()
    studies = list(iter_studies([films / file for file in table.index], settings))
    results = triage(studies, classifier, settings, explain=None, keep=forget)
    for (_, row), result in zip(table.iterrows(), results, strict=True):
        assert isinstance(result, Triaged)
        for name, probability in result.finding.probabilities.items():
            assert probability == pytest.approx(row[f"probability_{name}"], abs=2e-4)


def test_unreadable_files_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = write_films(tmp_path / "films", {COVID: 6, NORMAL: 5})
    (data / NORMAL / "images" / "Normal-1.png").write_bytes(b"no image")
    with caplog.at_level(logging.WARNING):
        card = run_of(tmp_path / "run", data, replace(RECIPE, epochs=1))
    assert "Normal-1.png" in caplog.text
    assert card.classes == (COVID, NORMAL)
    assert card.data["images"] == 10
    assert card.data["unreadable"] == 1
    split = pd.read_csv(tmp_path / "run" / "split.csv").set_index("file")["split"]
    assert split["Normal/images/Normal-1.png"] == "unreadable"
    table = pd.read_csv(tmp_path / "run" / "model" / "predictions.csv")
    assert "Normal/images/Normal-1.png" not in set(table["file"])


def test_a_class_without_one_readable_image_is_told(tmp_path: Path) -> None:
    data = write_films(tmp_path / "films", {COVID: 4, NORMAL: 4})
    for path in (data / NORMAL / "images").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"'Normal' can be read.*Normal-1\.png"):
        run_of(tmp_path / "run", data)


def test_patients_of_the_metadata_are_kept_together(tmp_path: Path) -> None:
    data = write_films(tmp_path / "films", {COVID: 8, NORMAL: 8})
    metadata = tmp_path / "metadata.csv"
    rows = [f"{label}/images/{label}-{n}.png,{label}{n // 2},film" for label in (COVID, NORMAL) for n in range(1, 9)]
    metadata.write_text("\n".join(["file,patient_id,source", *rows]))
    run_of(tmp_path / "run", data, replace(RECIPE, epochs=1), metadata=metadata)
    table = pd.read_csv(tmp_path / "run" / "model" / "predictions.csv")
    assert table["patient_id"].nunique() == 10
    assert table.groupby("patient_id")["split"].nunique().max() == 1


def test_duplicates_of_a_test_image_are_not_trained_on(tmp_path: Path) -> None:
    """Without the wish to keep them together, this split puts some pairs apart: the wish is what does it."""
    rng = np.random.default_rng(0)
    data = tmp_path / "films"
    import cv2

    for label in (COVID, NORMAL):
        (data / label).mkdir(parents=True)
        for number in range(12):
            # Clouds that are nothing like each other, each stored twice: as it is, and again a little darker.
            cloud = cv2.resize(rng.uniform(0, 255, (9, 9)).astype(np.float32), (96, 96), interpolation=cv2.INTER_CUBIC)
            for copy, grey in (("a", 1.0), ("b", 0.9)):
                cv2.imwrite(str(data / label / f"{number}{copy}.png"), np.clip(cloud * grey, 0, 255).astype(np.uint8))
    apart = []
    for together in (True, False):
        run = tmp_path / f"run-{together}"
        run_of(run, data, replace(RECIPE, epochs=1, duplicates_together=together))
        split = pd.read_csv(run / "split.csv")
        pairs = split.groupby(split["file"].str[:-5])["split"].nunique()
        assert len(pairs) == 24
        apart.append(int((pairs > 1).sum()))
    assert apart[0] == 0
    assert apart[1] > 0


def test_a_given_split_is_used(films: Path, whole: Path, tmp_path: Path) -> None:
    given = pd.read_csv(whole / "split.csv")
    turned = {"train": "train", "validation": "test", "test": "validation"}
    left_out = given.index[given["split"] == "train"][0]
    given.assign(split=given["split"].map(turned)).drop(left_out).to_csv(tmp_path / "split.csv", index=False)
    card = run_of(tmp_path / "run", films, replace(RECIPE, epochs=1), split_file=tmp_path / "split.csv")
    used = pd.read_csv(tmp_path / "run" / "split.csv")
    assert (used["split"] == given["split"].map(turned)).drop(left_out).all()
    assert used["split"][left_out] == "unused"
    assert card.data["images"] == 39
    assert "split.csv" in card.split["method"]


def test_missing_weights_are_told_before_the_images_are_read(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lungassist.training.journey.gather", None)
    with pytest.raises(UsageError, match="nothing to start from at"):
        run_of(tmp_path / "run", films, replace(RECIPE, start=str(tmp_path / "nowhere")))
    assert status_of(tmp_path / "run")["state"] == "failed"


def test_a_run_may_start_from_a_model_of_the_shelf(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path / "weights"))
    stored = network_of(classes=2)
    save_model(tmp_path / "weights" / "binary", stored.state_dict(), card_of(name="binary", classes=(COVID, NORMAL)))
    recipe = replace(RECIPE, start="binary", groups=("classifier",), epochs=1)
    card = run_of(tmp_path / "run", films, recipe)
    assert card.classes == CLASSES
    kept = torch.load(tmp_path / "run" / "checkpoints" / "best-0001.ckpt", weights_only=True)
    for key, value in stored.state_dict().items():
        if key.startswith("features.") and value.is_floating_point():
            torch.testing.assert_close(kept[key], value.half().float(), rtol=0, atol=0)
    with pytest.raises(UsageError, match="resnet18"):
        run_of(tmp_path / "other", films, replace(recipe, architecture="resnet18", groups=("fc",)))


@pytest.mark.parametrize("from_what", ["run", "checkpoint"])
def test_a_run_may_start_from_another_run(whole: Path, films: Path, tmp_path: Path, from_what: str) -> None:
    start = whole if from_what == "run" else whole / "checkpoints" / "last.ckpt"
    card = run_of(tmp_path / "run", films, replace(RECIPE, start=str(start), epochs=1, learning_rate=1e-7))
    fresh = run_of(tmp_path / "fresh", films, replace(RECIPE, epochs=1, learning_rate=1e-7))
    assert card.figures["train"] != fresh.figures["train"]
    if from_what == "run":  # the run's own table says which images it was trained on: here all of the same split
        assert card.training["images_seen_by_start"] == {"validation": 0, "test": 0}


def test_a_test_image_that_the_start_was_trained_on_is_confessed(whole: Path, films: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, start=str(whole), epochs=1, split_seed=2)
    card = run_of(tmp_path / "run", films, recipe)
    before, now = (pd.read_csv(run / "split.csv").set_index("file")["split"] for run in (whole, tmp_path / "run"))
    seen = int(((before == "train") & (now == "test")).sum())
    assert seen > 0
    assert card.training["images_seen_by_start"]["test"] == seen
    assert any(words.startswith(f"{seen} of the 4 test images were trained on") for words in card.limitations)


def test_a_checkpoint_that_is_none_is_named(films: Path, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(WeightsError, match=r"weights\.pth is no checkpoint"):
        run_of(tmp_path / "run", films, replace(RECIPE, start=str(path)))


def test_the_command_prints_the_cause(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--start", "scratch", "--model", SMALL, "--no-duplicates-together"]
    assert main(["--data", str(tmp_path / "nowhere"), "--run-dir", str(tmp_path / "run"), *options]) == 1
    assert "is not a folder" in (tmp_path / "run" / "log.txt").read_text()
    for given, word in (
        (["--data", str(films), "--run-dir", str(tmp_path / "two"), *options, "--size", "7"], "between 32 and 1024"),
        (["--data", str(films), "--run-dir", str(tmp_path / "run"), *options], "holds a run already"),
        (["--run-dir", str(tmp_path / "two"), *options], "--data is needed"),
        (["--resume", str(tmp_path / "run"), "--epochs", "9"], "--epochs cannot be changed"),
        (["--resume", str(tmp_path)], "holds no run"),
    ):
        assert main(given) == 2
        assert word in capsys.readouterr().err
    assert not (tmp_path / "two").exists()


def test_progress_can_be_followed(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[dict[str, Any]] = []
    note: Callable[..., None] = RunDirectory.set_status

    def noted(run: RunDirectory, state: str, **more: Any) -> None:
        notes.append({"state": state, **more})
        note(run, state, **more)

    monkeypatch.setattr(RunDirectory, "set_status", noted)
    monkeypatch.setattr("lungassist.training.reporter._SECONDS_BETWEEN", 0.0)
    run_of(tmp_path / "run", films, replace(RECIPE, epochs=2))
    assert list(dict.fromkeys(each["state"] for each in notes)) == [
        "preparing",
        "reading",
        "training",
        "evaluating",
        "done",
    ]
    steps = [(each["epoch"], each["step"]) for each in notes if each.get("step")]
    assert steps == [(epoch, step) for epoch in (1, 2) for step in (1, 2, 3, 4)]
    later = [each for each in notes if each.get("step") == 3]
    assert all(each["images_per_second"] > 0 and each["seconds_left"] > 0 for each in later)
    assert [each["done"] for each in notes if each["state"] == "evaluating" and "done" in each][-1] == 40
