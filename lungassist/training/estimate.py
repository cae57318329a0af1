"""What a run would take, from a short measurement of the engine's own steps on images that mean nothing.

Time and memory are measured at two small batch sizes and drawn out in a straight line to the recipe's: what a step
costs apart from its images (the optimiser, the moving average) does not grow with them. Weights are random, so nothing
is downloaded. Memory is the process's, so a measurement wants a process of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import nn

from lungassist.classes import CLASSES
from lungassist.device import choose_device
from lungassist.errors import TrainingError, UsageError
from lungassist.models.card import Card
from lungassist.models.registry import architecture, build, group_names, parameter_shares, parameters_of
from lungassist.models.weights import CARD_FILE
from lungassist.settings import Settings
from lungassist.training.batch_norm import with_clean_statistics
from lungassist.training.failures import is_out_of_memory
from lungassist.training.fit import fit
from lungassist.training.judge import judge
from lungassist.training.pixels import LabelledImages, Rows
from lungassist.training.processes import launch
from lungassist.training.recipe import Recipe
from lungassist.training.starting import model_folder
from lungassist.training.state import FitState, placed, start
from lungassist.training.steps import steps_in_epoch
from lungassist.training.surroundings import Surroundings, chests_everywhere, find_chests
from lungassist.training.teachers import Teachers

#: Of the training images: those of the validation split, and of all splits (80/10/10).
_VALIDATION: Final = 1 / 8
_ALL: Final = 10 / 8
#: Images at a time when a network is judged, and images that clean statistics are measured on.
_JUDGED_AT_ONCE: Final = 64
_CLEAN_SAMPLE: Final = 2048

_SMALL: Final = {"cpu": 2, "cuda": 16}
_LARGE: Final = {"cpu": 32, "cuda": 128}
#: Seconds that the steps of one batch size may take; a few are always made.
_SECONDS: Final = 1.0
_LEAST_STEPS: Final = 3
_MOST_STEPS: Final = 12
#: How much longer a step is expected to take than judging as many images.
_STEP_TO_JUDGING: Final = 2.0
_DIFFERENT_IMAGES: Final = 32
#: Of the larger batch's time that is the images', at least, whatever the smaller one says.
_LEAST_SHARE: Final = 0.25
_LINUX_STATUS: Final = Path("/proc/self/status")
_LINUX_FORGET_PEAK: Final = Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class Estimate:
    """Expected of a run.

    Attributes:
        device: cpu or cuda.
        images: that it trains on.
        images_per_second: in training.
        seconds_per_epoch: training, clean batch-norm statistics unless they are held, and validation.
        seconds: all epochs (early stopping may end sooner), finding the lungs where surroundings are exchanged, and the
            final predictions; images are in the cache.
        peak_memory_bytes: of the process on the CPU, of its tensors on a GPU; None where it cannot be measured.
        trained_share: of the network's parameters, in [0, 1].
    """

    device: str
    images: int
    images_per_second: float
    seconds_per_epoch: float
    seconds: float
    peak_memory_bytes: int | None
    trained_share: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Costs:
    """Seconds and peak bytes of something at two numbers of images."""

    sizes: tuple[int, int]
    seconds: tuple[float, float]
    peaks: tuple[int, int]

    def seconds_at(self, images: float) -> float:
        return _on_line(self.sizes, self.seconds, images)

    def peak_at(self, images: float) -> float:
        (first, second), (low, high) = self.sizes, self.peaks
        return high + max(high - low, 0) / (second - first) * (images - second)


def _on_line(sizes: tuple[int, int], values: tuple[float, float], size: float) -> float:
    """The value at `size`, on the line through both; one that a busy machine bent out of all reason is put right."""
    (first, second), (low, high) = sizes, values
    slope = (high - low) / (second - first)
    return high + min(max(slope, _LEAST_SHARE * high / second), high / second) * (size - second)


def estimate(
    recipe: Recipe,
    images: int,
    device: str = "auto",
    settings: Settings | None = None,
    classes: tuple[str, ...] | None = None,
) -> Estimate:
    """Measure for some seconds what a run of `recipe` on `images` training images would take.

    Args:
        recipe: the run's.
        images: that it would train on.
        device: `auto`, `cpu` or `cuda`.
        settings: where the recipe's teachers are looked for; by default the installation's.
        classes: of the images; by default those of the first teacher or, without one, the database's.

    Raises:
        UsageError: there are too few images for a step, no such device, no such teacher, or one of other classes.
        TrainingError: not even the small batches fit into memory.
    """
    steps = steps_in_epoch(images, recipe.batch_size)
    if not steps:
        raise UsageError(f"{images} training images are too few for a step. At least 2 are needed.")
    place = choose_device(device)
    fabric = launch(place, recipe.precision)
    torch.manual_seed(recipe.seed)
    settings = settings or Settings.from_environment()
    classes = classes or _classes_of(recipe, settings)
    model = placed(build(recipe.architecture, len(classes)), place)
    teachers = Teachers.of(recipe, classes, settings, place)
    try:
        training, judging, cleaning = _measured(model, recipe, fabric, teachers, classes)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            "Not even a few images at a time fit into memory. Choose smaller images or a smaller network."
        ) from error
    a_step = training.seconds_at(min(recipe.batch_size, images))
    trained = a_step * images / min(recipe.batch_size, images)
    cleaned = cleaning.seconds_at(min(images, _CLEAN_SAMPLE)) if _has_trained_batch_norm(model, recipe) else 0.0
    once = recipe.batch_norm == "held" or not recipe.epochs
    epoch = trained + _judged(judging, images * _VALIDATION) + (0.0 if once else cleaned)
    peak = max(training.peak_at(recipe.batch_size), judging.peak_at(min(_JUDGED_AT_ONCE, images * _ALL))) + _resident(
        recipe, images, place
    )
    shares = parameter_shares(recipe.architecture)
    return Estimate(
        device=place.type,
        images=images,
        images_per_second=round(images / trained, 3),
        seconds_per_epoch=round(epoch, 3),
        seconds=round(
            epoch * recipe.epochs
            + _judged(judging, images * _ALL)
            + (cleaned if once else 0.0)
            + _finding_lungs(recipe, images),
            3,
        ),
        peak_memory_bytes=int(peak) if min(training.peaks) else None,
        trained_share=round(
            sum(shares[group] for group in group_names(architecture(recipe.architecture), recipe.groups)), 6
        ),
    )


def _classes_of(recipe: Recipe, settings: Settings) -> tuple[str, ...]:
    """Those of the first teacher: what the others, and the images, must have too."""
    if not recipe.teachers:
        return CLASSES
    return Card.read(model_folder(recipe.teachers[0], settings) / CARD_FILE, forget_point=True).classes


def _judged(judging: _Costs, images: float) -> float:
    return judging.seconds_at(_JUDGED_AT_ONCE) * images / _JUDGED_AT_ONCE


def _finding_lungs(recipe: Recipe, images: int) -> float:
    if not recipe.surroundings:
        return 0.0
    some = _images(_DIFFERENT_IMAGES * recipe.workers, recipe).images
    find_chests(_images(1, recipe).images)  # outlines are placed once
    began = time.perf_counter()
    find_chests(some, workers=recipe.workers)
    return (time.perf_counter() - began) * images / len(some)


def _measured(
    model: nn.Module, recipe: Recipe, fabric: Fabric, teachers: Teachers | None, classes: tuple[str, ...]
) -> tuple[_Costs, _Costs, _Costs]:
    """Costs of a step, of judging and of clean statistics."""
    device, steps = fabric.device, _StepTimer(model, recipe, fabric, teachers, classes)

    def judging(count: int) -> float:
        return _timed(lambda: judge(model, _images(count, recipe, len(classes)), recipe, classes, fabric), device)

    def cleaning(count: int) -> float:
        return _timed(lambda: with_clean_statistics(model, _images(count, recipe).images, recipe), device)

    small = _SMALL[device.type]
    judging(small)  # sets things up
    # As large as can be done a few times within some seconds; near the small one the line would be uncertain.
    fastest = min(judging(small) for _ in range(3))
    affordable = int(small * _SECONDS / (_STEP_TO_JUDGING * fastest))
    sizes = (small, max(2 * small, min(_LARGE[device.type], affordable, recipe.batch_size)))
    training, judged, cleaned = (_costs(work, sizes, device) for work in (steps.seconds, judging, cleaning))
    return training, judged, cleaned


def _costs(work: Callable[[int], float], sizes: tuple[int, int], device: torch.device) -> _Costs:
    (low, low_peak), (high, high_peak) = (_watched(lambda size=size: work(size), device) for size in sizes)  # type: ignore[misc]
    return _Costs(sizes, (low, high), (low_peak, high_peak))


class _Enough(Exception):  # noqa: N818 -- it ends a measurement, and is no error
    """Enough steps were measured."""


class _StepTimer:
    """Makes steps of the engine's own loop and says how long one takes."""

    def __init__(
        self, model: nn.Module, recipe: Recipe, fabric: Fabric, teachers: Teachers | None, classes: tuple[str, ...]
    ) -> None:
        self._model, self._recipe, self._fabric, self._teachers = model, recipe, fabric, teachers
        self._classes = classes

    def seconds(self, batch_size: int) -> float:
        """The fastest of some steps, which a busy machine disturbs least; the first, which sets up, does not count."""
        recipe = replace(self._recipe, batch_size=batch_size, epochs=1, patience=0)
        data = _images(batch_size * (_MOST_STEPS + 1), recipe, len(self._classes))
        state: FitState = start(self._model, recipe, len(data.labels), self._fabric)
        ends: list[float] = []

        def note(_step: int, _steps: int, loss: torch.Tensor) -> None:
            float(loss)  # waits for the GPU
            ends.append(time.perf_counter())
            if len(ends) > _LEAST_STEPS and ends[-1] - ends[0] > _SECONDS:
                raise _Enough

        epochs = fit(
            state,
            data,
            data,
            recipe,
            classes=self._classes,
            fabric=self._fabric,
            report=note,
            teachers=self._teachers,
            surroundings=_surroundings(data, recipe),
        )
        with suppress(_Enough):
            for _ in epochs:
                pass
        return min(later - earlier for earlier, later in pairwise(ends))


