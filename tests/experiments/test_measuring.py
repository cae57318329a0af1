"""A measurement in a process of its own: polled, its complaint told, stopped."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lungassist.errors import TrainingError
from lungassist.experiments.measuring import Estimate, Measurement
from lungassist.training.config import RunConfig
from lungassist.training.recipe import Recipe

PATIENCE = 60.0

#: Stands in for the command: it reads the configuration and does as its name says.
STAND_IN = """
import json, sys, time
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
name = json.load(open(options["--config"]))["name"]
if name == "sleep":
    time.sleep(600)
if name == "complain":
    sys.exit("It does not fit into memory: 3 would.")
if name == "silent":
    sys.exit(3)
if name == "babble":
    print("hello")
else:
    assert [option for option in sys.argv if option.startswith("--class=")] == ["--class=A", "--class=-b"]
    print(json.dumps({"seconds": 120.5, "seconds_per_epoch": 40, "images_per_second": float(options["--images"]),
                      "peak_memory_bytes": 2_000_000_000, "more": 1}))
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return ("stand_in",)


def config(name: str) -> RunConfig:
    return RunConfig(name, Path("/data"), recipe=Recipe(architecture="alexnet"))


def awaited(measurement: Measurement) -> Estimate:
    until = time.monotonic() + PATIENCE
    while (found := measurement.poll()) is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def test_the_estimate_of_the_run_that_was_asked_for(stand_in: tuple[str, ...]) -> None:
    measurement = Measurement(config("good"), 77, stand_in, classes=("A", "-b"))
    assert awaited(measurement) == Estimate(120.5, 40.0, 77.0, 2_000_000_000)
    assert not measurement.is_active
    assert measurement.is_for(config("another name"), 77)
    assert not measurement.is_for(config("good"), 78)
    assert not measurement.is_for(replace(config("good"), recipe=Recipe(architecture="alexnet", batch_size=8)), 77)
    measurement.stop()


@pytest.mark.parametrize(
    ("name", "said"), [("complain", "3 would"), ("silent", "status 3"), ("babble", "JSON"), ("stopped", "signal")]
)
def test_why_there_is_none_is_told(name: str, said: str, stand_in: tuple[str, ...]) -> None:
    measurement = Measurement(config("sleep" if name == "stopped" else name), 1, stand_in)
    if name == "stopped":
        measurement._process.kill()
    with pytest.raises(TrainingError, match=said):
        awaited(measurement)
    measurement.stop()


def test_a_stop_ends_the_process(stand_in: tuple[str, ...]) -> None:
    measurement = Measurement(config("sleep"), 1, stand_in)
    assert measurement.poll() is None
    measurement.stop()
    assert not measurement.is_active


@pytest.mark.parametrize("text", ["[]", "{}", '{"seconds": "x"}', "3", "null"])
def test_an_answer_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(TrainingError):
        Estimate.from_json(json.loads(text))
