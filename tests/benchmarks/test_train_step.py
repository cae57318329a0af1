"""The benchmark of the training step runs, small, and compares like with like. No clock is judged."""

from __future__ import annotations

import json

import pytest

from benchmarks import train_step
from lungassist.models.registry import ARCHITECTURES, build
from lungassist.training.recipe import Recipe
from lungassist.training.state import start


def test_the_engine_is_compared_with_the_bare_loop(capsys: pytest.CaptureFixture[str]) -> None:
    assert train_step.main(["--quick", "--json", "--device", "cpu"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["benchmark"], result["device"]) == ("train_step", "cpu")
    (figures,) = result["networks"].values()
    assert set(figures["images_per_second"]) == {"engine", "bare"}
    assert all(rate > 0 for rate in figures["images_per_second"].values())
    assert figures["engine_to_bare"] > 0
    assert train_step.main(["--quick", "--device", "cpu", "--augmentation", "all"]) == 0
    assert "mobilenet_v3_small" in capsys.readouterr().out


def test_settings_are_the_papers_or_the_usual_ones() -> None:
    paper = train_step.recipe_of("resnet50", "paper", "float32")
    assert paper.groups == ARCHITECTURES["resnet50"].default_groups
    assert (paper.averaging, paper.degrade, paper.exposure) == (0, False, 0)
    usual = train_step.recipe_of("alexnet", "all", "bfloat16")
    assert (usual.averaging, usual.degrade, usual.exposure) == (Recipe().averaging, True, Recipe().exposure)
    assert (usual.architecture, usual.precision) == ("alexnet", "bfloat16")


def test_the_bare_loop_holds_what_the_engine_holds() -> None:
    recipe = train_step.recipe_of("resnet50", "paper", "float32")
    model = build("resnet50", 4)
    start(model, recipe, recipe.batch_size)
    train_step.hold_frozen(model)
    assert not model.get_submodule("layer2.0.bn1").training
    assert model.get_submodule("layer3.0.bn1").training
