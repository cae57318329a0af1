"""One setting of a recipe as a widget; its value stays for the session, whatever else is shown meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import streamlit as st

from lungassist.training.recipe import Recipe, Setting

PREFIX: Final = "recipe_"

#: Key of the run's name, which a preset and a clone fill in too.
NAME: Final = "training_name"

#: What a person reads instead of a field's name; the rest are named by their field.
_LABELS: Final = {
    "architecture": "Network",
    "start": "Starts from",
    "size": "Input size (pixels)",
    "flip_test": "Ask about mirror images too",
    "enhance_changed": "Enhance after changes",
    "optimiser": "Optimiser",
    "learning_rate": "Learning rate",
    "schedule": "Learning-rate schedule",
    "batch_size": "Batch size",
    "patience": "Early stopping (epochs)",
    "choose_by": "Epoch that is kept",
    "teachers": "Teachers",
    "distillation": "Share of the teachers",
    "averaging": "Averaging of weights",
    "batch_norm": "Batch norm's statistics",
    "flip": "Mirror left to right",
    "rotation": "Rotation (degrees)",
    "crop": "Cut off (share of the side)",
    "surroundings": "Share with other surroundings",
    "processing": "Share processed otherwise",
    "equalising": "Of these, equalised (CLAHE)",
    "degrade": "Blur, noise and markers",
    "noise": "Share of noisy images",
    "split_seed": "Seed of the split",
    "split": "Split",
    "duplicates_together": "Duplicates in one split",
    "workers": "Reading threads",
    "seed": "Seed of training",
}

#: Words of a choice as a person reads them.
_WORDS: Final = {
    "split": {"patient": "By patient", "random": "At random (the paper's)"},
    "choose_by": {"paper": "Fewest contagious called Normal", "validation_loss": "Lowest validation loss"},
    "schedule": {"one_cycle": "One cycle", "cosine": "Cosine", "constant": "Constant"},
    "optimiser": {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"},
    "enhancement": {
        "none": "None",
        "clahe": "CLAHE",
        "smqt": "SMQT",
        "wavelet": "Wavelet",
        "laplace": "Laplace",
        "bands": "Band energies",
        "undo-clahe": "Undo CLAHE",
    },
    "normalisation": {"radiograph": "Radiograph", "imagenet": "ImageNet"},
    "batch_norm": {"batches": "Of each batch", "held": "Measured once, held"},
    "class_weights": {"none": "None", "balanced": "Balanced", "sqrt": "Root of balanced"},
}

#: Of the buttons beside a number, where 0.01 is too much or too little.
_STEPS: Final = {"learning_rate": 1e-4, "averaging": 1e-3, "rotation": 1.0}


def key_of(name: str) -> str:
    """The widget's key, which is also a CSS class."""
    return PREFIX + name


def label_of(name: str) -> str:
    """The setting's name for a person."""
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def word_of(name: str, value: Any) -> str:
    """A value for a person."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return _WORDS.get(name, {}).get(value, str(value))


def begin() -> None:
    """Give every setting a value that has none yet; before the first widget."""
    for name, setting in Recipe.settings().items():
        if setting.kind is not tuple:
            st.session_state.setdefault(key_of(name), setting.default)


def field(name: str, on_change: Callable[[], None] | None = None) -> Any:
    """Draw the widget of a setting; returns its value."""
    setting = Recipe.settings()[name]
    shared: dict[str, Any] = {
        "label": label_of(name),
        "key": key_of(name),
        "help": _help(setting),
        "persist_state": "session",
        "on_change": on_change,
    }
    if setting.kind is bool:
        return st.toggle(**shared)
    if setting.choices:
        return st.selectbox(options=setting.choices, format_func=lambda value: word_of(name, value), **shared)
    if setting.kind is int:
        return st.number_input(min_value=_whole(setting.low), max_value=_whole(setting.high), step=1, **shared)
    low, high = (None if end is None else float(end) for end in (setting.low, setting.high))
    return st.number_input(min_value=low, max_value=high, step=_STEPS.get(name, 0.01), format="%g", **shared)


def _help(setting: Setting) -> str:
    if setting.low is None or setting.high is None:
        return setting.help
    return f"{setting.help} Between {setting.low:g} and {setting.high:g}."


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
