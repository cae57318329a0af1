"""What a run would cost, from a short measurement in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from lungassist.errors import TrainingError
from lungassist.files import write_json
from lungassist.training.config import RunConfig

_ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Expected of a run: seconds of training in all and an epoch, images a second, bytes of memory at the peak."""

    seconds: float
    seconds_per_epoch: float
    images_per_second: float
    peak_memory_bytes: int | None

    @classmethod
    def from_json(cls, values: Any) -> Estimate:
        """Read what `python -m train.estimate --json` printed.

        Raises:
            TrainingError: it is something else.
        """
        try:
            peak = values.get("peak_memory_bytes")
            return cls(
                seconds=float(values["seconds"]),
                seconds_per_epoch=float(values["seconds_per_epoch"]),
                images_per_second=float(values["images_per_second"]),
                peak_memory_bytes=None if peak is None else int(peak),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise TrainingError(f"The measurement did not say what was expected ({error}). Try it again.") from error


class Measurement:
    """A measurement under way. It is polled, so that the page stays usable.

    Args:
        config: the run that it is for.
        images: of its training split.
        command: what follows `python -m`, before the options.
        classes: of the images, which the teachers must know; by default those of the first teacher.
    """

    def __init__(
        self,
        config: RunConfig,
        images: int,
        command: tuple[str, ...] = ("train.estimate",),
        *,
        classes: Sequence[str] = (),
    ) -> None:
        self.config = config
        self._images = images
        self._folder = tempfile.TemporaryDirectory(prefix="lungassist-estimate-")
        here = Path(self._folder.name)
        write_json(here / "config.json", config.to_json())
        self._output, self._errors = here / "output", here / "errors"
        named = (f"--class={name}" for name in classes)  # a name may begin with a dash
        options = ("--config", str(here / "config.json"), "--images", str(images), "--json", *named)
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command, *options], cwd=_ROOT, stdout=output, stderr=errors
            )

    @property
    def is_active(self) -> bool:
        """Whether it is under way."""
        return self._process.poll() is None

    def is_for(self, config: RunConfig, images: int) -> bool:
        """Whether this is what was measured; a name changes nothing."""
        return self._images == images and replace(config, name=self.config.name) == self.config

    def poll(self) -> Estimate | None:
        """The estimate; None while it is being measured.

        Raises:
            TrainingError: it could not be measured; the message says why.
        """
        status = self._process.poll()
        if status is None:
            return None
        if status != 0:
            raise TrainingError(self._complaint(status))
        try:
            values = json.loads(self._output.read_text(encoding="utf-8"))
        except ValueError as error:
            raise TrainingError(f"The measurement did not answer in JSON ({error}). Try it again.") from error
        return Estimate.from_json(values)

    def _complaint(self, status: int) -> str:
        said = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if said:
            return said[-1]
        if status < 0:
            return f"The measurement was ended by signal {-status}; the memory may not have sufficed."
        return f"The measurement ended with status {status} and said nothing."

    def stop(self) -> None:
        """End it, and forget its files."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._folder.cleanup()
