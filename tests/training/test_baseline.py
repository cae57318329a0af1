"""The baseline: its figures are those of scikit-learn by hand, on the images and splits of fine-tuning."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lungassist.classes import CLASSES, COVID, NORMAL
from lungassist.dataset import SPLITS
from lungassist.errors import UsageError
from lungassist.evaluation.predictions import arrays_of, figures_of
from lungassist.files import sha256_of
from lungassist.settings import Settings
from lungassist.training import baseline
from lungassist.training.baseline import fit_regression, grey_values, is_done, run_baseline
from lungassist.training.baseline_recipe import BaselineConfig, BaselineRecipe
from lungassist.training.config import RunConfig
from lungassist.training.failures import CancelledError, StopRequest
from lungassist.training.material import gather, indexed
from lungassist.training.recipe import Recipe
from lungassist.training.run import RunDirectory
from tests.drawn import write_films
from train.baseline import main

RECIPE = BaselineRecipe(size=32, regularisation=0.01, duplicates_together=False, workers=1)


@pytest.fixture(scope="module")
def whole(films: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run's directory. Read only."""
    run = RunDirectory(tmp_path_factory.mktemp("runs") / "baseline")
    run.prepare(BaselineConfig("drawn", films, recipe=RECIPE))
    run_baseline(run)
    return run


def predictions(run: RunDirectory) -> pd.DataFrame:
    return pd.read_csv(run.model / "predictions.csv", keep_default_na=False)


def test_the_run_directory_is_complete(whole: RunDirectory, films: Path) -> None:
    files = {path.relative_to(whole.path).as_posix() for path in whole.path.rglob("*") if path.is_file()}
    assert files - {".lock"} == {
        "config.json",
        "split.csv",
        "environment.json",
        "audit.json",
        "status.json",
        "model/predictions.csv",
        "model/figures.json",
    }
    assert is_done(whole)
    config = json.loads(whole.config_file.read_text())
    assert config["kind"] == "baseline"
    assert BaselineConfig.from_json(config) == BaselineConfig("drawn", films, recipe=RECIPE)


def test_the_split_is_that_of_fine_tuning(whole: RunDirectory, films: Path) -> None:
    recipe = Recipe(size=32, duplicates_together=False)
    config = RunConfig("drawn", films, device="cpu", recipe=recipe)
    table = gather(config, indexed(config), Settings.from_environment()).table
    split = pd.read_csv(whole.split)
    assert list(split["file"]) == list(table["file"])
    assert list(split["split"]) == list(table["split"])


def test_the_figures_are_those_of_the_predictions(whole: RunDirectory) -> None:
    figures, table = json.loads((whole.model / "figures.json").read_text()), predictions(whole)
    assert set(table["split"]) == set(SPLITS)
    for split in SPLITS:
        assert figures["figures"][split] == figures_of(table[table["split"] == split], CLASSES)
    assert figures["predictions_sha256"] == sha256_of(whole.model / "predictions.csv")
    assert figures["training"]["converged"]
    assert figures["figures"]["test"]["accuracy"] == 1, "a bright blob in its place is easy"