def _surroundings(data: LabelledImages, recipe: Recipe) -> Surroundings | None:
    """Of chests that fill the pictures: there are none to be found in noise, and none is cheaper than another."""
    if not recipe.surroundings:
        return None
    return Surroundings(data, chests_everywhere(len(data.labels)), recipe.surroundings)


def _images(count: int, recipe: Recipe, classes: int = len(CLASSES)) -> LabelledImages:
    """Noise, with as many labels; few different images, since what is in them costs nothing."""
    noise = np.random.default_rng(0).integers(0, 256, (_DIFFERENT_IMAGES, recipe.size, recipe.size), np.uint8)
    rows = np.arange(count, dtype=np.int64) % _DIFFERENT_IMAGES
    return LabelledImages(Rows(noise, rows), torch.from_numpy(rows % classes))


def _timed(work: Callable[[], object], device: torch.device) -> float:
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def _watched(work: Callable[[], float], device: torch.device) -> tuple[float, int]:
    """What `work` returns, and the peak of memory meanwhile in bytes; 0 where it cannot be known."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return work(), torch.cuda.max_memory_allocated(device)
    with suppress(OSError):
        _LINUX_FORGET_PEAK.write_text("5", encoding="ascii")
    return work(), _peak_of_process()


def _peak_of_process() -> int:
    try:
        lines = _LINUX_STATUS.read_text(encoding="utf-8").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    except (OSError, StopIteration, ValueError, IndexError):
        return 0


def _resident(recipe: Recipe, images: int, device: torch.device) -> float:
    """Bytes of the images that the engine keeps on a GPU."""
    return images * (1 + _VALIDATION) * recipe.size**2 if device.type == "cuda" else 0.0


def _has_trained_batch_norm(model: nn.Module, recipe: Recipe) -> bool:
    parts = parameters_of(model, architecture(recipe.architecture), recipe.groups)
    return any(isinstance(module, nn.BatchNorm2d) for part in parts for module in part.modules())
