"""Every benchmark runs, small, and its JSON says what the documentation promises. No clock is judged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import explain, input_pipeline, startup, timing, triage

MACHINE = {"processor", "cores", "threads", "load", "python", "torch", "system"}


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What a benchmark printed, all of it one JSON object about this machine."""
    result = json.loads(capsys.readouterr().out)
    assert isinstance(result, dict)
    assert set(result["machine"]) == MACHINE
    return result


def test_explain_compares_with_the_bare_pass_and_with_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.main(["--quick", "--json"]) == 0
    result = printed(capsys)
    assert (result["benchmark"], result["batch"]) == ("explain", 1)
    (figures,) = result["networks"].values()
    assert set(figures["milliseconds"]) == {"forward", "lungassist", "gradcam"}
    assert figures["lungassist_to_forward"] > 0
    assert figures["gradcam_to_forward"] > 0
    assert figures["largest_difference"] < 1e-3


def test_triage_compares_with_the_bare_network_and_says_what_memory_it_took(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert triage.main(["--quick", "--json"]) == 0
    result = printed(capsys)
    assert set(result["studies_per_second"]) == {"bare", "triage"}
    assert result["triage_to_bare"] > 0
    assert set(result["peak_megabytes"]) == {"2", "4"}
    assert all(peak > 50 for peak in result["peak_megabytes"].values()), "a Python with torch in it"


def test_startup_says_how_long_and_what_an_import_loads(capsys: pytest.CaptureFixture[str]) -> None:
    assert startup.main(["--quick", "--json"]) == 0
    result = printed(capsys)
    assert set(result["seconds"]) == {
        "import_lungassist",
        "help",
        "import_classifier",
        "load_model",
        "first_prediction",
        "second_prediction",
    }
    assert result["loaded_by_import"] == []


def test_the_lines_for_people_name_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.main(["--quick"]) == 0
    shown = capsys.readouterr().out
    assert "mobilenet_v3_small" in shown
    assert "threads" in shown


def test_steps_take_turns_and_the_warm_up_does_not_count() -> None:
    order: list[str] = []
    timings = timing.interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2, warm_up=1)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(times) for name, times in timings.rounds.items()} == {"a": 2, "b": 2}


def test_a_ratio_is_the_median_of_rounds_not_the_ratio_of_medians() -> None:
    timings = timing.Timings({"ours": [1.0, 20.0, 3.0], "base": [1.0, 10.0, 1.0]})
    assert timings.ratio("ours", "base") == 2.0
    assert timings.ratio_of_fastest("ours", "base") == 1.0
    assert timings.milliseconds() == {"ours": 3000.0, "base": 1000.0}


def test_the_input_pipeline_is_held_against_torchvisions(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert input_pipeline.main(["--quick", "--json", "--workers", "1"]) == 0
    result = printed(capsys)
    assert (result["images"], result["data"], result["workers"]) == (16, "synthetic", 1)
    assert set(result["images_per_second"]) == {"torchvision", "lungassist"}
    assert result["times_torchvision"] > 0
    data = input_pipeline.write_database(tmp_path, 8)
    assert sorted(path.relative_to(data).as_posix() for path in data.glob("COVID/*/*")) == [
        "COVID/images/COVID-1.png",
        "COVID/images/COVID-2.png",
    ]
    assert input_pipeline.main(["--quick", "--workers", "1", "--data", str(data)]) == 0
    assert "8 images (a folder)" in capsys.readouterr().out
