"""Presets: named sets of runs with their settings, one TOML file each in `train/presets/`.

A file has `title`, `purpose`, a table `[recipe]` with settings that all its fine-tuning runs share, and a list
`[[runs]]` of `name`, `kind` ("finetune", the default, or "baseline") and `recipe`. What is not given keeps its default.
`groups = "default"` stands for the architecture's default groups. `start` and `teachers` may name runs further up.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from lungassist.errors import UsageError
from lungassist.models.promotion import check_name
from lungassist.models.registry import architecture
from lungassist.training.baseline_recipe import BaselineRecipe
from lungassist.training.recipe import Recipe

FINETUNE: Final = "finetune"
BASELINE: Final = "baseline"
KINDS: Final = (FINETUNE, BASELINE)

_FOLDER: Final = Path(__file__).resolve().parents[2] / "train" / "presets"


@dataclass(frozen=True, slots=True)
class PresetRun:
    """One run of a preset.

    Attributes:
        name: of the run's folder and of its model; unique within the preset.
        kind: `finetune` or `baseline`.
        recipe: the complete settings.
        overrides: those that the preset gives, shared ones included; all others are the defaults.
    """

    name: str
    kind: str
    recipe: Recipe | BaselineRecipe
    overrides: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Preset:
    """A named set of runs.

    Attributes:
        name: the file's name without its ending.
        title: a few words.
        purpose: a sentence or two on what it is for.
        runs: in the order in which they run and are shown.
    """

    name: str
    title: str
    purpose: str
    runs: tuple[PresetRun, ...]

    def builds_on(self, run: PresetRun) -> tuple[str, ...]:
        """The runs further up that `run` starts from or has for teachers."""
        if not isinstance(run.recipe, Recipe):
            return ()
        named = {*run.recipe.starts, *run.recipe.teachers}
        earlier = takewhile(lambda other: other.name != run.name, self.runs)
        return tuple(other.name for other in earlier if other.name in named)


def load_presets(folder: Path | None = None) -> dict[str, Preset]:
    """Every preset by name, in alphabetical order.

    Args:
        folder: of `*.toml`; by default the project's `train/presets/`.

    Raises:
        UsageError: a file is no TOML, a key is unknown, or a value is out of range; names the file, the run, the key.
    """
    place = folder or _FOLDER
    return {path.stem: read_preset(path) for path in sorted(place.glob("*.toml"))}


def read_preset(path: Path) -> Preset:
    """Read one preset.

    Raises:
        UsageError: see `load_presets`.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path.name} cannot be read as TOML: {error}.") from error
    _check_keys(values, {"title": str, "purpose": str, "recipe": dict, "runs": list}, path.name)
    for key in ("title", "purpose", "runs"):
        if not values.get(key):
            raise UsageError(f"{path.name} needs {key!r}.")
    shared = values.get("recipe", {})
    # Checked on their own too: every run could override what is wrong there.
    _checked(FINETUNE, shared, f"{path.name}, [recipe]")
    runs = tuple(_run(entry, shared, f"{path.name}, run {i}") for i, entry in enumerate(values["runs"], 1))
    names = [run.name for run in runs]
    if doubles := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{path.name} has several runs called {doubles[0]!r}. Each needs a name of its own.")
    return Preset(path.stem, values["title"], " ".join(values["purpose"].split()), runs)


def changed(run: PresetRun, settings: Mapping[str, Any]) -> PresetRun:
    """The run with other settings.

    Raises:
        UsageError: a setting is unknown to runs of this kind, or out of range.
    """
    overrides = {**run.overrides, **settings}
    recipe = _checked(run.kind, overrides, f"run {run.name!r}")
    return PresetRun(run.name, run.kind, recipe, MappingProxyType(overrides))


def _run(entry: Any, shared: Mapping[str, Any], where: str) -> PresetRun:
    if not isinstance(entry, dict):
        raise UsageError(f"{where} must be a table [[runs]], not {entry!r}.")
    _check_keys(entry, {"name": str, "kind": str, "recipe": dict}, where)
    name, kind = entry.get("name", ""), entry.get("kind", FINETUNE)
    try:
        check_name(name)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    where = f"{where.rpartition(',')[0]}, run {name!r}"
    if kind not in KINDS:
        raise UsageError(f"{where}: kind must be one of {', '.join(KINDS)}, not {kind!r}.")
    own = entry.get("recipe", {})
    overrides = {**shared, **own} if kind == FINETUNE else own
    return PresetRun(name, kind, _checked(kind, overrides, where), MappingProxyType(overrides))


def _checked(kind: str, settings: Mapping[str, Any], where: str) -> Recipe | BaselineRecipe:
    try:
        if kind == BASELINE:
            return BaselineRecipe.from_json(settings)
        return Recipe.from_json(_with_groups(settings))
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _with_groups(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    if settings.get("groups") not in ("default", ["default"], ("default",)):
        return settings
    chosen = settings.get("architecture", Recipe.settings()["architecture"].default)
    return {**settings, "groups": architecture(chosen).default_groups}


def _check_keys(values: Mapping[str, Any], known: Mapping[str, type], where: str) -> None:
    for key, value in values.items():
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}. Known: {', '.join(known)}.")
        if not isinstance(value, known[key]):
            raise UsageError(f"{where}: {key} is of the wrong kind: {value!r}.")
