"""Whether the moving average of weights gets away from where a run began, and what would suit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lungassist.training.recipe import Recipe
from lungassist.training.steps import averaging_warning, suiting_averaging
from tests.training.runs import RECIPE as SMALL_RUN
from tests.training.runs import run_of

RECIPE = Recipe(architecture="resnet18", epochs=10, batch_size=10, averaging=0.99)


@pytest.mark.parametrize(("steps", "decay"), [(1, 0.0), (5, 0.5), (14, 0.8), (149, 0.98), (150, 0.98), (1500, 0.998)])
def test_the_slowest_decay_that_leaves_little_of_the_start(steps: int, decay: float) -> None:
    assert suiting_averaging(steps) == decay
    assert decay**steps < 0.05


def test_it_is_said_where_much_of_the_start_is_left() -> None:
    """0.99 ** 229 is above 0.1, 0.99 ** 230 below."""
    said = averaging_warning(RECIPE, 220)
    assert said.startswith("After 220 steps 11% of the moving average") and "Choose averaging 0.98," in said
    assert averaging_warning(RECIPE, 230) == ""
    assert "That passes" in averaging_warning(RECIPE, 230, epochs=2)
    assert averaging_warning(replace(RECIPE, averaging=0.0), 20) == ""
    assert averaging_warning(replace(RECIPE, epochs=0, start="small"), 20) == ""


def test_a_runs_log_says_it(films: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run_of(tmp_path / "run", films, replace(SMALL_RUN, epochs=1, averaging=0.998))
    assert "After 4 steps 99% of the moving average" in caplog.text and "averaging 0 (none)" in caplog.text
