"""Recipe: a preset's run or every setting, the ones that matter most first."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import Any

import streamlit as st

from lungassist.errors import LungAssistError
from lungassist.experiments.presets import STANDARD, PresetChoice, preset_choices, standard_choice
from lungassist.jobs.resources import CPU, resources
from lungassist.models.registry import ARCHITECTURES, parameter_shares
from lungassist.training.baseline_recipe import BaselineRecipe
from lungassist.training.recipe import Recipe
from pages.parts import session
from pages.parts.training_fields import NAME, begin, field, key_of, label_of, word_of

#: Always in sight; the split stands with the data.
_FIRST = ("epochs", "batch_size", "learning_rate")
_SPLIT = ("split", "split_seed", "duplicates_together")
_ELSEWHERE = frozenset({"architecture", "start", "groups", *_SPLIT, *_FIRST})
_PRESET = "training_preset"
_STARTS = {"imagenet": "ImageNet (torchvision)", "scratch": "Nothing: random weights"}


def prepare_form() -> None:
    """Before anything of the form is drawn: where there is no GPU, begin with what ends within minutes."""
    begin()
    if _PRESET not in st.session_state:
        choices = _choices()
        has_gpu = any(resource.name != CPU for resource in resources())
        choice = choices[0] if has_gpu or len(choices) == 1 else choices[1]
        st.session_state[_PRESET] = choice.key
        _apply(choice)


def _choices() -> list[PresetChoice]:
    """A damaged preset's file must not take the form away; `choose_recipe` says what is wrong."""
    try:
        return preset_choices()
    except LungAssistError:
        return [standard_choice()]


def fill_form(recipe: Recipe) -> None:
    """Put a recipe's values into the form, which is no preset's then; in a callback, before it is drawn."""
    st.session_state[_PRESET] = STANDARD
    _fill(recipe)


def _fill(recipe: Recipe) -> None:
    for name, value in recipe.to_json().items():
        if name != "groups":
            st.session_state[key_of(name)] = value
    every = list(ARCHITECTURES[recipe.architecture].groups)
    st.session_state[_groups_key(recipe.architecture)] = every if recipe.groups == ("all",) else list(recipe.groups)


def _apply(choice: PresetChoice) -> None:
    if isinstance(choice.recipe, Recipe):
        _fill(choice.recipe)
    else:
        for name in _SPLIT:
            st.session_state[key_of(name)] = getattr(choice.recipe, name)
    st.session_state[NAME] = "" if choice.key == STANDARD else choice.name


def choose_recipe() -> Recipe | BaselineRecipe | None:
    """Show the form; None where its values do not fit together, which is said."""
    st.subheader("Recipe", anchor=False)
    chosen = _choose_preset()
    if isinstance(chosen.recipe, BaselineRecipe):
        return _baseline(chosen.recipe)
    values = _network() | _main_settings() | _other_settings()
    for name in _SPLIT:
        values[name] = st.session_state[key_of(name)]
    try:
        recipe = Recipe.from_json(values)
    except LungAssistError as error:
        st.error(str(error), icon=":material/rule:")
        return None
    _say_what_differs(recipe, chosen)
    return recipe


def _baseline(recipe: BaselineRecipe) -> BaselineRecipe:
    own = ", ".join(
        f"{setting.name.replace('_', ' ')} {getattr(recipe, name):g}"
        for name, setting in BaselineRecipe.settings().items()
        if name in ("size", "regularisation", "iterations")
    )
    st.caption(f"Logistic regression on grey values ({own}), split as above. There is nothing to choose here.")
    return replace(recipe, **{name: st.session_state[key_of(name)] for name in _SPLIT})


def _choose_preset() -> PresetChoice:
    try:
        choices = {choice.key: choice for choice in preset_choices()}
    except LungAssistError as error:
        st.error(f"Presets cannot be offered: {error}", icon=":material/error:")
        choices = {STANDARD: standard_choice()}
        st.session_state[_PRESET] = STANDARD
    key = st.selectbox(
        "Preset",
        list(choices),
        format_func=lambda key: choices[key].title if key in choices else key,
        key=_PRESET,
        persist_state="session",
        on_change=lambda: _apply(choices[st.session_state[_PRESET]]),
        help="Fills the form; every setting can still be changed.",
    )
    chosen = choices[key]
    if chosen.purpose:
        st.caption(chosen.purpose)
    return chosen


