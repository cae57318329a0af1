"""How every benchmark measures: what is compared takes turns, so that a busy machine slows all of it alike."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Steps = Mapping[str, Callable[[], object]]


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of every step in every round; `rounds[name][i]` were measured next to each other for the same `i`."""

    rounds: Mapping[str, Sequence[float]]

    def milliseconds(self) -> dict[str, float]:
        """The median of every step."""
        return {name: round(statistics.median(times) * 1e3, 2) for name, times in self.rounds.items()}

    def ratio(self, name: str, base: str) -> float:
        """How long `name` takes for each second of `base`: the median over rounds, in each of which both ran."""
        pairs = zip(self.rounds[name], self.rounds[base], strict=True)
        return round(statistics.median(one / other for one, other in pairs), 3)

    def ratio_of_fastest(self, name: str, base: str) -> float:
        """The same of the fastest rounds, which a busy machine disturbs least."""
        return round(min(self.rounds[name]) / min(self.rounds[base]), 3)


def interleaved(steps: Steps, rounds: int, warm_up: int = 2) -> Timings:
    """Time every step once a round, in turning order; the first `warm_up` rounds do not count."""
    names = list(steps)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(warm_up + rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            seconds = timed(steps[name])
            if number >= warm_up:
                times[name].append(seconds)
    return Timings(times)


def timed(step: Callable[[], object]) -> float:
    """Seconds of the wall that one call takes."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def machine() -> dict[str, Any]:
    """What a figure depends on; nothing that names the machine or its owner."""
    import torch

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "system": platform.system(),
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def arguments_parser(module: str, doc: str | None) -> argparse.ArgumentParser:
    """The arguments that every benchmark has; its help is the module's docstring."""
    p = argparse.ArgumentParser(
        prog=f"python -m {module}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    p.add_argument("--quick", action="store_true", help="a small network and few rounds: shows that it runs, no more")
    return p


def run_benchmark(
    parser: argparse.ArgumentParser,
    measure: Callable[[argparse.Namespace, Path], dict[str, Any]],
    lines: Callable[[dict[str, Any]], Sequence[str]],
    argv: Sequence[str] | None,
) -> int:
    """Measure, with a folder that is gone afterwards, and print; returns 0."""
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as place:
        result = measure(arguments, Path(place))
    write_result(result, lines(result), arguments.json)
    return 0


def write_result(result: Mapping[str, Any], lines: Sequence[str], as_json: bool) -> None:
    """Print the result, or the lines that say it in words, below what it was measured on."""
    if as_json:
        sys.stdout.write(json.dumps(result, indent=2) + "\n")
        return
    what = result["machine"]
    head = f"{what['processor']}, {what['threads']} threads, load {what['load']}, torch {what['torch']}"
    sys.stdout.write("\n".join([head, *lines]) + "\n")
