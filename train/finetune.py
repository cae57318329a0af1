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
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from lungassist.errors import LungAssistError, UsageError
from lungassist.training.config import RunConfig
from lungassist.training.failures import CancelledError, StopRequest
from lungassist.training.journey import finetune
from lungassist.training.recipe import Recipe, Setting
from lungassist.training.run import RunDirectory

log = logging.getLogger(__name__)

#: A command's exit status after a signal is this and the signal's number.
_SIGNALLED: Final = 128
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
    flags = [f"--{setting.name.replace('_', '-')}"]
    if setting.name == "architecture":
        flags.insert(0, "--model")
    if setting.name == "start":  # torchrun takes --start for an option of its own, cut short
        flags = ["--start-from"]
    if setting.kind is bool:
        text = f"{setting.help} Default: {'yes' if setting.default else 'no'}."
        p.add_argument(*flags, action=argparse.BooleanOptionalAction, help=text)
    elif setting.kind is tuple:
        text = f"{setting.help} Comma-separated; 'default' for the paper's. Default: {','.join(setting.default)}."
        p.add_argument(*flags, help=text.replace("%", "%%"))
    else:
        span = f" {setting.low:g} to {setting.high:g}." if setting.low is not None else ""
        text = f"{setting.help}{span} Default: {setting.default}."
        choices = setting.choices or None
        p.add_argument(*flags, dest=setting.name, type=setting.kind, choices=choices, help=text.replace("%", "%%"))


def recipe_of(given: dict[str, Any]) -> Recipe:
    """The recipe that the options ask for."""
    from lungassist.models.registry import architecture

    values = {name: given[name] for name in Recipe.settings() if name in given}
    if "groups" in values:
        names = tuple(values["groups"].split(","))
        default = names == ("default",)
        chosen = values.get("architecture", Recipe.settings()["architecture"].default)
        values["groups"] = architecture(chosen).default_groups if default else names
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
    warnings.filterwarnings("ignore", module="lightning.*")
    logging.basicConfig(
        level=logging.INFO if _is_first() else logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr
    )
    given = vars(parser().parse_args(argv))
    try:
        run = prepared_run(given)
    except LungAssistError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if run.is_done:
        sys.stderr.write(f"The run in {run.path} is done already; its model is in {run.model}.\n")
        return 0
    _log_to(run.log)
    stop = StopRequest()
    try:
        with stop.listening():
            finetune(run, stop=stop, seconds_between_checkpoints=given.get("checkpoint_seconds", 60.0))
    except CancelledError as error:
        log.info("%s", error)
        return _SIGNALLED + error.signal_number
    except LungAssistError as error:
        log.error("%s", error, exc_info=error.__cause__ is not None)
        return 1
    except Exception:
        log.exception("The run ended with an error that nobody foresaw.")
        raise
    return 0


def _log_to(path: Path) -> None:
    """Write the log into the run's directory too, unless that is where standard error goes already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    here, there = os.fstat(sys.stderr.fileno()) if _is_file(sys.stderr) else None, path.stat()
    if here is not None and (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
        handler.close()
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logging.getLogger().addHandler(handler)


def _is_file(stream: Any) -> bool:
    try:
        return isinstance(stream.fileno(), int)
    except (OSError, ValueError, AttributeError):
        return False


if __name__ == "__main__":
    sys.exit(main())
