"""A recipe says everything about a fit, and refuses what cannot be meant before anything is computed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lungassist.errors import UsageError
from lungassist.training.recipe import Recipe
from train.finetune import parser, recipe_of

REQUIRED = ["--data", "films", "--run-dir", "run"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"architecture": "resnet51"}, "resnet51"),
        ({"groups": ("layer9",)}, "layer9"),
        ({"groups": ()}, "At least one group"),
        ({"size": 16}, "between 32 and 1024"),
        ({"normalisation": "none"}, "radiograph"),
        ({"epochs": -1}, "epochs must be between 0 and 1000"),
        ({"epochs": 0}, "0 epochs train nothing, and a start from imagenet knows no X-ray yet"),
        ({"epochs": 2.5}, "epochs must be a whole number"),
        ({"epochs": "2"}, "epochs must be a whole number"),
        ({"epochs": True}, "epochs must be a whole number"),
        ({"flip": 1}, "flip must be true or false"),
        ({"batch_size": 1}, "batch_size"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate must be a number"),
        ({"averaging": 1.0}, "averaging"),
        ({"optimiser": "lion"}, "adam, adamw, sgd"),
        ({"schedule": None}, "schedule must be a word"),
        ({"momentum": 0.9}, "no setting 'momentum'"),
        ({"groups": "all"}, "groups must be a list"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        Recipe.from_json({**Recipe().to_json(), **changes})


def test_json_round_trip() -> None:
    recipe = Recipe(architecture="resnet18", groups=("layer4", "fc"), rotation=5, flip=False, seed=7)
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert Recipe.from_json({}) == Recipe()


def test_the_command_lines_defaults_are_the_recipes() -> None:
    assert recipe_of(vars(parser().parse_args(REQUIRED))) == Recipe()


def test_every_setting_can_be_given_on_the_command_line() -> None:
    wanted = Recipe(
        architecture="alexnet",
        start="scratch",
        groups=("middle", "classifier"),
        size=96,
        normalisation="imagenet",
        flip_test=True,
        enhancement="bands",
        enhance_changed=True,
        optimiser="sgd",
        learning_rate=0.01,
        weight_decay=0.001,
        schedule="constant",
        epochs=3,
        batch_size=5,
        label_smoothing=0.1,
        teachers=("one", "runs/other"),
        distillation=0.4,
        averaging=0.9,
        batch_norm="held",
        precision="bfloat16",
        seed=9,
        workers=2,
        patience=4,
        choose_by="validation_loss",
        class_weights="sqrt",
        split="random",
        split_seed=3,
        duplicates_together=False,
        flip=False,
        rotation=1.0,
        shift=0.01,
        scale=0.02,
        crop=0.04,
        surroundings=0.5,
        exposure=0.03,
        processing=0.3,
        equalising=0.1,
        degrade=False,
        noise=0.2,
    )
    options = [
        *REQUIRED,
        "--model",
        "alexnet",
        "--groups",
        "middle,classifier",
        "--no-flip",
        "--flip-test",
        "--enhance-changed",
        "--no-degrade",
    ]
    options += ["--no-duplicates-together", "--teachers", "one,runs/other"]
    for name, value in wanted.to_json().items():
        if name not in ("architecture", "groups", "teachers") and not isinstance(value, bool):
            options += [f"--{name.replace('_', '-')}", str(value)]  # --start stands for --start-from
    assert recipe_of(vars(parser().parse_args(options))) == wanted
    assert all(value != getattr(Recipe(), name) for name, value in wanted.to_json().items()), "a default proves nothing"


def test_only_bands_are_enhanced_after_a_change() -> None:
    for enhancement in ("none", "clahe"):
        with pytest.raises(UsageError, match=f"not '{enhancement}'. Choose the enhancement bands"):
            Recipe(enhancement=enhancement, enhance_changed=True)


def test_every_setting_is_described() -> None:
    assert list(Recipe.settings()) == list(Recipe().to_json())
    for setting in Recipe.settings().values():
        assert setting.help.endswith(".")
        assert setting.group
        assert setting.kind not in (int, float) or setting.low is not None


def test_the_default_groups_are_the_architectures() -> None:
    options = [*REQUIRED, "--model", "resnet50", "--groups", "default"]
    assert recipe_of(vars(parser().parse_args(options))).groups == ("layer3", "layer4", "fc")
