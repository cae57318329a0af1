"""A run from a folder to a card: complete, honest, and able to go on after any end."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
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
from lungassist.errors import DatasetError, TrainingError, UsageError, WeightsError
from lungassist.evaluation.predictions import figures_of
from lungassist.imaging import iter_studies
from lungassist.models.card import Card
from lungassist.models.weights import save_model, verify
from lungassist.predict import Classifier
from lungassist.settings import Settings
from lungassist.training.fit import EpochFigures
from lungassist.training.journey import finetune
from lungassist.training.recipe import Recipe
from lungassist.training.run import RunDirectory
from lungassist.triage import Triaged, forget, triage
from tests.drawn import SMALL, card_of, network_of, write_films
from train.finetune import main

ROOT = Path(__file__).parent.parent.parent
RECIPE = Recipe(architecture=SMALL, start="scratch", size=32, epochs=2, batch_size=8, averaging=0.5)
EXPECTED_FILES = {
    "recipe.json",
    "split.csv",
    "environment.json",
    "epochs.csv",
    "last.ckpt",
    "status.json",
    "model/model.safetensors",
    "model/card.json",
    "model/predictions.csv",
}


def run_of(run_dir: Path, data: Path, recipe: Recipe = RECIPE, **options: Any) -> Card:
    given: dict[str, Any] = {"metadata": None, "name": "drawn", "device": "cpu", "workers": 1, **options}
    return finetune(recipe, data=data, run_dir=run_dir, **given)


def status_of(run_dir: Path) -> dict[str, Any]:
    status: dict[str, Any] = json.loads((run_dir / "status.json").read_text(encoding="utf-8"))
    return status


@pytest.fixture(scope="module")
def whole(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that was never interrupted. Read only: copy it to change it."""
    run_dir = tmp_path_factory.mktemp("runs") / "whole"
    run_of(run_dir, films)
    return run_dir


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def test_the_run_directory_is_complete(whole: Path) -> None:
    files = {path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file()}
    assert files == EXPECTED_FILES
    assert Recipe.from_json(json.loads((whole / "recipe.json").read_text())) == RECIPE
    assert status_of(whole)["state"] == "done"
    epochs = pd.read_csv(whole / "epochs.csv")
    assert list(epochs.columns) == list(EpochFigures.__dataclass_fields__)
    assert list(epochs["epoch"]) == [1, 2]
    assert {"torch", "python", "numpy"} <= set(json.loads((whole / "environment.json").read_text()))


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
    assert status_of(whole)["accuracy"] == card.figures["test"]["accuracy"]


def test_the_cards_figures_are_those_of_the_predictions_beside_it(whole: Path) -> None:
    card = Card.read(whole / "model" / "card.json")
    table = pd.read_csv(whole / "model" / "predictions.csv", keep_default_na=False)
    assert set(card.figures) == set(SPLITS)
    for split in SPLITS:
        assert card.figures[split] == figures_of(table[table["split"] == split], card.classes)
    probabilities = table[[f"probability_{name}" for name in CLASSES]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=3e-5)


def test_the_saved_model_triages_as_its_table_says(whole: Path, films: Path) -> None:
    table = pd.read_csv(whole / "model" / "predictions.csv").set_index("file")
    classifier, settings = Classifier.load(whole / "model"), Settings.from_environment()
    studies = list(iter_studies([films / file for file in table.index], settings))
    results = triage(studies, classifier, settings, explain=None, keep=forget)
    for (_, row), result in zip(table.iterrows(), results, strict=True):
        assert isinstance(result, Triaged)
        for name, probability in result.finding.probabilities.items():
            assert probability == pytest.approx(row[f"probability_{name}"], abs=2e-4)


def weights_of(run_dir: Path) -> dict[str, torch.Tensor]:
    """Everything in the checkpoint that is a weight: of the network, its average, and the best epoch."""
    checkpoint = torch.load(run_dir / "last.ckpt", weights_only=True)
    return {f"{part}.{k}": v for part in ("model", "averaged", "best_weights") for k, v in checkpoint[part].items()}


def assert_same_run(one: Path, other: Path) -> None:
    first, second = weights_of(one), weights_of(other)
    assert first.keys() == second.keys()
    for key, value in first.items():
        torch.testing.assert_close(second[key], value, rtol=0, atol=0, msg=key)
    for name in ("model.safetensors", "predictions.csv"):
        assert (one / "model" / name).read_bytes() == (other / "model" / name).read_bytes()
    epochs, others = (pd.read_csv(run_dir / "epochs.csv").drop(columns="seconds") for run_dir in (one, other))
    pd.testing.assert_frame_equal(epochs, others)


@pytest.mark.parametrize("saves", [1, 2])
def test_a_run_that_failed_while_saving_goes_on_exactly(
    whole: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saves: int
) -> None:
    """The table of epochs has been written then, the checkpoint has not."""
    save, left = torch.save, iter(range(saves - 1))

    def on_a_full_disk(*given: Any) -> None:
        if next(left, None) is None:
            raise OSError("No space left on device")
        save(*given)

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", on_a_full_disk)
        with pytest.raises(TrainingError, match="No space left on device"):
            run_of(tmp_path / "run", films)
    assert len(pd.read_csv(tmp_path / "run" / "epochs.csv")) == saves
    assert (tmp_path / "run" / "last.ckpt").exists() == (saves > 1)
    assert status_of(tmp_path / "run")["state"] == "failed"
    assert "No space left" in status_of(tmp_path / "run")["cause"]
    run_of(tmp_path / "run", films, resume=True)
    assert_same_run(whole, tmp_path / "run")


