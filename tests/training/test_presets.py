"""Presets: those of the project say what the paper says, and a wrong one is refused where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from lungassist.errors import UsageError
from lungassist.models.card import Card
from lungassist.models.registry import architecture
from lungassist.training.baseline_recipe import BaselineRecipe
from lungassist.training.presets import Preset, changed, load_presets
from lungassist.training.recipe import Recipe

ABLATIONS = {
    "ablation-optimiser": ("optimiser", ["adam", "sgd"]),
    "ablation-normalisation": ("normalisation", ["radiograph", "imagenet"]),
    "ablation-enhancement": ("enhancement", ["none", "clahe", "smqt", "wavelet", "laplace"]),
    "ablation-depth": ("groups", [("fc",), ("layer4", "fc"), ("layer3", "layer4", "fc"), ("all",)]),
}


@pytest.fixture(scope="module")
def presets() -> dict[str, Preset]:
    return load_presets()


def recipes(preset: Preset) -> dict[str, Recipe]:
    return {run.name: run.recipe for run in preset.runs if isinstance(run.recipe, Recipe)}


def test_the_projects_presets(presets: dict[str, Preset]) -> None:
    assert set(presets) == {
        "paper",
        "harmonised",
        "scratch",
        "quick",
        "adapt",
        "close",
        "chest",
        "ablations-cpu",
        "bundled",
        *ABLATIONS,
    }
    for preset in presets.values():
        assert preset.title
        assert preset.purpose
        assert "\n" not in preset.purpose


def test_the_papers_study_is_in_the_order_of_its_table(presets: dict[str, Preset]) -> None:
    names = [run.name for run in presets["paper"].runs]
    assert [name for name in names if name != "ResNet34"] == ["AlexNet", "VGG19_bn", "ResNet50", "Logistic Regression"]


def test_the_papers_study_is_the_papers(presets: dict[str, Preset]) -> None:
    found = recipes(presets["paper"])
    assert {recipe.architecture for recipe in found.values()} == {"alexnet", "vgg19_bn", "resnet50", "resnet34"}
    for recipe in found.values():
        assert recipe.groups == architecture(recipe.architecture).default_groups
        assert (recipe.start, recipe.size, recipe.normalisation) == ("imagenet", 224, "radiograph")
        assert (recipe.enhancement, recipe.optimiser) == ("none", "adam")
        assert recipe.flip
        assert recipe.rotation > 0
        assert (recipe.shift, recipe.scale, recipe.exposure, recipe.degrade, recipe.averaging) == (0, 0, 0, False, 0)
        assert (recipe.split, recipe.split_seed, recipe.seed) == ("random", 1, 1)
        assert not recipe.duplicates_together
        assert recipe.choose_by == "paper"
    simple = found["AlexNet"]
    for name in ("VGG19_bn", "ResNet50"):  # section 7
        assert found[name].batch_size > simple.batch_size
        assert found[name].epochs < simple.epochs


@pytest.mark.parametrize("name", ["paper", "scratch"])
def test_networks_and_baseline_of_a_study_see_the_same_split(presets: dict[str, Preset], name: str) -> None:
    (baseline,) = (run.recipe for run in presets[name].runs if isinstance(run.recipe, BaselineRecipe))
    for recipe in recipes(presets[name]).values():
        for setting in ("split", "split_seed", "duplicates_together"):
            assert getattr(recipe, setting) == getattr(baseline, setting)


@pytest.mark.parametrize("name", ABLATIONS)
def test_the_runs_of_an_ablation_differ_in_one_setting(presets: dict[str, Preset], name: str) -> None:
    setting, values = ABLATIONS[name]
    found = [recipe.to_json() for recipe in recipes(presets[name]).values()]
    assert [recipe[setting] for recipe in found] == [list(v) if isinstance(v, tuple) else v for v in values]
    rest = [{key: value for key, value in recipe.items() if key != setting} for recipe in found]
    assert all(recipe == rest[0] for recipe in rest)


def test_the_small_ablations_differ_from_their_reference_in_one_choice(presets: dict[str, Preset]) -> None:
    reference, *others = (recipe.to_json() for recipe in recipes(presets["ablations-cpu"]).values())
    differing = [{key for key, value in other.items() if value != reference[key]} for other in others]
    # A learning rate goes with its optimiser.
    assert [sorted(keys - {"learning_rate"}) for keys in differing] == [
        ["optimiser"], ["optimiser"], ["normalisation"], ["enhancement"], ["groups"], ["groups"], ["groups"],
    ]  # fmt: skip
    assert sum("learning_rate" in keys for keys in differing) == 1


@pytest.mark.parametrize("name", [name for name in ABLATIONS if name != "ablation-depth"])
def test_an_ablation_compares_with_a_run_of_the_paper(presets: dict[str, Preset], name: str) -> None:
    """One of its runs is that of the study, so that the figures of both can be laid beside each other."""
    assert set(recipes(presets[name]).values()) & set(recipes(presets["paper"]).values())


def test_what_must_work_offline_downloads_nothing(presets: dict[str, Preset]) -> None:
    for name in ("scratch", "quick", "adapt", "close", "chest"):
        assert all(recipe.start != "imagenet" for recipe in recipes(presets[name]).values())
    bundled = Path(__file__).parents[2] / "weights"
    for name in ("adapt", "close", "chest"):
        first, *_ = recipes(presets[name]).values()
        card = Card.read(bundled / first.start / "card.json")
        assert (card.architecture, card.preprocessing) == (first.architecture, first.preprocessing)


def write(folder: Path, text: str) -> Path:
    (folder / "mine.toml").write_text(text)
    return folder


HEAD = 'title = "T"\npurpose = "P"\n'
RUN = '[[runs]]\nname = "one"\n'


def test_what_is_not_given_is_the_recipes_default(tmp_path: Path) -> None:
    preset = load_presets(write(tmp_path, f"{HEAD}[recipe]\nepochs = 3\n{RUN}recipe.size = 64\n"))["mine"]
    assert preset.runs[0].recipe == Recipe(epochs=3, size=64)
    assert dict(preset.runs[0].overrides) == {"epochs": 3, "size": 64}


def test_default_groups_follow_the_architecture(tmp_path: Path) -> None:
    (run,) = load_presets(write(tmp_path, f'{HEAD}{RUN}recipe.groups = "default"\n'))["mine"].runs
    other = changed(run, {"architecture": "alexnet"})
    assert isinstance(other.recipe, Recipe)
    assert other.recipe.groups == architecture("alexnet").default_groups


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{HEAD}{RUN}recipe.epoch = 3\n", ["mine.toml", "run 'one'", "'epoch'"]),
        (f"{HEAD}{RUN}recipe.epochs = -1\n", ["mine.toml", "run 'one'", "epochs must be between 0 and 1000"]),
        (f'{HEAD}{RUN}recipe.optimiser = "lion"\n', ["mine.toml", "run 'one'", "optimiser must be one of"]),
        (f'{HEAD}{RUN}recipe.groups = ["layer9"]\n', ["mine.toml", "run 'one'", "'layer9'"]),
        (f"{HEAD}[recipe]\nsize = 7\n{RUN}recipe.size = 64\n", ["mine.toml", "[recipe]", "size"]),
        (f"{HEAD}{RUN}epochs = 3\n", ["mine.toml", "run 1", "'epochs'"]),
        (f'{HEAD}{RUN}kind = "other"\n', ["mine.toml", "run 'one'", "kind", "'other'"]),
        (f'{HEAD}{RUN}kind = "baseline"\nrecipe.epochs = 3\n', ["mine.toml", "run 'one'", "'epochs'"]),
        (f'{HEAD}{RUN}kind = "baseline"\nrecipe.size = 7\n', ["mine.toml", "run 'one'", "size"]),
        (f"{HEAD}extra = 1\n{RUN}", ["mine.toml", "'extra'"]),
        (f"{HEAD}{RUN}{RUN}", ["mine.toml", "several", "'one'"]),
        (f'{HEAD}[[runs]]\nname = "a/b"\n', ["mine.toml", "run 1", "'a/b'"]),
        (f"{HEAD}[[runs]]\nrecipe.size = 64\n", ["mine.toml", "run 1", "''"]),
        (HEAD, ["mine.toml", "'runs'"]),
        (f'title = "T"\n{RUN}', ["mine.toml", "'purpose'"]),
        (f"{HEAD}runs = [3]\n", ["mine.toml", "run 1"]),
        ("title = ", ["mine.toml", "TOML"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        load_presets(write(tmp_path, text))
    assert [word for word in words if word not in str(caught.value)] == []
