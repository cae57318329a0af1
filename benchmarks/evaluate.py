"""How much of the bare network's speed an evaluation keeps, on prepared images.

  bare      torchvision's network, no gradients, batch after batch of tensors that are ready in memory
  folded    the same with LungAssist's batch norm folded and channels last, on the same tensors
  evaluate  `lungassist.evaluation.evaluate`: rows of the cache on disk to probabilities in a table that is kept as it
            grows, with hashes, table and record written at the end

One round is every image once. Filling the cache, which is done once ever, is said beside it.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.input_pipeline import write_database
from benchmarks.networks import plain_card, random_network
from benchmarks.timing import arguments_parser, interleaved, machine, run_benchmark, timed
from lungassist.dataset import index_folder, open_cache
from lungassist.device import choose_device
from lungassist.evaluation.evaluate import BATCH_SIZE, evaluate
from lungassist.predict import Classifier, fold
from lungassist.preprocess import Preprocessing, to_batch
from lungassist.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0."""
    return run_benchmark(_parser(), _measure, _lines, argv)


def _parser() -> argparse.ArgumentParser:
    p = arguments_parser("benchmarks.evaluate", __doc__)
    p.add_argument("--network", default="resnet50", metavar="NAME", help="default resnet50")
    p.add_argument("--images", type=int, default=256, help="synthetic ones (default 256)")
    p.add_argument("--batch", type=int, default=BATCH_SIZE, help="images a pass (default %(default)s)")
    p.add_argument("--rounds", type=int, default=5, help="default 5")
    p.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")
    return p


def _measure(arguments: argparse.Namespace, place: Path) -> dict[str, Any]:
    quick = arguments.quick
    name, count = ("mobilenet_v3_small", 16) if quick else (arguments.network, arguments.images)
    preprocessing = Preprocessing(size=64 if quick else 224)
    batch = min(arguments.batch, count)
    device = choose_device(arguments.device)
    settings = replace(Settings.from_environment(), home=place / "home")
    index = index_folder(write_database(place / "data", count))
    network = random_network(name, preprocessing)
    classifier = Classifier(copy.deepcopy(network), plain_card(name, preprocessing), device)
    filling = timed(lambda: open_cache(index, preprocessing, settings))
    images = np.asarray(open_cache(index, preprocessing, settings).images)
    ready = [
        to_batch(torch.from_numpy(images[first : first + batch]), preprocessing).to(device)
        for first in range(0, count, batch)
    ]
    body, tail = fold(copy.deepcopy(network), name)
    folded = torch.nn.Sequential(body, tail).to(device)
    network = network.to(device)
    numbers = itertools.count()
    splits = np.full(count, "test")

    def forward(model: torch.nn.Module, form: torch.memory_format) -> None:
        with torch.no_grad():
            for tensors in ready:
                model(tensors.contiguous(memory_format=form)).cpu()

    def evaluated() -> None:
        out = place / f"out-{next(numbers)}"  # a table that is there already would not be computed again
        evaluate(classifier, index, splits, out, settings, batch_size=batch)
        shutil.rmtree(out)

    steps = {
        "bare": lambda: forward(network, torch.contiguous_format),
        "folded": lambda: forward(folded, torch.channels_last),
        "evaluate": evaluated,
    }
    timings = interleaved(steps, 1 if quick else arguments.rounds, warm_up=1)
    times = timings.milliseconds()
    return {
        "benchmark": "evaluate",
        "machine": machine(),
        "device": device.type,
        "network": name,
        "images": count,
        "batch": batch,
        "images_per_second": {step: round(count / (times[step] / 1e3), 1) for step in steps},
        "evaluate_to_bare": round(1 / timings.ratio("evaluate", "bare"), 3),
        "evaluate_to_folded": round(1 / timings.ratio("evaluate", "folded"), 3),
        "cache_fill_seconds": round(filling, 2),
    }


def _lines(result: dict[str, Any]) -> list[str]:
    rates = result["images_per_second"]
    return [
        f"{result['network']} on {result['device']}, {result['images']} images, batches of {result['batch']}",
        f"images/s: bare {rates['bare']}, folded {rates['folded']}, evaluate {rates['evaluate']}",
        f"evaluate has {result['evaluate_to_bare']:.2f} of the bare passes' throughput, "
        f"{result['evaluate_to_folded']:.2f} of the folded ones'",
        f"filling the cache, once: {result['cache_fill_seconds']} s",
    ]


if __name__ == "__main__":
    sys.exit(main())
