"""The estimate: measured on the engine's own steps, drawn out in a straight line, and said in JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lungassist.errors import TrainingError, UsageError
from lungassist.files import write_json
from lungassist.training import estimate as module
from lungassist.training.baseline_recipe import BaselineConfig
from lungassist.training.config import RunConfig
from lungassist.training.estimate import Estimate, estimate
from lungassist.training.recipe import Recipe
from lungassist.training.surroundings import Surroundings
from tests.drawn import SMALL
from train.estimate import main

ROOT = Path(__file__).parents[2]
RECIPE = Recipe(architecture=SMALL, start="scratch", size=32, epochs=3, batch_size=16, groups=("classifier",))

#: Seconds of a step and of judging as functions of the images, where a test wants to know what comes out.
A_STEP = (0.5, 0.01)
JUDGING = (0.0, 0.002)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every measurement finds exactly what is laid down; memory is 1000 bytes and 10 an image."""

    def line(costs: tuple[float, float], sizes: tuple[int, int]) -> module._Costs:
        seconds, peaks = [costs[0] + costs[1] * size for size in sizes], [1000 + 10 * size for size in sizes]
        return module._Costs(sizes, (seconds[0], seconds[1]), (peaks[0], peaks[1]))

    monkeypatch.setattr(module, "_measured", lambda *given: tuple(line(c, (2, 50)) for c in (A_STEP, JUDGING, JUDGING)))


@pytest.mark.usefixtures("known")
def test_the_line_is_drawn_out_to_the_whole_run() -> None:
    found = estimate(replace(RECIPE, batch_size=100), 800, "cpu")
    a_step = 0.5 + 0.01 * 100
    assert found.images_per_second == pytest.approx(100 / a_step, rel=1e-3)
    epoch = 8 * a_step + 100 * 0.002  # no batch norm of the classifier's is measured afresh
    assert found.seconds_per_epoch == pytest.approx(epoch)
    assert found.seconds == pytest.approx(3 * epoch + 1000 * 0.002)
    assert found.peak_memory_bytes == 1000 + 10 * 100
    assert (found.device, found.images) == ("cpu", 800)


@pytest.mark.usefixtures("known")
def test_trained_batch_norm_costs_a_look_at_clean_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_has_trained_batch_norm", lambda *given: True)
    whole, few = (estimate(replace(RECIPE, batch_size=100), images, "cpu") for images in (8000, 800))
    assert few.seconds_per_epoch == pytest.approx(8 * 1.5 + 100 * 0.002 + 800 * 0.002)
    assert whole.seconds_per_epoch == pytest.approx(80 * 1.5 + 1000 * 0.002 + 2048 * 0.002), "of a sample at most"


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("changes", [{"batch_norm": "held"}, {"epochs": 0, "start": "a-model"}])
def test_what_is_measured_once_costs_one_look(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    monkeypatch.setattr(module, "_has_trained_batch_norm", lambda *given: True)
    recipe = replace(RECIPE, batch_size=100, **changes)
    found = estimate(recipe, 800, "cpu")
    assert found.seconds_per_epoch == pytest.approx(8 * 1.5 + 100 * 0.002)
    expected = recipe.epochs * found.seconds_per_epoch + 1000 * 0.002 + 800 * 0.002
    assert found.seconds == pytest.approx(expected)


@pytest.mark.usefixtures("known")
def test_fewer_images_than_a_batch_are_one_smaller_batch() -> None:
    found = estimate(replace(RECIPE, batch_size=100), 20, "cpu")
    assert found.images_per_second == pytest.approx(20 / (0.5 + 0.01 * 20), rel=1e-3)


@pytest.mark.parametrize("groups", [("all",), ("classifier",), ("late", "classifier")])
def test_a_real_measurement(groups: tuple[str, ...]) -> None:
    found = estimate(replace(RECIPE, groups=groups), 100, "cpu")
    assert found.images_per_second > 0
    assert found.seconds >= 3 * found.seconds_per_epoch > 0
    assert found.seconds_per_epoch >= 100 / found.images_per_second
    if sys.platform == "linux":
        assert found.peak_memory_bytes is not None
        assert 50e6 < found.peak_memory_bytes < 50e9, "Python with torch in it, and no more than a machine has"
    from lungassist.models.registry import parameter_shares

    shares = parameter_shares(SMALL)
    assert found.trained_share == pytest.approx(sum(shares[g] for g in (shares if groups == ("all",) else groups)))


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", None)
    assert estimate(replace(RECIPE, start="imagenet"), 100, "cpu").seconds > 0
    assert estimate(replace(RECIPE, start="nowhere"), 100, "cpu").seconds > 0


@pytest.mark.usefixtures("known")
def test_finding_the_lungs_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([10.0, 13.0])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(ticks))
    monkeypatch.setattr(module, "find_chests", lambda images, **options: None)
    plain = estimate(replace(RECIPE, batch_size=100), 800, "cpu")
    found = estimate(replace(RECIPE, batch_size=100, surroundings=0.5, workers=2), 800, "cpu")
    assert found.seconds - plain.seconds == pytest.approx(3.0 * 800 / 64)
    assert found.seconds_per_epoch == plain.seconds_per_epoch


