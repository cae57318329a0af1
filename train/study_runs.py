"""The runs of a study: which they are, carrying one out in a process of its own, and what came of it.

A process a run: memory that one leaves behind, or the system's killing it for want of memory, must not end the others.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from lungassist.classes import COVID, LUNG_OPACITY, VIRAL_PNEUMONIA
from lungassist.dataset import SPLITS
from lungassist.errors import UsageError
from lungassist.evaluation.predictions import PREFIX, figures_of
from lungassist.models.card import Card
from lungassist.models.weights import CARD_FILE, PREDICTIONS_FILE
from lungassist.training import baseline
from lungassist.training.baseline_recipe import BaselineConfig, BaselineRecipe
from lungassist.training.config import RunConfig
from lungassist.training.failures import StopRequest
from lungassist.training.presets import Preset, PresetRun, changed
from lungassist.training.progress import read_status
from lungassist.training.recipe import Recipe, Setting
from lungassist.training.run import RunDirectory

_ROOT: Final = Path(__file__).resolve().parents[1]
_POLL: Final = 0.2
_BOOLEANS: Final = {"true": True, "yes": True, "false": False, "no": False}
#: Linux's prctl option: the signal that a process gets when the one that started it dies.
_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class StudyRun:
    """One run and its directory."""

    run: RunDirectory
    config: RunConfig | BaselineConfig

    @property
    def name(self) -> str:
        """Of the run in its preset."""
        return self.config.name

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be done."""
        return baseline.is_done(self.run) if isinstance(self.config, BaselineConfig) else self.run.is_done

    @property
    def module(self) -> str:
        """What `python -m` carries it out."""
        return "train.baseline" if isinstance(self.config, BaselineConfig) else "train.finetune"

    @property
    def cause(self) -> str:
        """Why it failed, as far as it said."""
        status = read_status(self.run.path)
        if status is not None and status.cause:
            return status.cause
        return f"It ended without a word; {self.run.log} may say more. The system may have run out of memory."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run, computed from its table of predictions; None is what there is not (yet).

    Attributes:
        name, state, cause: of the run; state is done, failed, cancelled or not begun.
        train, validation, test: accuracy in [0, 1].
        covid, viral_pneumonia, lung_opacity: test images of that class called Normal, the paper's (fn).
        best_epoch: the one that was kept.
    """

    name: str
    state: str
    cause: str = ""
    train: float | None = None
    validation: float | None = None
    test: float | None = None
    covid: int | None = None
    viral_pneumonia: int | None = None
    lung_opacity: int | None = None
    best_epoch: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def select(preset: Preset, only: Sequence[str] | None, settings: Sequence[str]) -> Preset:
    """The preset with some of its runs, and with other settings.

    Args:
        preset: the whole.
        only: names of runs, or None for all.
        settings: `key=value`, for every run that has the setting.

    Raises:
        UsageError: there is no such run or setting, or a value is out of range.
    """
    names = [run.name for run in preset.runs]
    if unknown := sorted(set(only or ()) - set(names)):
        raise UsageError(f"The preset {preset.name} has no run {unknown[0]!r}. It has: {', '.join(names)}.")
    runs = tuple(run for run in preset.runs if only is None or run.name in only)
    pairs = [_pair(text) for text in settings]
    known = {name for run in runs for name in run.recipe.settings()}
    if strange := [key for key, _ in pairs if key not in known]:
        raise UsageError(f"No run has a setting {strange[0]!r}. There are: {', '.join(sorted(known))}.")
    return replace(preset, runs=tuple(_set(run, pairs) for run in runs))


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--set takes KEY=VALUE, not {text!r}.")
    return key.strip().replace("-", "_"), value.strip()


def _set(run: PresetRun, pairs: Sequence[tuple[str, str]]) -> PresetRun:
    own: type[Recipe] | type[BaselineRecipe] = type(run.recipe)
    described = own.settings()
    return changed(run, {key: _value(text, described[key]) for key, text in pairs if key in described})


def _value(text: str, setting: Setting) -> Any:
    if setting.kind is tuple:
        return [name.strip() for name in text.split(",") if name.strip()]
    if setting.kind is bool and text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    try:
        return setting.kind(text) if setting.kind in (int, float) else text
    except ValueError:
        return text  # which the recipe refuses in its own words


def runs_of(
    preset: Preset,
    place: Path,
    data: Path,
    metadata: Path | None,
    split_file: Path | None,
    device: str,
    whole: Preset | None = None,
) -> list[StudyRun]:
    """The study's runs, each in a folder of `place`.

    Args:
        preset: the runs that are wanted.
        place: of the study.
        data, metadata, split_file, device: of every run.
        whole: the preset with all its runs, where only some are wanted; these may build on the others.
    """
    found = []
    for run in preset.runs:
        if isinstance(run.recipe, BaselineRecipe):
            config: RunConfig | BaselineConfig = BaselineConfig(run.name, data, metadata, split_file, run.recipe)
        else:
            recipe = _with_paths(run.recipe, {name: place / name for name in (whole or preset).builds_on(run)})
            config = RunConfig(run.name, data, metadata, split_file, device, recipe)
        found.append(StudyRun(RunDirectory(place / run.name), config))
    return found


def _with_paths(recipe: Recipe, places: Mapping[str, Path]) -> Recipe:
    """The recipe with a path in the place of every run's name that it starts from or has for a teacher."""

    def path_of(name: str) -> str:
        return str(places[name].absolute()) if name in places else name

    start = ",".join(map(path_of, recipe.starts))
    return replace(recipe, start=start or recipe.start, teachers=tuple(path_of(name) for name in recipe.teachers))


