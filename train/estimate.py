"""Say how long a run would take and how much memory, from a measurement of some seconds.

python -m train.estimate --config RUN/config.json
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lungassist.dataset import index_folder
from lungassist.errors import LungAssistError, UsageError
from lungassist.training.allocator import keep_freed_memory
from lungassist.training.baseline_recipe import KIND
from lungassist.training.config import RunConfig
from lungassist.training.estimate import Estimate, estimate
from train.command import start_log


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m train.estimate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--config", type=Path, required=True, help="config.json of a run; the run need not have begun")
    p.add_argument("--images", type=int, help="training images (default: 80 %% of those in the run's folder)")
    p.add_argument(
        "--class",
        dest="classes",
        action="append",
        metavar="NAME",
        help="of the images, once for each (default: those of the run's folder; with --images the first teacher's)",
    )
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    return p


def config_of(path: Path) -> RunConfig:
    """The run's configuration.

    Raises:
        LungAssistError: there is none, or it is none of a fine-tuning run.
    """
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a run's configuration ({error}).") from error
    if isinstance(values, dict) and values.get("kind") == KIND:
        raise UsageError("Only fine-tuning can be estimated; the baseline takes some minutes on a processor.")
    return RunConfig.from_json(values)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status: 0 done, 1 failed, 2 wrong usage."""
    arguments = parser().parse_args(argv)
    start_log(logging.WARNING)
    keep_freed_memory()  # as the run itself will
    try:
        config = config_of(arguments.config)
        images, classes = arguments.images, tuple(sorted(arguments.classes or ())) or None
        if images is None:
            index = index_folder(config.data, config.metadata)
            images, classes = len(index.table) * 8 // 10, classes or index.classes
        result = estimate(config.recipe, images, config.device, classes=classes)
    except LungAssistError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, UsageError) else 1
    text = json.dumps(result.to_json(), indent=2) if arguments.json else _sentences(result)
    sys.stdout.write(text + "\n")
    return 0


def _sentences(result: Estimate) -> str:
    memory = "unknown" if result.peak_memory_bytes is None else f"{result.peak_memory_bytes / 2**30:.1f} GiB"
    return (
        f"{result.images} training images on {result.device}, {result.trained_share:.0%} of the parameters train: "
        f"{result.images_per_second:.1f} images/s, {_clock(result.seconds_per_epoch)} an epoch, "
        f"{_clock(result.seconds)} in all, {memory} of memory at the peak."
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


if __name__ == "__main__":
    sys.exit(main())
