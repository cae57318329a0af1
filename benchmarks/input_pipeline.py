"""How fast augmented batches are delivered to a network on the CPU, against torchvision's usual way.

  torchvision  ImageFolder and DataLoader: decode, Grayscale, Resize, RandomHorizontalFlip, RandomRotation (bilinear),
               ToTensor, Normalize, in worker processes that stay alive between rounds
  lungassist   rows of the cache on disk, flipped, rotated and standardised, in as many threads

One round is every image once, in random order, as (64, 3, 224, 224) float32. Files and cache are in the system's file
cache. What filling the cache cost, once, is said beside it. Without --data the images are synthetic, in the format of
the public COVID-19 Radiography Database: 299 pixel PNGs, CLASS/images/CLASS-1.png.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.timing import Timings, arguments_parser, interleaved, machine, timed, write_result
from lungassist.classes import CLASSES
from lungassist.dataset import DatasetIndex, PreparedImages, index_folder, open_cache
from lungassist.phantom import phantom
from lungassist.settings import Settings
from lungassist.training.augment import augment_batch
from lungassist.training.recipe import Recipe

#: The paper's augmentation and nothing else.
PAPER = Recipe(shift=0, scale=0, exposure=0, degrade=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0."""
    arguments = _parser().parse_args(argv)
    before = torch.get_num_threads()
    torch.set_num_threads(arguments.workers)
    try:
        with tempfile.TemporaryDirectory() as place:
            result = _measure(arguments, Path(place))
    finally:
        torch.set_num_threads(before)
    write_result(result, _lines(result), arguments.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    p = arguments_parser("benchmarks.input_pipeline", __doc__)
    p.add_argument("--data", type=Path, help="images of one's own, as CLASS/images/* or CLASS/*")
    p.add_argument("--images", type=int, default=1024, help="how many synthetic ones (default 1024)")
    p.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="of either (default: one a core)")
    p.add_argument("--batch", type=int, default=64, help="default 64")
    p.add_argument("--size", type=int, default=224, help="default 224")
    p.add_argument("--rounds", type=int, default=5, help="default 5")
    return p


def _measure(arguments: argparse.Namespace, place: Path) -> dict[str, Any]:
    count, size = (16, 64) if arguments.quick else (arguments.images, arguments.size)
    index = index_folder(arguments.data or write_database(place / "data", count))
    recipe = replace(PAPER, size=size, batch_size=min(arguments.batch, len(index.table)))
    settings = replace(Settings.from_environment(), home=place)
    opened: list[PreparedImages] = []
    filling, opening = (
        timed(lambda: opened.append(open_cache(index, recipe.preprocessing, settings, workers=arguments.workers)))
        for _ in range(2)
    )
    steps = {
        "torchvision": torchvision_epoch(index.root, recipe, arguments.workers),
        "lungassist": lungassist_epoch(opened[-1], recipe),
    }
    timings = interleaved(steps, 1 if arguments.quick else arguments.rounds, warm_up=1)
    return {
        "benchmark": "input_pipeline",
        "machine": machine(),
        "data": "synthetic" if arguments.data is None else "a folder",
        "images": len(index.table),
        "size": size,
        "batch": recipe.batch_size,
        "workers": arguments.workers,
        "images_per_second": {name: _rate(timings, name, index) for name in steps},
        "times_torchvision": timings.ratio("torchvision", "lungassist"),
        "times_torchvision_fastest": timings.ratio_of_fastest("torchvision", "lungassist"),
        "cache": {"fill_seconds": round(filling, 2), "open_seconds": round(opening, 3)},
    }


def _rate(timings: Timings, name: str, index: DatasetIndex) -> float:
    return round(len(index.table) / (timings.milliseconds()[name] / 1e3), 1)


def write_database(root: Path, count: int) -> Path:
    """Write `count` synthetic radiographs of 299 pixels with a film's grain, in the public database's layout."""
    rng = np.random.default_rng(0)
    drawn = [phantom(label, seed, 299) for seed in range(8) for label in CLASSES]
    for number in range(count):
        label = CLASSES[number % len(CLASSES)]
        folder = root / label / "images"
        folder.mkdir(parents=True, exist_ok=True)
        grain = rng.normal(0, 2, (299, 299))
        image = np.clip(drawn[number % len(drawn)] + grain, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{label}-{number // len(CLASSES) + 1}.png"), image)
    return root


def torchvision_epoch(root: Path, recipe: Recipe, workers: int) -> Callable[[], object]:
    """One pass over the images as torchvision's documentation does it."""
    from torch.utils.data import DataLoader
    from torchvision import transforms as tv
    from torchvision.datasets import ImageFolder

    preprocessing = recipe.preprocessing
    transform = tv.Compose(
        [
            tv.Grayscale(num_output_channels=3),
            tv.Resize((recipe.size, recipe.size)),
            tv.RandomHorizontalFlip(),
            tv.RandomRotation(recipe.rotation, interpolation=tv.InterpolationMode.BILINEAR),
            tv.ToTensor(),
            tv.Normalize(preprocessing.mean, preprocessing.std),
        ]
    )
    loader: DataLoader[Any] = DataLoader(
        ImageFolder(str(root), transform),
        batch_size=recipe.batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    return lambda: sum(len(images) for images, _ in loader)


def lungassist_epoch(prepared: PreparedImages, recipe: Recipe) -> Callable[[], object]:
    """One pass over the same images as the training engine takes them."""
    generator = torch.Generator().manual_seed(recipe.seed)
    count, preprocessing = len(prepared.images), recipe.preprocessing
    buffer = torch.empty(recipe.batch_size, 3, recipe.size, recipe.size)

    def epoch() -> int:
        order = torch.randperm(count, generator=generator).numpy()
        delivered = 0
        for chosen in np.array_split(order, math.ceil(count / recipe.batch_size)):
            images = torch.from_numpy(prepared.images[chosen])
            out = buffer[: len(chosen)]
            delivered += len(augment_batch(images, recipe, generator, preprocessing=preprocessing, out=out))
        return delivered

    return epoch


def _lines(result: dict[str, Any]) -> list[str]:
    rates, cache = result["images_per_second"], result["cache"]
    return [
        f"{result['images']} images ({result['data']}), {result['workers']} workers, "
        f"batches of {result['batch']} at {result['size']} pixels",
        f"torchvision {rates['torchvision']:9.1f} images/s",
        f"lungassist  {rates['lungassist']:9.1f} images/s = {result['times_torchvision']:.1f} x "
        f"(fastest rounds {result['times_torchvision_fastest']:.1f} x)",
        f"cache: filled once in {cache['fill_seconds']:.1f} s, opened in {cache['open_seconds']:.2f} s",
    ]


if __name__ == "__main__":
    sys.exit(main())
