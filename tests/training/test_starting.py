"""Starting from several models: the mean of their weights, and what cannot be averaged is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from lungassist.classes import CLASSES
from lungassist.errors import UsageError
from lungassist.models.weights import PREDICTIONS_FILE, load_model
from lungassist.settings import Settings
from lungassist.training.recipe import Recipe
from lungassist.training.starting import images_seen_before, start_folders, starting_model
from tests.drawn import SMALL
from tests.tiny import save_tiny_model
from tests.training.runs import RECIPE as SMALL_RUN
from tests.training.runs import resumed, run_of

RECIPE = Recipe(architecture=SMALL, start="one,two", size=32)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path / "weights"))
    found = Settings.from_environment()
    for seed, name in enumerate(("one", "two")):
        save_tiny_model(found.weights_dir / name, seed=seed)
    return found


def test_several_models_give_the_mean_of_their_weights(settings: Settings) -> None:
    one, two = (load_model(settings.weights_dir / name)[0].state_dict() for name in ("one", "two"))
    found = starting_model(RECIPE, CLASSES, settings).state_dict()
    assert not torch.equal(one["classifier.3.weight"], two["classifier.3.weight"])
    for key, value in found.items():
        expected = (one[key] + two[key]) / 2 if value.is_floating_point() else one[key]
        torch.testing.assert_close(value, expected)


def test_names_and_paths_may_stand_together(settings: Settings) -> None:
    path = settings.weights_dir / "two"
    assert start_folders(replace(RECIPE, start=f"one, {path},"), settings) == [settings.weights_dir / "one", path]


@pytest.mark.parametrize("start", ["one,absent", ",", "absent"])
def test_what_is_not_there_is_named(settings: Settings, start: str) -> None:
    with pytest.raises(UsageError, match=r"nothing to start from at '(absent|,)'"):
        starting_model(replace(RECIPE, start=start), CLASSES, settings)


def test_another_network_cannot_be_averaged(settings: Settings) -> None:
    save_tiny_model(settings.weights_dir / "other", architecture="mobilenet_v3_large")
    with pytest.raises(UsageError, match=r"other holds a mobilenet_v3_large; the recipe asks for mobilenet_v3_small"):
        starting_model(replace(RECIPE, start="one,other"), CLASSES, settings)


def test_what_any_of_them_was_trained_on_counts(settings: Settings) -> None:
    def table(**splits: str) -> pd.DataFrame:
        return pd.DataFrame({"file": [f"{name}.png" for name in splits], "split": splits.values()})

    for name, trained_on in (("one", "a"), ("two", "b")):
        splits = {image: "train" if image == trained_on else "test" for image in "abc"}
        table(**splits).to_csv(settings.weights_dir / name / PREDICTIONS_FILE, index=False)
    now = table(a="test", b="validation", c="test")
    assert images_seen_before(RECIPE, now, settings) == {"validation": 1, "test": 1}
    assert images_seen_before(replace(RECIPE, start="one"), now, settings) == {"validation": 0, "test": 1}
    assert images_seen_before(replace(RECIPE, start="scratch"), now, settings) == {}


def test_a_soup_is_calibrated_and_evaluated_as_it_is(films: Path, tmp_path: Path) -> None:
    """With 0 epochs the weights are the mean, and batch norm has the statistics of clean images."""
    runs = [tmp_path / name for name in ("a", "b")]
    for seed, run in enumerate(runs, 1):
        run_of(run, films, replace(SMALL_RUN, epochs=1, seed=seed))
    recipe = replace(SMALL_RUN, start=",".join(map(str, runs)), epochs=0)
    card = run_of(tmp_path / "soup", films, recipe)
    assert (card.training["epochs"], card.training["best_epoch"]) == (0, 0)
    assert card.training["images_seen_by_start"] == {"validation": 0, "test": 0}
    one, two, soup = (load_model(run / "model")[0].state_dict() for run in (*runs, tmp_path / "soup"))
    for key, value in soup.items():
        if key.endswith(("weight", "bias")):
            torch.testing.assert_close(value, (one[key] + two[key]) / 2, rtol=2e-3, atol=2e-4)
    norm = [key for key in soup if key.endswith("running_mean")][-1]  # the first comes after something linear
    assert not torch.allclose(soup[norm], (one[norm] + two[norm]) / 2, rtol=1e-2), "measured afresh"
    assert resumed(tmp_path / "soup").weights_sha256 == card.weights_sha256


AB = ("A", "B")


def rows_of(network: torch.nn.Module) -> torch.Tensor:
    """A row an output; biases are 0 at first."""
    return network.state_dict()["classifier.3.weight"]


def test_a_start_of_the_same_classes_in_another_order_is_put_in_order(settings: Settings) -> None:
    save_tiny_model(settings.weights_dir / "one", classes=("B", "A"))
    given = rows_of(load_model(settings.weights_dir / "one")[0])
    found = rows_of(starting_model(replace(RECIPE, start="one", epochs=0), AB, settings))
    assert torch.equal(found, given.flip(0))


def test_what_a_start_knows_of_a_class_goes_to_that_class_and_another_begins_at_random(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """As many classes, one of them another: what told B from A must not begin as what tells C from B."""
    save_tiny_model(settings.weights_dir / "one", classes=AB)
    given = rows_of(load_model(settings.weights_dir / "one")[0])
    found = rows_of(starting_model(replace(RECIPE, start="one"), ("B", "C"), settings))
    again = rows_of(starting_model(replace(RECIPE, start="one"), ("B", "C"), settings))
    assert torch.equal(found[0], given[1]), "B"
    assert not torch.equal(found[1], given[0]), "C is not A"
    assert torch.equal(found[1], again[1]), "from the recipe's seed"
    assert "one knows A, B: the last layer begins at random for C" in caplog.text


def test_a_start_of_the_same_classes_is_taken_as_it_is(settings: Settings) -> None:
    found = starting_model(replace(RECIPE, start="one"), CLASSES, settings).state_dict()
    for key, value in load_model(settings.weights_dir / "one")[0].state_dict().items():
        assert torch.equal(found[key], value), key


@pytest.mark.parametrize("changes", [{"start": "one", "epochs": 0}, {"start": "one,two"}])
def test_other_classes_are_refused_where_nothing_would_teach_them(settings: Settings, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"one tells COVID, .* apart, the images are of A, B; .* of the same classes"):
        starting_model(replace(RECIPE, **changes), AB, settings)


def test_a_checkpoints_classes_are_those_of_its_run(settings: Settings, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    pd.DataFrame({"file": ["a", "b"], "label": ["A", "B"]}).to_csv(run / "split.csv", index=False)
    save_tiny_model(settings.weights_dir / "one", classes=AB)
    given = load_model(settings.weights_dir / "one")[0]
    torch.save({"model": given.state_dict()}, run / "checkpoints" / "last.ckpt")
    recipe = replace(RECIPE, start=str(run / "checkpoints" / "last.ckpt"))
    assert torch.equal(rows_of(starting_model(recipe, ("B", "C"), settings))[0], rows_of(given)[1])
    with pytest.raises(UsageError, match="tells A, B apart"):
        starting_model(replace(recipe, epochs=0), ("B", "C"), settings)
    (run / "split.csv").unlink()
    with pytest.raises(UsageError, match="tells other classes apart"):
        starting_model(replace(recipe, epochs=0), CLASSES, settings)