def _network() -> dict[str, Any]:
    left, right = st.columns(2)
    with left:
        name = field("architecture")
    with right:
        start = _start(name)
    return {"architecture": name, "start": start, "groups": _groups(name)}


def _start(architecture: str) -> str:
    entries = {
        entry.name: entry.card.architecture for entry in session.shelf() if entry.card and not entry.card.members
    }
    fitting = [name for name, other in entries.items() if other == architecture]
    others = [name for name in entries if name not in fitting]
    key = key_of("start")
    options = [*_STARTS, *fitting, *others]
    if st.session_state[key] not in options:
        options.append(st.session_state[key])

    def words(start: str) -> str:
        return _STARTS.get(start) or (f"{start} ({entries[start]}, in weights/)" if start in entries else start)

    return str(
        st.selectbox(
            label_of("start"),
            options,
            format_func=words,
            accept_new_options=True,
            key=key,
            persist_state="session",
            help=f"{Recipe.settings()['start'].help} Type a path to start from a run or a checkpoint.",
        )
    )


def _groups_key(architecture: str) -> str:
    return f"recipe_groups_{architecture}"


def _groups(architecture: str) -> list[str]:
    shares = parameter_shares(architecture)
    key = _groups_key(architecture)
    st.session_state.setdefault(key, list(shares))
    chosen = st.pills(
        "Parts that train",
        list(shares),
        selection_mode="multi",
        format_func=lambda name: f"{name.replace('_', ' ')} · {_percent(shares[name])}",
        key=key,
        persist_state="session",
        wrap=True,
        help=f"{Recipe.settings()['groups'].help} With their shares of the parameters. The paper found 20 to 25 % of "
        "the layers tuned to be worth 1 to 1.5 points over the last layer alone.",
    )
    trained = sum(shares[name] for name in chosen)
    st.caption(f"{_percent(trained)} of the parameters train; the rest is frozen.")
    return ["all"] if len(chosen) == len(shares) else [name for name in shares if name in chosen]


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 or share == 0 else "<1%"


def _main_settings() -> dict[str, Any]:
    values = {}
    for name, column in zip(_FIRST, st.columns(len(_FIRST)), strict=True):
        with column:
            values[name] = field(name)
    return values


def _other_settings() -> dict[str, Any]:
    values: dict[str, Any] = {}
    settings = [setting for setting in Recipe.settings().values() if setting.name not in _ELSEWHERE]
    by_group = [(group, list(members)) for group, members in groupby(settings, key=lambda setting: setting.group)]
    with st.expander("All other settings", icon=":material/tune:"):
        for tab, (_, members) in zip(st.tabs([group for group, _ in by_group]), by_group, strict=True):
            columns = tab.columns(2)
            for number, setting in enumerate(members):
                with columns[number % 2]:
                    values[setting.name] = _teachers() if setting.name == "teachers" else field(setting.name)
    return values


def _teachers() -> list[str]:
    key = key_of("teachers")
    st.session_state.setdefault(key, [])
    names = [entry.name for entry in session.shelf() if entry.card]
    return st.multiselect(
        label_of("teachers"),
        [*names, *(name for name in st.session_state[key] if name not in names)],
        accept_new_options=True,
        key=key,
        persist_state="session",
        placeholder="None: the labels alone",
        help=f"{Recipe.settings()['teachers'].help} Type a path for a run.",
    )


def _say_what_differs(recipe: Recipe, chosen: PresetChoice) -> None:
    differing = {
        name: getattr(recipe, name)
        for name in Recipe.settings()
        if getattr(recipe, name) != getattr(chosen.recipe, name)
    }
    if differing:
        words = "; ".join(f"{label_of(name).lower()} {word_of(name, value)}" for name, value in differing.items())
        st.caption(f":material/edit: Changed from the preset: {words}.")
