"""What the engine costs beside the arithmetic: training images/s through it, against a bare loop on one ready batch.

  bare    forward, loss, backward, clipping, optimiser step, over and over on one random batch where the network is
  engine  `training.fit` as a run does it: rows gathered from a memory-mapped file, flip and rotation on the device,
          figures added up, the run's status written; validation after an epoch does not count on either side

Same network, start, groups that train, optimiser, precision and memory layout; settings are those of the preset
`paper`, whose networks have no moving average of weights and no augmentation but flip and rotation. With
--augmentation all, the engine does what a recipe does by default, the moving average too, beside the same bare loop.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.timing import Timings, arguments_parser, machine, write_result
from lungassist.classes import CLASSES
from lungassist.device import choose_device
from lungassist.models.registry import architecture, build
from lungassist.training.allocator import keep_freed_memory
from lungassist.training.config import RunConfig
from lungassist.training.fit import fit
from lungassist.training.optimisation import optimiser_of
from lungassist.training.pixels import LabelledImages, Rows, placed_images
from lungassist.training.presets import load_presets
from lungassist.training.processes import launch
from lungassist.training.recipe import Recipe
from lungassist.training.reporter import Reporter
from lungassist.training.run import RunDirectory
from lungassist.training.state import EpochFigures, placed, start

NETWORKS = ("resnet50", "mobilenet_v3_small")
_LARGEST_GRADIENT = 5.0
#: Rounds that set things up and do not count.
_WARM_UP = 1
#: Images a step, and steps a round: of small networks more, since their steps are short. What a round's first step
#: costs more, after memory went back to the system, weighs little in an epoch of a hundred steps, and should here.
_BATCH = {"cpu": (16, 64), "cuda": (128, 512)}
_STEPS = {"cpu": (4, 8), "cuda": (40, 80)}
_LARGE = ("resnet50", "wide_resnet50_2", "densenet121", "vgg16", "vgg19_bn")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0."""
    p = arguments_parser("benchmarks.train_step", __doc__)
    p.add_argument("--networks", nargs="+", metavar="NAME", help=f"default: {' '.join(NETWORKS)}")
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    p.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="default: %(default)s")
    p.add_argument("--augmentation", choices=("paper", "all"), default="paper", help="default: %(default)s")
    p.add_argument("--batch", type=int, help="images a step (default: by network and device)")
    p.add_argument("--steps", type=int, help="a round (default: by network and device)")
    p.add_argument("--rounds", type=int, default=4, help="default: %(default)s")
    p.add_argument("--keep-memory", action="store_true", help="as runs do on a processor; without: as the system does")
    arguments = p.parse_args(argv)
    kept = arguments.keep_memory and keep_freed_memory()
    device = choose_device(arguments.device)
    names = arguments.networks or (("mobilenet_v3_small",) if arguments.quick else NETWORKS)
    rounds = 2 if arguments.quick else arguments.rounds
    networks = {}
    for name in names:
        small = name not in _LARGE
        batch = arguments.batch or _BATCH[device.type][small]
        steps = arguments.steps or _STEPS[device.type][small]
        recipe = recipe_of(name, arguments.augmentation, arguments.precision)
        if arguments.quick:
            recipe, batch, steps = replace(recipe, size=64), 4, 2
        recipe = replace(recipe, batch_size=batch, epochs=rounds + _WARM_UP)
        networks[name] = measure(recipe, steps, rounds, device)
    result = {
        "benchmark": "train_step",
        "machine": machine(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "precision": arguments.precision,
        "augmentation": arguments.augmentation,
        "keeps_memory": kept,
        "rounds": rounds,
        "networks": networks,
    }
    write_result(result, [_line(name, figures) for name, figures in networks.items()], arguments.json)
    return 0


def recipe_of(name: str, augmentation: str, precision: str) -> Recipe:
    """The preset's settings for its ResNet50, with another network and that network's default groups."""
    run = next(run for run in load_presets()["paper"].runs if run.name == "ResNet50")
    values = {**run.recipe.to_json(), "architecture": name, "groups": architecture(name).default_groups}
    recipe = Recipe.from_json({**values, "precision": precision})
    if augmentation == "paper":
        return recipe
    usual = Recipe()
    names = ("rotation", "shift", "scale", "exposure", "degrade", "averaging")
    return replace(recipe, **{field: getattr(usual, field) for field in names})


def measure(recipe: Recipe, steps: int, rounds: int, device: torch.device) -> dict[str, Any]:
    """Rates of one network and their ratio; engine and bare loop take turns."""
    torch.manual_seed(0)
    images = steps * recipe.batch_size
    with tempfile.TemporaryDirectory() as place:
        epochs = _engine(recipe, images, device, Path(place))
        bare = _bare(recipe, device)
        times: dict[str, list[float]] = {"engine": [], "bare": []}
        for number in range(rounds + _WARM_UP):
            for name in ("engine", "bare") if number % 2 else ("bare", "engine"):
                seconds = images / next(epochs).images_per_second if name == "engine" else bare(steps)
                if number >= _WARM_UP:
                    times[name].append(seconds)
        epochs.close()  # type: ignore[attr-defined]
    timings = Timings(times)
    rates = {name: round(images / statistics.median(values), 2) for name, values in times.items()}
    return {
        "batch": recipe.batch_size,
        "steps": steps,
        "size": recipe.size,
        "images_per_second": rates,
        "engine_to_bare": timings.ratio("bare", "engine"),
        "engine_to_bare_fastest": timings.ratio_of_fastest("bare", "engine"),
    }


def _engine(recipe: Recipe, images: int, device: torch.device, place: Path) -> Iterator[EpochFigures]:
    """A run's epochs, as `training.journey` goes through them, on noise in a memory-mapped file."""
    fabric = launch(device, recipe.precision)
    run = RunDirectory(place / "run")
    run.prepare(RunConfig("benchmark", place, recipe=recipe))
    report = Reporter(run, device)
    data = placed_images(_mapped(images, recipe.size, place), device)
    few = LabelledImages(Rows(data.images, np.arange(8)) if device.type == "cpu" else data.images[:8], data.labels[:8])
    state = start(placed(build(recipe.architecture, len(CLASSES)), device), recipe, images, fabric)

    def after_step(_step: int, steps: int, loss: torch.Tensor) -> None:
        report.step(state, recipe, images, steps, loss)

    yield from fit(state, data, few, recipe, classes=CLASSES, fabric=fabric, report=after_step)


def _mapped(images: int, size: int, place: Path) -> LabelledImages:
    path = place / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (images, size, size), np.uint8))
    rows = np.random.default_rng(1).permutation(images)  # a split's images lie scattered in the cache
    labels = torch.arange(images) % len(CLASSES)
    return LabelledImages(Rows(np.load(path, mmap_mode="r"), rows), labels)


