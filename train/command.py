"""What the commands of training have in common: an option a setting, where the log goes, and how a run ends."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from lungassist.errors import LungAssistError
from lungassist.training.allocator import keep_freed_memory
from lungassist.training.failures import CancelledError, StopRequest
from lungassist.training.recipe import Setting
from lungassist.training.run import RunDirectory

log = logging.getLogger(__name__)

#: A command's exit status after a signal is this and the signal's number.
SIGNALLED: Final = 128
_LOG_LINE: Final = "%(asctime)s %(message)s"


def add_setting(p: argparse.ArgumentParser, setting: Setting) -> None:
    """Make an option of a setting."""
    flag = f"--{setting.name.replace('_', '-')}"
    text = setting.help.replace("%", "%%")
    if setting.kind is bool:
        default = "yes" if setting.default else "no"
        p.add_argument(flag, action=argparse.BooleanOptionalAction, help=f"{text} Default: {default}.")
        return
    span = f" {setting.low:g} to {setting.high:g}." if setting.low is not None else ""
    choices = setting.choices or None
    p.add_argument(flag, type=setting.kind, choices=choices, help=f"{text}{span} Default: {setting.default}.")


def start_log(level: int = logging.INFO) -> None:
    """Log to standard error."""
    warnings.filterwarnings("ignore", module="lightning.*")
    logging.basicConfig(level=level, format=_LOG_LINE, stream=sys.stderr)


def carry_out(
    prepare: Callable[[], RunDirectory],
    is_done: Callable[[RunDirectory], bool],
    work: Callable[[RunDirectory, StopRequest], object],
    *,
    level: int = logging.INFO,
) -> int:
    """Prepare one run and carry it out.

    Returns:
        The exit status: 0 done, 1 failed, 2 wrong usage, 128 and the signal's number when stopped.
    """
    start_log(level)
    keep_freed_memory()
    try:
        run = prepare()
    except LungAssistError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if is_done(run):
        sys.stderr.write(f"The run in {run.path} is done already; what came out is in {run.model}.\n")
        return 0
    handler, stop = log_to(run.log), StopRequest()
    try:
        with stop.listening():
            work(run, stop)
    except CancelledError as error:
        log.info("%s", error)
        return SIGNALLED + error.signal_number
    except LungAssistError as error:
        log.error("%s", error, exc_info=error.__cause__ is not None)
        return 1
    except Exception:
        log.exception("The run ended with an error that nobody foresaw.")
        raise
    finally:
        if handler is not None:
            logging.getLogger().removeHandler(handler)
            handler.close()
    return 0


def log_to(path: Path) -> logging.Handler | None:
    """Write the log into the run's directory too, unless that is where standard error goes already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    here, there = os.fstat(sys.stderr.fileno()) if _is_file(sys.stderr) else None, path.stat()
    if here is not None and (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
        handler.close()
        return None
    handler.setFormatter(logging.Formatter(_LOG_LINE))
    logging.getLogger().addHandler(handler)
    return handler


def _is_file(stream: Any) -> bool:
    try:
        return isinstance(stream.fileno(), int)
    except (OSError, ValueError, AttributeError):
        return False
