"""Train one network on a folder of images a class, evaluate it, and write what `weights/NAME` needs.

python -m train.finetune --data DIR --model resnet18 --epochs 30 --run-dir runs/resnet18
python -m train.finetune --resume runs/resnet18
torchrun --nproc-per-node 2 -m train.finetune --data DIR --run-dir runs/two
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from lungassist.errors import UsageError
from lungassist.training.config import RunConfig
from lungassist.training.failures import StopRequest
from lungassist.training.journey import finetune
from lungassist.training.recipe import Recipe, Setting
from lungassist.training.run import RunDirectory
from train.command import add_setting, carry_out

#: What may be said beside --resume: it changes no result.
_BESIDE_RESUME: Final = frozenset({"resume", "checkpoint_seconds"})


def parser() -> argparse.ArgumentParser:
    """The command line; every setting of a recipe is an option."""
    p = argparse.ArgumentParser(
        prog="python -m train.finetune",
        description=(__doc__ or "").splitlines()[0],
        argument_default=argparse.SUPPRESS,
    )
    p.add_argument("--data", type=Path, help="folder with CLASS/images/* or CLASS/*")
    p.add_argument("--metadata", type=Path, help="CSV with file, patient_id, source and further columns")
    p.add_argument("--split-file", type=Path, help="CSV with file and split, to be used instead of a new split")
    p.add_argument("--run-dir", type=Path, help="where everything about the run goes; a new folder")
    p.add_argument(
        "--resume", type=Path, metavar="RUN", help="go on, exactly, with the run in this folder (or start it)"
    )
    p.add_argument("--name", help="name in weights/ (default: the architecture's)")
    p.add_argument("--device", help="cpu, cuda or auto (default)")
    p.add_argument("--checkpoint-seconds", type=float, help="between checkpoints within an epoch (default 60)")
    for setting in Recipe.settings().values():
        _add(p, setting)
    return p


def _add(p: argparse.ArgumentParser, setting: Setting) -> None:
    if setting.name == "teachers":
        p.add_argument("--teachers", help=f"{setting.help} Comma-separated. Default: none.")
    elif setting.kind is tuple:
        text = f"{setting.help} Comma-separated; 'default' for the paper's. Default: {','.join(setting.default)}."
        p.add_argument(f"--{setting.name}", help=text)
    elif setting.name == "start":  # torchrun takes --start for an option of its own, cut short
        p.add_argument("--start-from", dest="start", help=f"{setting.help} Default: {setting.default}.")
    elif setting.name == "architecture":
        text = f"{setting.help} Default: {setting.default}."
        p.add_argument("--model", "--architecture", dest="architecture", choices=setting.choices, help=text)
    else:
        add_setting(p, setting)


def recipe_of(given: dict[str, Any]) -> Recipe:
    """The recipe that the options ask for."""
    from lungassist.models.registry import architecture

    values = {name: given[name] for name in Recipe.settings() if name in given}
    if "groups" in values:
        names = tuple(values["groups"].split(","))
        default = names == ("default",)
        chosen = values.get("architecture", Recipe.settings()["architecture"].default)
        values["groups"] = architecture(chosen).default_groups if default else names
    if "teachers" in values:
        values["teachers"] = tuple(filter(None, values["teachers"].split(",")))
    return Recipe.from_json(values)


def prepared_run(given: dict[str, Any]) -> RunDirectory:
    """The run that the options ask for, with its `config.json` written.

    Raises:
        UsageError: options that contradict each other, or a folder that holds a run already.
    """
    going_on = given.get("resume")
    if going_on is not None:
        if surplus := sorted(set(given) - _BESIDE_RESUME):
            raise UsageError(
                f"A run goes on as it began: --{surplus[0].replace('_', '-')} cannot be changed. "
                "Start a new run in another folder for that."
            )
        run = RunDirectory(going_on)
        run.config()
        return run
    if missing := [name for name in ("data", "run_dir") if name not in given]:
        raise UsageError(f"--{missing[0].replace('_', '-')} is needed (or --resume RUN).")
    recipe = recipe_of(given)
    config = RunConfig(
        name=given.get("name", recipe.architecture),
        data=given["data"],
        metadata=given.get("metadata"),
        split_file=given.get("split_file"),
        device=given.get("device", "auto"),
        recipe=recipe,
    )
    run = RunDirectory(given["run_dir"])
    if _is_first():
        run.prepare(config)
    else:
        _wait_for(run.config_file)
    return run


def _is_first() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


def _wait_for(path: Path, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.1)


def main(argv: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0 done, 1 failed, 2 wrong usage, 128 and the signal's number when stopped."""
    given = vars(parser().parse_args(argv))

    def work(run: RunDirectory, stop: StopRequest) -> None:
        finetune(run, stop=stop, seconds_between_checkpoints=given.get("checkpoint_seconds", 60.0))

    level = logging.INFO if _is_first() else logging.WARNING
    return carry_out(lambda: prepared_run(given), lambda run: run.is_done, work, level=level)


if __name__ == "__main__":
    sys.exit(main())