def prepare(runs: Sequence[StudyRun]) -> None:
    """Record what is asked of every run, before the first begins.

    Raises:
        UsageError: a run was begun with other settings, or its folder holds something else. Nothing is recorded then.
    """
    for each in runs:
        if each.run.config_file.exists():
            _refuse_other(each)
    for each in runs:
        if not each.run.config_file.exists():
            each.run.prepare(each.config)


def _refuse_other(each: StudyRun) -> None:
    try:
        recorded = json.loads(each.run.config_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{each.run.config_file} cannot be read ({error}). Move {each.run.path} away.") from error
    # A setting that came after the run was begun had its default then.
    defaults = type(each.config.recipe)().to_json()
    wanted, defaults = json.loads(json.dumps([each.config.to_json(), defaults]))
    if differences := _differences(recorded, wanted, defaults):
        raise UsageError(
            f"{each.run.path} was begun with other settings ({'; '.join(differences[:3])}). "
            "Choose another --out, or move that folder away."
        )


def _differences(recorded: Any, wanted: dict[str, Any], defaults: dict[str, Any]) -> list[str]:
    if not isinstance(recorded, dict):
        return ["it is no configuration"]
    found = []
    for key in [*wanted, *(key for key in recorded if key not in wanted)]:
        old, new = recorded.get(key), wanted.get(key)
        if key == "recipe" and isinstance(old, dict) and isinstance(new, dict):
            found += _differences({**defaults, **old}, new, {})
        elif old != new:
            found.append(f"{key}: {old} there, {new} now")
    return found


def carry_out(each: StudyRun, stop: StopRequest) -> int:
    """Run it in a process of its own, to which a wish to end is passed on; returns its exit status."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(
        [sys.executable, "-m", each.module, "--resume", str(each.run.path.absolute())],
        env=environment,
        stdin=subprocess.DEVNULL,
        # Standard output is for the study's result. Ctrl-C reaches the study alone, which passes it on once: twice
        # would end the run without a last checkpoint.
        stdout=2,
        process_group=0,
        preexec_fn=_die_with(os.getpid()) if sys.platform == "linux" else None,  # noqa: PLW1509 -- see there
    )
    told = False
    while True:
        try:
            return process.wait(_POLL)
        except subprocess.TimeoutExpired:
            if stop() and not told:
                process.send_signal(stop.signal_number)
                told = True


def _die_with(parent: int) -> Callable[[], None]:
    """What happens between fork and exec, system calls only: a run does not outlive a study that is killed.

    The kernel may send the signal once a thread of the study; a second one ends the run where it is, which then goes
    on from its last checkpoint.
    """

    def ask_the_kernel() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before it was asked
            os.kill(os.getpid(), signal.SIGTERM)

    return ask_the_kernel


def outcome_of(each: StudyRun) -> Outcome:
    """What came of the run; without figures where it is not done."""
    if not each.is_done:
        status = read_status(each.run.path)
        if status is None:
            return Outcome(each.name, "not begun")
        # A process that was killed could not say so.
        state = status.state if status.state in ("failed", "cancelled") else "failed"
        return Outcome(each.name, state, each.cause)
    table = pd.read_csv(each.run.model / PREDICTIONS_FILE, keep_default_na=False)
    classes = tuple(name.removeprefix(PREFIX) for name in table.columns if name.startswith(PREFIX))
    figures = {split: figures_of(table[table["split"] == split], classes) for split in SPLITS}
    missed = figures["test"].get("called_normal", {})
    return Outcome(
        each.name,
        "done",
        train=figures["train"]["accuracy"],
        validation=figures["validation"]["accuracy"],
        test=figures["test"]["accuracy"],
        covid=missed.get(COVID),
        viral_pneumonia=missed.get(VIRAL_PNEUMONIA),
        lung_opacity=missed.get(LUNG_OPACITY),
        best_epoch=_best_epoch(each),
    )


def _best_epoch(each: StudyRun) -> int | None:
    if isinstance(each.config, BaselineConfig):
        return None
    return int(Card.read(each.run.model / CARD_FILE).training["best_epoch"])
