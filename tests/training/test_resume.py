"""A run that was interrupted goes on exactly, and one that cannot go on says why and is left as it is."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lungassist.classes import CLASSES
from lungassist.errors import DatasetError, TrainingError, UsageError
from lungassist.training.checkpoints import Checkpoints
from lungassist.training.failures import CancelledError, StopRequest
from lungassist.training.run import RunDirectory
from lungassist.training.state import FitState
from tests.drawn import network_of, write_films
from tests.training.runs import RECIPE, assert_same_run, config_of, epochs_of, resumed, run_of, status_of

ROOT = Path(__file__).parent.parent.parent
#: Dropout, batch norm, an average, a schedule, and a batch that is cut short at the end of an epoch.
LONG = replace(RECIPE, epochs=4, batch_size=7)


@pytest.fixture(scope="module")
def straight(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run of four epochs that was never interrupted. Read only."""
    run_dir = tmp_path_factory.mktemp("runs") / "straight"
    run_of(run_dir, films, LONG)
    return run_dir


@pytest.fixture
def copied(straight: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(straight, tmp_path / "copied"))


def command(run_dir: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "train.finetune", "--resume", str(run_dir), *options]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}


def kill_when(run_dir: Path, ready: Any, number: int = signal.SIGKILL) -> subprocess.Popen[bytes]:
    """Start a run as a user would and send it a signal as soon as `ready()`."""
    process = subprocess.Popen(
        command(run_dir, "--checkpoint-seconds", "0"), cwd=ROOT, env=environment(), stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 120
    while not ready() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    process.send_signal(number)
    process.send_signal(number)  # what is typed comes from the terminal and from the parent: one wish, told twice
    process.wait(timeout=60)
    return process


def progress(run_dir: Path) -> tuple[int, int]:
    try:
        status = status_of(run_dir)
    except (OSError, ValueError):
        return 0, 0
    return status.get("epoch") or 0, status.get("step") or 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_two_epochs_a_signal_and_a_resume_are_four_epochs_straight(
    straight: Path, films: Path, tmp_path: Path, number: int
) -> None:
    run_dir = tmp_path / "run"
    RunDirectory(run_dir).prepare(config_of(films, LONG))

    def in_the_third_epoch() -> bool:
        return (run_dir / "epochs.csv").exists() and len(pd.read_csv(run_dir / "epochs.csv")) >= 2

    process = kill_when(run_dir, in_the_third_epoch, number)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        assert status_of(run_dir)["state"] == "training"
    else:
        assert process.returncode == 128 + signal.SIGTERM
        assert status_of(run_dir)["state"] == "cancelled"
    assert not (run_dir / "model").exists()
    resumed(run_dir)
    assert_same_run(straight, run_dir)
    assert not [path.name for path in run_dir.rglob(".*") if path.name != ".lock"]


def test_a_checkpoint_that_was_being_written_when_the_run_was_killed_does_not_stay(films: Path, tmp_path: Path) -> None:
    """SIGKILL lets nothing be tidied up; a resume does, also where that was the very first one."""
    run = RunDirectory(tmp_path / "run")
    run.prepare(config_of(films))

    def while_it_is_written() -> bool:
        return any(run.checkpoints.glob(".last.ckpt.*"))

    kill_when(run.path, while_it_is_written)
    run.checkpoints.mkdir(exist_ok=True)  # where the file was renamed between the look and the signal
    run.model.mkdir(exist_ok=True)
    (run.checkpoints / ".last.ckpt.left_b4h").write_bytes(b"a part")
    (run.model / ".model.safetensors.left_b4h").write_bytes(b"a part")
    resumed(run.path)
    assert not [path.name for path in run.path.rglob(".*") if path.name != ".lock"]


def interrupted(run: RunDirectory, at: int) -> None:
    """Carry out a run that is asked to stop at that step."""
    stop = StopRequest()
    asked = iter(range(1, 100))

    class StopsAtStep(StopRequest):
        def __call__(self) -> bool:
            return stop.signal_number != 0

    def count(*given: Any) -> None:
        if next(asked) == at:
            stop.signal_number = signal.SIGTERM

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("lungassist.training.reporter.Reporter.step", count)
        with pytest.raises(CancelledError):
            resumed(run.path, stop=StopsAtStep())


@pytest.mark.parametrize("at", [1, 4, 5, 7, 13])
def test_a_run_that_ended_in_mid_epoch_goes_on_exactly(straight: Path, films: Path, tmp_path: Path, at: int) -> None:
    """Whatever the step: the first, before the last of an epoch, the last, the first of the next."""
    run = RunDirectory(tmp_path / "run")
    run.prepare(config_of(films, LONG))
    interrupted(run, at)
    checkpoint = torch.load(run.checkpoints / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] * 5 + checkpoint["step"] == at
    resumed(run.path)
    assert_same_run(straight, run.path)


def test_held_batch_norm_is_not_measured_again(films: Path, tmp_path: Path) -> None:
    recipe = replace(LONG, epochs=2, batch_norm="held")
    run_of(tmp_path / "straight", films, recipe)
    run = RunDirectory(tmp_path / "run")
    run.prepare(config_of(films, recipe))
    interrupted(run, 2)
    resumed(run.path)
    assert_same_run(tmp_path / "straight", run.path)


def test_surroundings_are_the_same_after_a_resume(films: Path, straight: Path, tmp_path: Path) -> None:
    """Drawn films have no lungs, so a chest is made up for each."""
    recipe = replace(LONG, epochs=2, surroundings=0.7)
    chest = np.packbits(np.eye(64, dtype=np.uint8)), (0.2, 0.2, 0.5, 0.5), True
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("lungassist.training.surroundings._chest", lambda field: chest)
        run_of(tmp_path / "straight", films, recipe)
        run = RunDirectory(tmp_path / "run")
        run.prepare(config_of(films, recipe))
        interrupted(run, 7)
        resumed(run.path)
    assert_same_run(tmp_path / "straight", run.path)
    plain = epochs_of(straight)["train_loss"][:2].tolist()
    assert epochs_of(run.path)["train_loss"].tolist() != plain


def test_where_a_checkpoint_costs_more_than_an_epoch_the_last_epoch_is_kept(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost of the table and of the state, also where patience ends the run before its time."""
    recipe = replace(RECIPE, epochs=9, patience=1, learning_rate=1e-7, choose_by="paper", averaging=0.0)
    saved: list[int] = []
    save = Checkpoints.save

    def counted(self: Checkpoints, state: FitState) -> None:
        saved.append(state.epoch)
        save(self, state)

    monkeypatch.setattr(Checkpoints, "save", counted)
    monkeypatch.setattr(Checkpoints, "is_affordable", property(lambda self: False))
    card = run_of(tmp_path / "run", films, recipe)
    last = card.training["epochs"]
    assert 1 < last < 9
    assert saved == [last]
    assert epochs_of(tmp_path / "run")["epoch"].tolist() == list(range(1, last + 1))


def test_a_checkpoint_is_affordable_once_it_is_a_small_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("lungassist.training.checkpoints.time.monotonic", lambda: now[0])
    checkpoints = Checkpoints(RunDirectory(tmp_path))
    assert checkpoints.is_affordable, "the first one says how long it takes"

    def slow(*given: Any) -> None:
        now[0] += 2.0

    monkeypatch.setattr("lungassist.training.checkpoints.write_atomically", slow)
    checkpoints.save(FitState(*[None] * 5, torch.zeros(4)))  # type: ignore[list-item]
    assert checkpoints.took == pytest.approx(2.0)
    now[0] += 39.0
    assert not checkpoints.is_affordable
    now[0] += 2.0
    assert checkpoints.is_affordable


@pytest.mark.parametrize("saves", [1, 2, 3, 4])
def test_a_disk_that_fills_while_saving_ends_the_run_and_loses_nothing(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saves: int
) -> None:
    """Best weights and last state are written by turns: whichever fails, the run goes on exactly later."""
    save, left = torch.save, iter(range(saves - 1))

    def on_a_full_disk(values: Any, file: Any) -> None:
        if next(left, None) is None:
            file.write(b"a part")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(values, file)

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", on_a_full_disk)
        with pytest.raises(TrainingError, match=r"is full \(.* MiB free\)\. Make room, then resume"):
            run_of(tmp_path / "run", films)
    status = status_of(tmp_path / "run")
    assert (status["state"], "is full" in status["cause"]) == ("failed", True)
    resumed(tmp_path / "run")
    run_of(tmp_path / "straight", films)
    assert_same_run(tmp_path / "straight", tmp_path / "run")


def test_a_file_that_may_not_grow_is_a_full_disk(films: Path, tmp_path: Path) -> None:
    """The kernel itself refuses: no file may be larger than 1 MiB, and a checkpoint is."""
    run = RunDirectory(tmp_path / "run")
    run.prepare(config_of(films))
    limited = "import resource,signal,sys;signal.signal(signal.SIGXFSZ,signal.SIG_IGN);"
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE,(2**20,2**20));"
    limited += "from train.finetune import main;sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", limited, "--resume", str(run.path)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "is full" in status_of(run.path)["cause"]
    assert "Traceback" in (run.path / "log.txt").read_text()
    assert not (run.checkpoints / "last.ckpt").exists()


def test_a_finished_run_that_is_resumed_stays_as_it_is(straight: Path, copied: Path) -> None:
    resumed(copied)
    assert_same_run(straight, copied)
    assert status_of(copied)["state"] == "done"


def test_the_command_does_not_repeat_what_is_done(copied: Path) -> None:
    before = (copied / "model" / "card.json").stat().st_mtime_ns
    done = subprocess.run(command(copied), cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "is done already" in done.stderr
    assert (copied / "model" / "card.json").stat().st_mtime_ns == before


def test_a_run_directory_in_use_is_refused_and_left_alone(copied: Path, films: Path) -> None:
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=r"holds a run already.*--resume"):
        run_of(copied, films)
    (copied.parent / "notes").mkdir()
    (copied.parent / "notes" / "mine.txt").write_text("keep me")
    with pytest.raises(UsageError, match="is not an empty folder"):
        run_of(copied.parent / "notes", films)
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before


def test_two_processes_cannot_be_at_one_run(copied: Path) -> None:
    with RunDirectory(copied).held():
        done = subprocess.run(
            [sys.executable, "-c", f"from tests.training.runs import *; resumed(Path({str(copied)!r}))"],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode != 0
    assert "Another process is at the run" in done.stderr
    assert status_of(copied)["state"] == "done"


def test_other_images_end_a_resumed_run(copied: Path, tmp_path: Path) -> None:
    other = write_films(tmp_path / "films", dict.fromkeys(CLASSES, 9))
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "data": str(other)}))
    with pytest.raises(TrainingError, match="have changed since the run"):
        resumed(copied)
    assert status_of(copied)["state"] == "failed"


def test_other_images_under_the_same_names_end_a_resumed_run(copied: Path, films: Path, tmp_path: Path) -> None:
    """Labels and files are what they were, and one film is another."""
    data = Path(shutil.copytree(films, tmp_path / "films"))
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "data": str(data)}))
    resumed(copied)
    shutil.copyfile(data / "Normal" / "images" / "Normal-1.png", data / "COVID" / "images" / "COVID-1.png")
    with pytest.raises(TrainingError, match="Images have other content than when the run began"):
        resumed(copied)
    assert status_of(copied)["state"] == "failed"
    (copied / "origins.json").unlink()
    resumed(copied)  # of a run that was begun before it was recorded


@pytest.mark.parametrize(("text", "word"), [("", "cannot be read as a split"), ("file,label\na,b\n", "missing: split")])
def test_a_damaged_record_of_the_split_is_told(copied: Path, text: str, word: str) -> None:
    (copied / "split.csv").write_text(text)
    with pytest.raises(TrainingError, match=rf"{word}.*start again in another run directory"):
        resumed(copied)
    assert word in status_of(copied)["cause"]


def test_another_environment_is_told_and_the_first_stays_on_record(
    copied: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = copied / "environment.json"
    now = json.loads(path.read_text())
    assert "earlier" not in now
    path.write_text(json.dumps({**now, "torch": "1.0"}))
    resumed(copied)
    assert f"another torch {now['torch']} (was 1.0)" in caplog.text
    for _ in range(2):
        found = json.loads(path.read_text())
        (earlier,) = found.pop("earlier")
        assert found == now
        assert earlier["torch"] == "1.0" and earlier["python"] == now["python"] and earlier["until"]
        resumed(copied)


def test_a_vanished_data_folder_is_told_and_the_checkpoint_kept(copied: Path, tmp_path: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "data": str(tmp_path / "gone")}))
    with pytest.raises(DatasetError, match="gone is not a folder"):
        resumed(copied)
    assert status_of(copied)["state"] == "failed"
    assert (copied / "checkpoints" / "last.ckpt").exists()


@pytest.mark.parametrize("damage", ["cut", "other", "best"])
def test_a_damaged_checkpoint_is_named(copied: Path, damage: str) -> None:
    path = copied / "checkpoints" / "last.ckpt"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "other":
        torch.save({"model": network_of("resnet18").state_dict()}, path)
    else:
        next((copied / "checkpoints").glob("best-*.ckpt")).unlink()
    with pytest.raises(TrainingError, match=r"last\.ckpt cannot be resumed from"):
        resumed(copied)
    assert status_of(copied)["state"] == "failed"


@pytest.mark.parametrize("which", ["format", "first"])
def test_a_run_of_another_version_is_told(copied: Path, which: str) -> None:
    if which == "format":
        config = json.loads((copied / "config.json").read_text())
        (copied / "config.json").write_text(json.dumps({**config, "format": 99}))
    else:
        (copied / "config.json").unlink()
        (copied / "recipe.json").write_text("{}")
    with pytest.raises(TrainingError, match="of another version of LungAssist"):
        resumed(copied)