def _bare(recipe: Recipe, device: torch.device) -> Callable[[int], float]:
    """A function that makes so many steps and says how many seconds they took."""
    state = start(placed(build(recipe.architecture, len(CLASSES)), device), replace(recipe, averaging=0.0), 64)
    model, parameters = state.model, [p for p in state.model.parameters() if p.requires_grad]
    optimiser = optimiser_of(model, recipe)
    batch = torch.randn(recipe.batch_size, 3, recipe.size, recipe.size, device=device)
    batch = batch.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(recipe.batch_size, device=device) % len(CLASSES)
    hold_frozen(model)

    def loop(steps: int) -> float:
        began = time.perf_counter()
        for _ in range(steps):
            with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                logits = model(batch)
            functional.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - began

    return loop


def hold_frozen(model: nn.Module) -> None:
    """Training mode, the batch norm of frozen parts in evaluation mode: as the engine has them."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
            module.eval()


def _line(name: str, figures: dict[str, Any]) -> str:
    rates = figures["images_per_second"]
    return (
        f"{name:20} batch {figures['batch']:4}   bare {rates['bare']:9.1f} images/s   "
        f"engine {rates['engine']:9.1f} images/s = {figures['engine_to_bare']:.3f} x "
        f"(fastest rounds {figures['engine_to_bare_fastest']:.3f} x)"
    )


if __name__ == "__main__":
    sys.exit(main())