def test_exchanging_surroundings_is_measured_too(monkeypatch: pytest.MonkeyPatch) -> None:
    exchanged = []
    real = Surroundings.exchanged

    def seen(self: Surroundings, images: torch.Tensor, *given: Any, **options: Any) -> torch.Tensor:
        exchanged.append(len(images))
        return real(self, images, *given, **options)

    monkeypatch.setattr(Surroundings, "exchanged", seen)
    found = estimate(replace(RECIPE, surroundings=1.0), 100, "cpu")
    assert found.images_per_second > 0
    assert len(set(exchanged)) == 2, "at both batch sizes"


def test_a_measurement_bent_by_a_busy_machine_stays_within_reason() -> None:
    """The small batch slower than the large one, or so fast that the line would begin below nothing."""
    assert module._on_line((2, 10), (5.0, 1.0), 110) == pytest.approx(1.0 + 100 * 0.25 / 10)
    assert module._on_line((2, 10), (0.0, 1.0), 110) == pytest.approx(1.0 + 100 * 0.1)
    assert module._on_line((2, 10), (0.6, 1.0), 110) == pytest.approx(1.0 + 100 * 0.05)


def test_what_does_not_fit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise MemoryError

    monkeypatch.setattr(module, "_measured", full)
    with pytest.raises(TrainingError, match="fit into memory"):
        estimate(RECIPE, 100, "cpu")


def test_too_few_images_are_told() -> None:
    with pytest.raises(UsageError, match="1 training images are too few"):
        estimate(RECIPE, 1, "cpu")


def test_the_command_in_a_process_of_its_own(films: Path, tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", RunConfig("drawn", films, device="cpu", recipe=RECIPE).to_json())
    line = [sys.executable, "-m", "train.estimate", "--config", str(tmp_path / "config.json"), "--json"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    found = Estimate(**json.loads(done.stdout))
    assert found.images == 32, "80 % of the folder's"
    assert found.images_per_second > 0


@pytest.mark.usefixtures("known")
def test_the_command_in_words(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(tmp_path / "config.json", RunConfig("drawn", films, device="cpu", recipe=RECIPE).to_json())
    assert main(["--config", str(tmp_path / "config.json"), "--images", "800"]) == 0
    assert "800 training images on cpu, 39% of the parameters train" in capsys.readouterr().out


def test_wrong_usage(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.json"
    good = RunConfig("drawn", films, device="cpu", recipe=RECIPE).to_json()
    for values, status, words in (
        (BaselineConfig("drawn", films).to_json(), 2, "Only fine-tuning"),
        ({**good, "recipe": {"epochs": -1}}, 2, "epochs must be between"),
        ({**good, "format": 1}, 1, "another version"),
        ({**good, "data": str(tmp_path / "nowhere")}, 1, "is not a folder"),
    ):
        write_json(path, values)
        assert main(["--config", str(path)]) == status
        assert words in capsys.readouterr().err
    path.write_text("{")
    assert main(["--config", str(path)]) == 2
    assert "cannot be read as a run's configuration" in capsys.readouterr().err
