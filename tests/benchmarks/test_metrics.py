"""The benchmark of the metrics runs, small, and its JSON says what the documentation promises."""

from __future__ import annotations

import json

import pytest

from benchmarks import metrics


def test_the_page_is_held_against_scikit_learn_and_equals_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert metrics.main(["--quick", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["rows"], result["models"], result["resamples"]) == (400, 2, 100)
    assert set(result["seconds"]) == {"lungassist", "lungassist_fastest", "scikit_learn_scaled"}
    assert result["times_scikit_learn"] > 0
    assert result["largest_difference"] < 1e-12


def test_the_lines_say_that_scikit_learn_was_scaled(capsys: pytest.CaptureFixture[str]) -> None:
    assert metrics.main(["--quick"]) == 0
    assert "scaled from 1 resamples" in capsys.readouterr().out


def test_the_rule_is_applied_to_all_models() -> None:
    assert metrics.page(metrics.Tables.simulated(300, 3, 10)).name.startswith("model")
