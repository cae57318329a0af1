"""A study: runs one after the other in processes of their own, goes on with what was begun, and says what came out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lungassist.classes import CLASSES, COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA
from lungassist.errors import UsageError
from lungassist.files import write_json
from lungassist.training.config import RunConfig
from lungassist.training.failures import StopRequest
from lungassist.training.presets import Preset, PresetRun, load_presets, read_preset
from lungassist.training.recipe import Recipe
from lungassist.training.run import RunDirectory
from tests.drawn import SMALL
from train import study
from train.study_runs import Outcome, StudyRun, carry_out, outcome_of, prepare, runs_of, select
from train.study_table import table_of

ROOT = Path(__file__).parents[2]

PRESET = f"""
title = "Drawn"
purpose = "Small runs."
[recipe]
architecture = "{SMALL}"
start = "scratch"
size = 32
epochs = 1
batch_size = 8
averaging = 0.5
workers = 1
duplicates_together = false
[[runs]]
name = "first"
[[runs]]
name = "broken"
recipe.start = "nowhere"
[[runs]]
name = "regression"
kind = "baseline"
recipe.size = 32
recipe.duplicates_together = false
"""


@pytest.fixture
def preset(tmp_path: Path) -> Preset:
    (tmp_path / "drawn.toml").write_text(PRESET)
    return read_preset(tmp_path / "drawn.toml")


@pytest.fixture
def presets(preset: Preset, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command knows this one only."""
    monkeypatch.setattr(study, "load_presets", lambda folder: {"drawn": preset})


def run_of(preset: Preset, name: str) -> PresetRun:
    return next(run for run in preset.runs if run.name == name)


def answer(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(capsys.readouterr().out)}


