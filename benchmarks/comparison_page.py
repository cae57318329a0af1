"""How long the comparison page takes to answer, every tab, with simulated tables of predictions.

  opening  the tab for the first time in this process: all that it shows is computed
  rerun    what a reader does there again and again: another model, class, question, property or threshold, which may
           be one that was not computed yet; where there is nothing to choose, the page as it is

Every rerun is of the whole page, from the script's start to its end, by Streamlit's AppTest in one process: what the
server does for one reader, without the network and without the browser's drawing. The tables are simulated, as large
as those of the complete database: train, validation and test as 8 to 1 to 1.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from benchmarks.simulated import SIMULATED, write_tables
from benchmarks.timing import arguments_parser, machine, run_benchmark, timed
from lungassist.classes import CLASSES

_APP = Path(__file__).resolve().parent.parent / "streamlit_app.py"

#: Seconds that a rerun should stay below.
GOAL = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0."""
    p = arguments_parser("benchmarks.comparison_page", __doc__)
    p.add_argument("--models", type=int, default=10, help="default: %(default)s")
    p.add_argument("--images", type=int, default=2116, help="of the test split (default: %(default)s)")
    p.add_argument("--rounds", type=int, default=11, help="reruns a tab (default: %(default)s)")
    return run_benchmark(p, _measure, _lines, argv)


def _measure(arguments: argparse.Namespace, place: Path) -> dict[str, Any]:
    models, images, rounds = (2, 60, 2) if arguments.quick else (arguments.models, arguments.images, arguments.rounds)
    names = [f"{SIMULATED}-model-{number}" for number in range(models)]
    write_tables(place / "evaluations", [name.removeprefix(f"{SIMULATED}-") for name in names], images)
    with _environment(LUNGASSIST_HOME=str(place), LUNGASSIST_WEIGHTS=str(place / "weights"), LUNGASSIST_DATA_ROOTS=""):
        app = AppTest.from_file(str(_APP), default_timeout=600).run().switch_page("pages/comparison.py")
        start = timed(app.run)
        tabs = {view: _measured_tab(app, view, turn, names, rounds) for view, turn in _TURNS.items()}
    return {
        "benchmark": "comparison_page",
        "machine": machine(),
        "tables": f"{SIMULATED}, none of a real model",
        "by": "AppTest in one process",
        "models": models,
        "test_images": images,
        "rounds": rounds,
        "start_seconds": round(start, 3),
        "tabs": tabs,
        "slowest_median": max(tab["rerun"]["median"] for tab in tabs.values()),
        "slowest_rerun": max(tab["rerun"]["worst"] for tab in tabs.values()),
    }


#: Do in a tab what its reader does, the nth time.
Turn = Callable[[AppTest, int, Sequence[str]], None]


def _measured_tab(app: AppTest, view: str, turn: Turn, names: Sequence[str], rounds: int) -> dict[str, Any]:
    app.session_state["view"] = view
    opening = _rerun(app)
    seconds = []
    for number in range(rounds):
        turn(app, number, names)
        seconds.append(_rerun(app))
    return {
        "opening": round(opening, 3),
        "rerun": {"median": round(statistics.median(seconds), 3), "worst": round(max(seconds), 3)},
    }


def _rerun(app: AppTest) -> float:
    seconds = timed(app.run)
    if app.exception:
        raise RuntimeError(f"the page failed: {app.exception[0].value}")
    return seconds


def _nothing(app: AppTest, number: int, names: Sequence[str]) -> None:
    del app, number, names


def _choose(key: str, values: Callable[[Sequence[str]], Sequence[str]]) -> Turn:
    def turn(app: AppTest, number: int, names: Sequence[str]) -> None:
        choices = values(names)
        app.session_state[key] = choices[number % len(choices)]

    return turn


def _move_threshold(app: AppTest, number: int, names: Sequence[str]) -> None:
    del names
    slider = app.select_slider(key="threshold")
    slider.set_value(float(slider.options[(7 * number + 3) % len(slider.options)]))


_TURNS: Mapping[str, Turn] = {
    "Leaderboard": _nothing,
    "Confusion": _choose("model", lambda names: names),
    "Head to head": _choose("b", lambda names: names),
    "Curves": _choose("question", lambda _: CLASSES),
    "Slices": _choose("by", lambda _: ("source", "sex")),
    "Operating point": _move_threshold,
    "Shortcut audit": _nothing,
    "Ablations": _nothing,
    "Cards": _nothing,
    "Evaluate": _nothing,
}


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _lines(result: dict[str, Any]) -> list[str]:
    head = f"{result['models']} simulated models, {result['test_images']:,} test images each, {result['rounds']} reruns"
    tabs = result["tabs"].items()
    return [
        f"{head}; {result['by']}",
        f"{'seconds':18} opening   rerun, median   rerun, worst",
        *(
            f"{view:18} {tab['opening']:7.2f} {tab['rerun']['median']:15.3f} {tab['rerun']['worst']:14.3f}"
            for view, tab in tabs
        ),
        f"slowest tab: {result['slowest_median']:.3f} s (goal: below {GOAL} s), slowest rerun: "
        f"{result['slowest_rerun']:.3f} s",
    ]


if __name__ == "__main__":
    sys.exit(main())
