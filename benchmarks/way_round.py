"""How often a turned chest or a negative is told from an upright positive one, and how often that is said in vain.

Every image is put in each of eight ways, written to a file in memory and read as triage does. A line says how many are
doubted as they are to be: the way itself, any other way, or none. Lines of ordinary changes of upright images say how
many are doubted in vain.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import torch

from benchmarks.perturbations import PERTURBATIONS, Change, Picture, png
from benchmarks.split_images import AS_THEY_ARE, Sample, carry_out, chosen_model, parser, percent, sample_of
from benchmarks.timing import machine
from lungassist.imaging.plausibility import way_of
from lungassist.imaging.reader import read_radiograph
from lungassist.imaging.way_round import SURE, WAYS, WayRound
from lungassist.settings import Settings

_TURNED: Final = {0: "", 1: "turned a quarter", 2: "turned by half", 3: "turned three quarters"}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every way and every ordinary change, on the images of the split."""
    settings = Settings.from_environment()
    folder, classifier = chosen_model(arguments, settings)
    sample = sample_of(arguments, folder, classifier, settings)
    lines = {_words(way): _line(_put(way), way, sample, settings) for way in WAYS}
    ordinary = [other for other in PERTURBATIONS.values() if other.ordinary]
    for other in ordinary[: 1 if arguments.quick else None]:
        lines[other.words] = _line(other.change, WAYS[0], sample, settings)
    return {
        "benchmark": "way_round",
        "machine": machine(),
        "images": len(sample.pictures),
        "split": arguments.split,
        "sure": SURE,
        "changes": lines,
    }


def _words(way: WayRound) -> str:
    said = ["negative"] if way.is_negative else []
    return ", ".join([*said, _TURNED[way.quarters]] if way.quarters else said) or AS_THEY_ARE


def _put(way: WayRound) -> Change:
    def change(picture: Picture, _: np.random.Generator) -> bytes:
        return png(np.ascontiguousarray(np.rot90(255 - picture if way.is_negative else picture, way.quarters)))

    return change


def _line(change: Change, way: WayRound, sample: Sample, settings: Settings) -> dict[str, Any]:
    def one(place: int) -> WayRound:
        data = change(sample.pictures[place], np.random.default_rng(sample.seeds[place]))
        return way_of(read_radiograph(data, "changed", settings))

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        found = Counter(pool.map(one, range(len(sample.pictures))))
    count = found.total()
    silent = found[WAYS[0]]
    return {
        "right": found[way],
        "right_share": percent(found[way] / count),
        "doubted": count - silent,
        "doubted_share": percent((count - silent) / count),
    }


def _lines(result: dict[str, Any]) -> list[str]:
    return [
        f"{result['images']:,} {result['split']} images, doubted from a probability of {result['sure']} on",
        *(
            f"{words:<44} doubted {line['doubted']:>4} ({line['doubted_share']:6.2f} %), "
            f"rightly named {line['right']:>4} ({line['right_share']:6.2f} %)"
            for words, line in result["changes"].items()
        ),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the lines, or the result as JSON."""
    return carry_out(parser("benchmarks.way_round", __doc__), argv, measure, _lines)


if __name__ == "__main__":
    sys.exit(main())
