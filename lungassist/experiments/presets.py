"""What a form can be filled with: the standard settings, and every run of every preset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lungassist.training.baseline_recipe import BaselineRecipe
from lungassist.training.presets import load_presets
from lungassist.training.recipe import Recipe

STANDARD: Final = "standard"


@dataclass(frozen=True, slots=True)
class PresetChoice:
    """One run to start from.

    Attributes:
        key: tells it from the others: `standard`, or `PRESET/RUN`.
        name: for the run and its model.
        title: a few words.
        purpose: a sentence or two; '' for the standard settings.
        recipe: the settings.
    """

    key: str
    name: str
    title: str
    purpose: str
    recipe: Recipe | BaselineRecipe


def preset_choices() -> list[PresetChoice]:
    """The standard settings, then the runs of the presets in their order, `quick` before all others.

    A run that builds on another one of its preset is not among them: it has its place in a study.

    Raises:
        UsageError: a preset's file is damaged; it is named.
    """
    found = [standard_choice()]
    for preset in sorted(load_presets().values(), key=lambda preset: (preset.name != "quick", preset.name)):
        for run in (run for run in preset.runs if not preset.builds_on(run)):
            title = preset.title if len(preset.runs) == 1 else f"{preset.title}: {run.name}"
            found.append(PresetChoice(f"{preset.name}/{run.name}", run.name, title, preset.purpose, run.recipe))
    return found


def standard_choice() -> PresetChoice:
    """Every setting as it is if nothing is said."""
    recipe = Recipe()
    return PresetChoice(STANDARD, recipe.architecture, "Standard settings", "", recipe)
