"""Train one network on a folder in the database's layout, evaluate it, and write what `weights/NAME` needs.

python -m train.finetune --data DIR --model resnet18 --epochs 30 --run-dir runs/resnet18
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from lungassist.errors import LungAssistError
from lungassist.training.journey import finetune
from lungassist.training.recipe import Recipe

_DEFAULT = Recipe()


def parser() -> argparse.ArgumentParser:
    """The command line; defaults are the recipe's."""
    p = argparse.ArgumentParser(prog="python -m train.finetune", description=(__doc__ or "").splitlines()[0])
    p.add_argument("--data", type=Path, required=True, help="folder with CLASS/images/* or CLASS/*")
    p.add_argument("--metadata", type=Path, help="CSV with file, patient_id, source")
    p.add_argument("--run-dir", type=Path, required=True, help="where everything about the run goes")
    p.add_argument("--name", help="name in weights/ (default: the architecture's)")
    p.add_argument("--resume", action="store_true", help="go on from the run directory's last checkpoint")
    p.add_argument("--device", default="auto", help="cpu, cuda or auto (default)")
    p.add_argument("--workers", type=int, default=4, help="threads that read images (default 4)")
    p.add_argument("--model", dest="architecture", default=_DEFAULT.architecture, help="an architecture's name")
    p.add_argument("--start", default=_DEFAULT.start, help="imagenet (default), scratch, or a folder in weights/")
    p.add_argument("--groups", default="all", help="comma-separated fine-tuning groups, 'default', or 'all'")
    for name in ("size", "epochs", "batch_size", "seed"):
        _setting(p, name, int)
    for name in ("learning_rate", "weight_decay", "label_smoothing", "averaging"):
        _setting(p, name, float)
    for name in ("rotation", "shift", "scale", "exposure"):
        _setting(p, name, float)
    for name in ("normalisation", "enhancement", "optimiser", "schedule", "precision"):
        _setting(p, name, str)
    p.add_argument("--no-flip", dest="flip", action="store_false", help="do not mirror images")
    p.add_argument("--no-degrade", dest="degrade", action="store_false", help="no blur, noise, markers, covers")
    return p


def _setting(p: argparse.ArgumentParser, name: str, kind: type) -> None:
    default = getattr(_DEFAULT, name)
    p.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, help=f"default {default}")


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """The recipe that the command line asks for."""
    from lungassist.models.registry import architecture

    values = {name: getattr(arguments, name) for name in _DEFAULT.to_json() if name != "groups"}
    groups = tuple(arguments.groups.split(","))
    if groups == ("default",):
        groups = architecture(arguments.architecture).default_groups
    return Recipe(**values, groups=groups)


def main(argv: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0 done, 1 failed, 2 wrong usage (argparse)."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    arguments = parser().parse_args(argv)
    try:
        finetune(
            recipe_of(arguments),
            data=arguments.data,
            metadata=arguments.metadata,
            run_dir=arguments.run_dir,
            name=arguments.name or arguments.architecture,
            resume=arguments.resume,
            device=arguments.device,
            workers=arguments.workers,
        )
    except LungAssistError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