def test_the_predictions_are_scikit_learns(whole: RunDirectory, films: Path) -> None:
    """A pipeline in double precision, fitted in one go, to the calibrated probabilities."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    config = BaselineConfig("drawn", films, recipe=RECIPE).as_run_config()
    material = gather(config, indexed(config), Settings.from_environment())
    pixels = np.stack([material.prepared.images[i] for i in range(40)]).reshape(40, -1).astype(np.float64)
    train = material.rows("train")
    reference = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000, tol=1e-8))
    reference.fit(pixels[train], material.labels[train])
    scores = reference.decision_function(pixels)
    temperature = json.loads((whole.model / "figures.json").read_text())["temperature"]
    expected = np.exp(scores / temperature) / np.exp(scores / temperature).sum(axis=1, keepdims=True)
    _, found = arrays_of(predictions(whole), CLASSES)
    np.testing.assert_allclose(found, expected, atol=5e-3)


def test_two_classes_and_a_given_number_of_iterations(tmp_path: Path) -> None:
    data = write_films(tmp_path / "films", {COVID: 8, NORMAL: 8})
    run = RunDirectory(tmp_path / "run")
    run.prepare(BaselineConfig("two", data, recipe=replace(RECIPE, iterations=1)))
    figures = run_baseline(run)
    assert figures["training"]["iterations"] == 1
    assert not figures["training"]["converged"]
    probabilities = predictions(run)[[f"probability_{name}" for name in (COVID, NORMAL)]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=2e-5)
    assert figures["classes"] == [COVID, NORMAL]


def test_going_on_after_a_look_comes_to_the_same_end() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(200, 30)).astype(np.float32)
    labels = (features[:, :3] + rng.normal(size=(200, 3))).argmax(axis=1).astype(np.int64)
    looks: list[int] = []
    in_pieces, taken, converged = fit_regression(features, labels, replace(RECIPE, regularisation=1.0), looks.append)
    assert converged
    assert looks[-1] == taken
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(baseline, "_ITERATIONS_A_LOOK", 5)
        other, more, _ = fit_regression(features, labels, replace(RECIPE, regularisation=1.0), looks.append)
    assert more > 5
    np.testing.assert_allclose(in_pieces.coef_, other.coef_, atol=5e-3)


def test_pixels_become_features_in_their_order() -> None:
    images = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4)
    np.testing.assert_array_equal(grey_values(images, np.array([2, 0])), images[[2, 0]].reshape(2, 16))


def test_a_wish_to_end_is_heard(films: Path, tmp_path: Path) -> None:
    run, stop = RunDirectory(tmp_path / "run"), StopRequest()
    run.prepare(BaselineConfig("drawn", films, recipe=RECIPE))
    stop.signal_number = signal.SIGTERM
    with pytest.raises(CancelledError):
        run_baseline(run, stop=stop)
    assert json.loads(run.status.read_text())["state"] == "cancelled"
    assert not is_done(run)
    run_baseline(run)  # and it can be carried out later
    assert is_done(run)


def test_the_command(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    options = ["--size", "32", "--no-duplicates-together", "--workers", "1"]
    run = str(tmp_path / "run")
    assert main(["--data", str(films), "--run-dir", run, *options]) == 0
    config = BaselineConfig.from_json(json.loads((tmp_path / "run" / "config.json").read_text()))
    assert (config.name, config.recipe.size) == ("logistic-regression", 32)
    assert "test accuracy" in (tmp_path / "run" / "log.txt").read_text()
    capsys.readouterr()
    for given, status, word in (
        (["--resume", run], 0, "is done already"),
        (["--resume", run, "--size", "64"], 2, "--size has no place"),
        (["--resume", str(tmp_path)], 2, "holds no run"),
        (["--data", str(films), "--run-dir", run], 2, "holds a run already"),
        (["--data", str(films), "--run-dir", run, "--size", "7"], 2, "size must be between 32 and 1024"),
        (["--data", str(films)], 2, "--run-dir is needed"),
        (["--data", str(tmp_path / "nowhere"), "--run-dir", str(tmp_path / "two")], 1, "is not a folder"),
    ):
        caplog.clear()
        assert main(given) == status, given
        assert word in capsys.readouterr().err + caplog.text


def test_settings_are_checked_and_named() -> None:
    with pytest.raises(UsageError, match="no setting 'epochs'"):
        BaselineRecipe.from_json({"epochs": 3})
    with pytest.raises(UsageError, match="regularisation must be between"):
        BaselineRecipe(regularisation=-1.0)
    assert {name: getattr(BaselineRecipe(), name) for name in BaselineRecipe.settings()} == {
        name: setting.default for name, setting in BaselineRecipe.settings().items()
    }
    assert set(BaselineRecipe.settings()) == set(BaselineRecipe().to_json())