@pytest.mark.usefixtures("presets")
def test_a_study_from_beginning_to_end(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One run fails, the others go on; what is done is not done again; the figures are those of the predictions."""
    line = ["drawn", "--data", str(films), "--out", str(tmp_path / "out"), "--json"]
    assert study.main(line) == 1
    found = answer(capsys)
    assert {name: one["state"] for name, one in found.items()} == {
        "first": "done",
        "broken": "failed",
        "regression": "done",
    }
    assert "nothing to start from at 'nowhere'" in found["broken"]["cause"]
    for name in ("first", "regression"):
        table = pd.read_csv(tmp_path / "out" / "drawn" / name / "model" / "predictions.csv")
        probabilities = table[[f"probability_{label}" for label in CLASSES]]
        table["called"] = [CLASSES[i] for i in probabilities.to_numpy().argmax(axis=1)]
        right = (table["called"] == table["label"]).groupby(table["split"]).mean()
        for split in ("train", "validation", "test"):
            assert found[name][split] == pytest.approx(right[split], abs=1e-6)
        missed = table[(table["split"] == "test") & (table["called"] == NORMAL)]["label"].value_counts()
        for key, label in (("covid", COVID), ("viral_pneumonia", VIRAL_PNEUMONIA), ("lung_opacity", LUNG_OPACITY)):
            assert found[name][key] == missed.get(label, 0)
    assert (found["first"]["best_epoch"], found["regression"]["best_epoch"]) == (1, None)

    weights = tmp_path / "out" / "drawn" / "first" / "model" / "model.safetensors"
    written = weights.stat().st_mtime_ns
    assert study.main([*line[:-1], "--only", "first"]) == 0
    assert weights.stat().st_mtime_ns == written
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("Model")
    assert shown[2].startswith("first")
    assert len(shown) == 3

    config = tmp_path / "out" / "drawn" / "first" / "config.json"
    older = json.loads(config.read_text(encoding="utf-8"))
    del older["recipe"]["flip_test"]
    config.write_text(json.dumps(older), encoding="utf-8")
    assert study.main([*line[:-1], "--only", "first"]) == 0, "a setting that came later had its default"
    capsys.readouterr()

    assert study.main([*line, "--set", "epochs=2"]) == 2
    said = capsys.readouterr().err
    assert "was begun with other settings (epochs: 1 there, 2 now)" in said
    assert weights.stat().st_mtime_ns == written


def test_what_was_begun_is_gone_on_with(films: Path, tmp_path: Path, preset: Preset) -> None:
    """Killed in the middle; the same command ends the run, from its checkpoint and not from the beginning."""
    one = select(preset, ["first"], ["epochs=2", "batch_size=2"])
    (each,) = runs_of(one, tmp_path / "out", films, None, None, "cpu")
    prepare([each])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", each.module, "--resume", str(each.run.path), "--checkpoint-seconds", "0"]
    process = subprocess.Popen(line, env=environment, stderr=subprocess.DEVNULL)
    wait_until((each.run.checkpoints / "last.ckpt").exists)
    process.kill()
    process.wait()
    assert not each.is_done
    assert outcome_of(each).state == "failed", "it could not say so itself"
    prepare([each])
    assert carry_out(each, StopRequest()) == 0
    assert each.is_done
    assert "going on after epoch" in each.run.log.read_text()
    assert outcome_of(each).state == "done"


def long_study(films: Path, place: Path) -> subprocess.Popen[str]:
    """A study that would take hours, in a process of its own whose first run is training."""
    (place / "presets").mkdir()
    longer = PRESET.replace("epochs = 1", "epochs = 1000").replace('recipe.start = "nowhere"', "recipe.seed = 2")
    (place / "presets" / "drawn.toml").write_text(longer)
    options = ["--presets", str(place / "presets"), "--data", str(films), "--out", str(place / "out"), "--json"]
    line = [sys.executable, "-m", "train.study", "drawn", *options]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    status = first_status(place)
    wait_until(lambda: status.exists() and '"training"' in status.read_text())
    return process


def first_status(place: Path) -> Path:
    return place / "out" / "drawn" / "first" / "status.json"


def wait_until(happened: Callable[[], bool]) -> None:
    """Up to a minute; what is asserted afterwards fails if it did not happen."""
    until = time.monotonic() + 60
    while time.monotonic() < until and not happened():
        time.sleep(0.02)


def test_a_signal_ends_run_and_study(films: Path, tmp_path: Path) -> None:
    """The run gets it once, writes its last checkpoint and says cancelled; what follows is not begun."""
    process, status = long_study(films, tmp_path), first_status(tmp_path)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert [one["state"] for one in json.loads(said)] == ["cancelled", "not begun", "not begun"]
    assert json.loads(status.read_text())["state"] == "cancelled"
    assert (status.parent / "checkpoints" / "last.ckpt").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_run_does_not_outlive_a_study_that_is_killed(films: Path, tmp_path: Path) -> None:
    process = long_study(films, tmp_path)
    run = RunDirectory(first_status(tmp_path).parent)
    assert is_held(run), "the run is under way"
    process.kill()
    process.communicate()
    wait_until(lambda: not is_held(run))
    assert not is_held(run)


def is_held(run: RunDirectory) -> bool:
    """Whether a process is at the run: the kernel frees its lock when that dies."""
    try:
        with run.held():
            return False
    except UsageError:
        return True


def test_settings_are_set_where_they_exist(preset: Preset) -> None:
    found = select(preset, None, ["epochs=3", "size=64", "degrade=no", "groups=default", "learning-rate=1e-4"])
    first, _, regression = (run.recipe for run in found.runs)
    assert isinstance(first, Recipe)
    assert (first.epochs, first.size, first.degrade, first.learning_rate) == (3, 64, False, 1e-4)
    assert first.groups == ("late", "classifier")
    assert regression.size == 64
    assert run_of(select(preset, ["first"], ["groups=late,classifier"]), "first").recipe == Recipe.from_json(
        {**run_of(preset, "first").recipe.to_json(), "groups": ["late", "classifier"]}
    )


@pytest.mark.parametrize(
    ("only", "settings", "words"),
    [
        (["second"], [], "no run 'second'. It has: first, broken, regression"),
        (None, ["epoch=3"], "No run has a setting 'epoch'"),
        (None, ["epochs"], "KEY=VALUE"),
        (None, ["epochs=many"], "run 'first': epochs must be a whole number, not 'many'"),
        (None, ["epochs=-1"], "run 'first': epochs must be between 0 and 1000"),
        (None, ["degrade=maybe"], "run 'first': degrade must be true or false"),
        (["regression"], ["epochs=3"], "No run has a setting 'epochs'"),
    ],
)
def test_what_cannot_be_set_is_told(preset: Preset, only: list[str] | None, settings: list[str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(preset, only, settings)
    assert words in str(caught.value)


CHAIN = (
    PRESET.partition("[[runs]]")[0]
    + """
[[runs]]
name = "one"
[[runs]]
name = "two"
recipe.seed = 2
[[runs]]
name = "pupil"
[runs.recipe]
start = "one, two"
teachers = ["two", "pupil", "tiny"]
"""
)


def test_a_run_may_build_on_those_further_up(films: Path, tmp_path: Path) -> None:
    """A name that is no run further up, the run's own among them, is one of weights/ as everywhere else."""
    (tmp_path / "chain.toml").write_text(CHAIN)
    chain, place = read_preset(tmp_path / "chain.toml"), tmp_path / "out"
    assert [chain.builds_on(run) for run in chain.runs] == [(), (), ("one", "two")]
    *_, pupil = runs_of(chain, place, films, None, None, "cpu")
    (alone,) = runs_of(select(chain, ["pupil"], []), place, films, None, None, "cpu", chain)
    assert pupil.config == alone.config
    assert isinstance(pupil.config, RunConfig)
    assert pupil.config.recipe.start == f"{place / 'one'},{place / 'two'}"
    assert pupil.config.recipe.teachers == (str(place / "two"), "pupil", "tiny")


@pytest.mark.usefixtures("home")
def test_a_chain_is_carried_out_link_by_link(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "chain.toml").write_text(CHAIN.replace(', "pupil", "tiny"', ""))
    monkeypatch.setattr(study, "load_presets", lambda folder: {"chain": read_preset(tmp_path / "chain.toml")})
    line = ["chain", "--data", str(films), "--out", str(tmp_path / "out"), "--device", "cpu", "--json"]
    assert study.main(line) == 0
    assert {name: one["state"] for name, one in answer(capsys).items()} == dict.fromkeys(
        ["one", "two", "pupil"], "done"
    )


def test_nothing_is_recorded_if_one_run_was_begun_otherwise(films: Path, tmp_path: Path, preset: Preset) -> None:
    first, broken, regression = runs_of(preset, tmp_path / "out", films, None, None, "cpu")
    prepare([regression])
    prepare([regression])  # the same again is no difference
    _, _, other = runs_of(select(preset, None, ["size=48"]), tmp_path / "out", films, None, None, "cpu")
    with pytest.raises(UsageError, match="size: 32 there, 48 now"):
        prepare([first, broken, other])
    assert not first.run.path.exists()
    write_json(regression.run.config_file, {**regression.config.to_json(), "data": str(tmp_path)})
    with pytest.raises(UsageError, match="data: "):
        prepare([regression])


def test_a_folder_that_is_no_run_is_left_alone(films: Path, tmp_path: Path, preset: Preset) -> None:
    (tmp_path / "out" / "first").mkdir(parents=True)
    (tmp_path / "out" / "first" / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="not an empty folder"):
        prepare(runs_of(preset, tmp_path / "out", films, None, None, "cpu"))


def test_the_table_has_the_papers_columns_in_its_order() -> None:
    lines = table_of(
        [
            Outcome("AlexNet", "done", "", 0.9787, 0.94, 0.9386, 5, 3, 63, 31),
            Outcome("ResNet50", "failed", "Out of memory."),
        ]
    )
    heads = ["Model", "Train", "Test", "COVID", "Viral Pneumonia", "Lung Opacity"]
    places = [lines[0].index(head) for head in heads]
    assert places == sorted(places)
    assert lines[2].split() == ["AlexNet", "97.87%", "94.00%", "93.86%", "5", "3", "63", "31"]
    assert lines[3].split() == ["ResNet50", *["–"] * 7]
    assert len({len(line) for line in lines}) == 1


def test_a_class_set_without_covid_has_no_such_count(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    each = StudyRun(run, RunConfig("birds", tmp_path))
    write_json(run.status, {"state": "done"})
    write_json(run.model / "card.json", {})
    columns = "file,label,split,probability_crow,probability_gull\n"
    pairs = [(split, label) for split in ("train", "validation", "test") for label in ("crow", "gull")]
    rows = [f"{split}-{label}.png,{label},{split},0.9,0.1\n" for split, label in pairs]
    (run.model / "predictions.csv").write_text(columns + "".join(rows))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("train.study_runs._best_epoch", lambda each: 3)
        found = outcome_of(each)
    assert (found.test, found.covid, found.viral_pneumonia, found.lung_opacity) == (0.5, None, None, None)


def test_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert study.main(["--list"]) == 0
    shown = capsys.readouterr().out
    for preset in load_presets().values():
        assert f"{preset.name}: {preset.title}" in shown
    assert study.main(["paper", "--list", "--json"]) == 0
    (paper,) = json.loads(capsys.readouterr().out)
    assert paper["runs"][0]["name"] == "AlexNet"
    assert Recipe.from_json(paper["runs"][0]["recipe"]).architecture == "alexnet"


@pytest.mark.parametrize(
    ("line", "words"), [([], "PRESET and --data"), (["paper"], "PRESET and --data"), (["best", "--list"], "'best'")]
)
def test_wrong_usage(line: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        study.main(line)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err