KILLED = """
import os, signal, sys
from pathlib import Path
from lungassist.training.run import RunDirectory
from tests.training.test_journey import run_of

note = RunDirectory.set_status

def killed_in_the_second_epoch(self, state, **more):
    if more.get("epoch") == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    note(self, state, **more)

RunDirectory.set_status = killed_in_the_second_epoch
run_of(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_run_that_was_killed_in_an_epoch_goes_on_exactly(whole: Path, films: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    command = [sys.executable, "-c", KILLED, str(run_dir), str(films)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(pd.read_csv(run_dir / "epochs.csv")) == 1
    assert not (run_dir / "model").exists()
    run_of(run_dir, films, resume=True)
    assert_same_run(whole, run_dir)
    assert not [path.name for path in run_dir.iterdir() if path.name.startswith(".")]


def test_a_finished_run_that_is_resumed_stays_as_it_is(whole: Path, films: Path, copied: Path) -> None:
    run_of(copied, films, resume=True)
    assert_same_run(whole, copied)
    assert status_of(copied)["state"] == "done"


def test_a_run_directory_in_use_is_refused_and_left_alone(copied: Path, films: Path) -> None:
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=r"holds a run already.*--resume"):
        run_of(copied, films)
    with pytest.raises(UsageError, match=r"another recipe: epochs was 2, now 3; seed was 1, now 5"):
        run_of(copied, films, replace(RECIPE, epochs=3, seed=5), resume=True)
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before


def test_other_images_end_a_resumed_run(copied: Path, tmp_path: Path) -> None:
    data = write_films(tmp_path / "films", dict.fromkeys(CLASSES, 9))
    with pytest.raises(TrainingError, match="have changed since the run"):
        run_of(copied, data, resume=True)
    assert status_of(copied)["state"] == "failed"


@pytest.mark.parametrize("damage", ["cut", "other", "epochs"])
def test_a_damaged_checkpoint_is_named(copied: Path, films: Path, damage: str) -> None:
    path = copied / "last.ckpt"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "other":
        torch.save({"model": network_of("resnet18").state_dict()}, path)
    else:
        (copied / "epochs.csv").write_text("epoch,loss\n1,0.5\n")
    with pytest.raises(TrainingError, match=r"last\.ckpt cannot be resumed from"):
        run_of(copied, films, resume=True)
    assert status_of(copied)["state"] == "failed"


def fails_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def failing(*given: Any, **named: Any) -> None:
        raise error

    monkeypatch.setattr("lungassist.training.journey.fit", failing)


@pytest.mark.parametrize(
    ("error", "comes_out"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), TrainingError),
        (MemoryError(), TrainingError),
        (RuntimeError("Calculated padded input size per channel is too small"), TrainingError),
        (TrainingError("The loss became nan"), TrainingError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (KeyError("no such thing"), KeyError),
    ],
)
def test_however_a_run_ends_its_status_says_so(
    films: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    comes_out: type[BaseException],
) -> None:
    fails_with(monkeypatch, error)
    with pytest.raises(comes_out):
        run_of(tmp_path / "run", films)
    status = status_of(tmp_path / "run")
    assert status["state"] == "failed"
    assert (str(error) or type(error).__name__) in status["cause"]


def test_a_learning_rate_that_is_far_too_high_ends_with_advice(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.nn.functional, "cross_entropy", lambda *given, **named: torch.tensor(torch.nan))
    with pytest.raises(TrainingError, match="Lower the learning rate"):
        run_of(tmp_path / "run", films)
    assert "Lower the learning rate" in status_of(tmp_path / "run")["cause"]


def test_unreadable_files_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_missing_weights_are_told_before_the_images_are_read(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lungassist.training.journey.gather", None)
    with pytest.raises(WeightsError, match="no card"):
        run_of(tmp_path / "run", films, replace(RECIPE, start=str(tmp_path / "nowhere")))
    assert status_of(tmp_path / "run")["state"] == "failed"


def test_a_run_may_start_from_a_model_of_the_shelf(films: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "weights" / "binary"
    stored = network_of(classes=2)
    save_model(shelf, stored.state_dict(), card_of(name="binary", classes=(COVID, NORMAL)))
    recipe = replace(RECIPE, start=str(shelf), groups=("classifier",), epochs=1)
    card = run_of(tmp_path / "run", films, recipe)
    assert card.classes == CLASSES
    kept = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["best_weights"]
    for key, value in stored.state_dict().items():
        if key.startswith("features.") and value.is_floating_point():
            torch.testing.assert_close(kept[key], value.half().float(), rtol=0, atol=0)
    with pytest.raises(UsageError, match="resnet18"):
        run_of(tmp_path / "other", films, replace(recipe, architecture="resnet18", groups=("fc",)))


def test_the_command_prints_the_cause_and_fails(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--run-dir", str(tmp_path / "run"), "--start", "scratch", "--model", SMALL]
    assert main(["--data", str(tmp_path / "nowhere"), *options]) == 1
    assert "is not a folder" in capsys.readouterr().err
    assert main(["--data", str(films), *options, "--size", "7"]) == 1
    assert "32 to 1024" in capsys.readouterr().err


def test_progress_can_be_followed(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[str] = []
    note: Callable[..., None] = RunDirectory.set_status

    def noted(run: RunDirectory, state: str, **more: Any) -> None:
        states.append(state)
        note(run, state, **more)

    monkeypatch.setattr(RunDirectory, "set_status", noted)
    run_of(tmp_path / "run", films, replace(RECIPE, epochs=1))
    assert list(dict.fromkeys(states)) == ["preparing", "training", "evaluating", "done"]
