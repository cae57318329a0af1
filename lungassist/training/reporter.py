"""Tells where a run stands: its status file for pages, its log for people, TensorBoard for curves."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final

import torch

from lungassist.training.recent_rate import RecentRate
from lungassist.training.recipe import Recipe
from lungassist.training.run import RunDirectory
from lungassist.training.state import EpochFigures, FitState

log = logging.getLogger(__name__)

_SECONDS_BETWEEN: Final = 0.5
_IMAGES_A_LOG_LINE: Final = 2048


class Reporter:
    """Writes a run's status about twice a second at most.

    Args:
        run: whose status.
        device: what it computes on.
        enabled: False in all processes of a run but the first.
    """

    def __init__(self, run: RunDirectory, device: torch.device, *, enabled: bool = True) -> None:
        self._run = run
        self._enabled = enabled
        self._device = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
        self._written = 0.0
        self._rate = RecentRate()
        self._after_training = 0.0

    def say(self, state: str, message: str, **more: Any) -> None:
        """Write at once."""
        if self._enabled:
            self._run.set_status(state, message=message, device=self._device, **more)
            self._written = time.monotonic()

    def counting(self, state: str, message: str) -> Callable[[int, int], None]:
        """A function of (done, total) that reports now and then."""
        logged = 0

        def tell(done: int, total: int) -> None:
            nonlocal logged
            if self._is_due or done == total:
                self.say(state, message, done=done, total=total)
            if self._enabled and (done - logged >= _IMAGES_A_LOG_LINE or (done == total and done > logged)):
                logged = done
                log.info("%s: %d of %d", message, done, total)

        return tell

    def step(self, state: FitState, recipe: Recipe, images: int, steps: int, loss: torch.Tensor) -> None:
        """After a step of an epoch with `images` images."""
        if not self._is_due and state.step < steps:
            return
        done = state.epoch * images + min(state.step * recipe.batch_size, images)
        rate = self._rate.at(done)
        left = None
        if rate:
            epochs = recipe.epochs - state.epoch
            left = (recipe.epochs * images - done) / rate + epochs * self._after_training
        self.say(
            "training",
            f"Epoch {state.epoch + 1} of {recipe.epochs}",
            epoch=state.epoch + 1,
            epochs=recipe.epochs,
            step=state.step,
            steps=steps,
            loss=_finite(float(loss)),
            images_per_second=rate,
            seconds_left=left,
        )

    def epoch(self, figures: EpochFigures, recipe: Recipe, images: int) -> None:
        """After an epoch."""
        self._after_training = max(0.0, figures.seconds - images / max(figures.images_per_second, 1e-9))
        self._rate.clear()  # what was spent on validation is not training
        log.info(
            "epoch %d of %d: train loss %.4f accuracy %.4f, validation loss %.4f accuracy %.4f, "
            "contagious called Normal %d, %.0f s, %.1f images/s",
            figures.epoch,
            recipe.epochs,
            figures.train_loss,
            figures.train_accuracy,
            figures.validation_loss,
            figures.validation_accuracy,
            figures.contagious_called_normal,
            figures.seconds,
            figures.images_per_second,
        )

    @property
    def _is_due(self) -> bool:
        return self._enabled and time.monotonic() - self._written >= _SECONDS_BETWEEN


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


class Curves:
    """The figures of every epoch for TensorBoard, where it is installed.

    Args:
        run: whose curves.
        enabled: False in all processes of a run but the first.
    """

    def __init__(self, run: RunDirectory, *, enabled: bool = True) -> None:
        self._logger: Any = None
        if enabled and find_spec("tensorboard"):
            from lightning.fabric.loggers.tensorboard import TensorBoardLogger

            self._logger = TensorBoardLogger(run.tensorboard, name="", version="")
        elif enabled:
            log.info("TensorBoard is not installed, so no curves are written for it; epochs.csv has the figures.")

    def add(self, figures: EpochFigures) -> None:
        """Write one epoch's figures."""
        if self._logger is None:
            return
        values = {
            "loss/train": figures.train_loss,
            "loss/validation": figures.validation_loss,
            "accuracy/train": figures.train_accuracy,
            "accuracy/validation": figures.validation_accuracy,
            "called Normal/validation": figures.contagious_called_normal,
            "learning rate": figures.learning_rate,
            "images per second": figures.images_per_second,
        }
        self._logger.log_metrics(values, step=figures.epoch)
        self._logger.save()

    def close(self) -> None:
        """Flush what is not written yet."""
        if self._logger is not None:
            self._logger.finalize("success")
