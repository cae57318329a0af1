"""From arguments to an exit status; the only place where an error becomes a line on a terminal."""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Final

from lungassist.cli.parser import parser
from lungassist.errors import LungAssistError, UsageError, WeightsError

DONE: Final = 0
SOME_FAILED: Final = 1
NOT_STARTED: Final = 2
#: As a shell counts: 128 and the signal's number.
INTERRUPTED: Final = 130
READER_GONE: Final = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 1 something could not be used, 2 nothing was started (wrong usage, no usable model), 130 interrupted,
        141 when whoever read the output went away.

    Raises:
        SystemExit: from argparse, 0 after help, 2 for arguments that it refuses.
    """
    arguments = parser().parse_args(argv)
    if not _prepare_streams():
        return _failed("Standard output is closed: send it into a file or a pipe, or to /dev/null.", NOT_STARTED)
    try:
        status = _command(arguments)
        sys.stdout.flush()
    except LungAssistError as error:
        return _failed(str(error), NOT_STARTED if isinstance(error, (UsageError, WeightsError)) else SOME_FAILED)
    except KeyboardInterrupt:
        return _failed("Interrupted.", INTERRUPTED)
    except BrokenPipeError:
        _drop_output()
        return READER_GONE
    except OSError as error:
        return _failed(f"The result could not be written: {error}.", SOME_FAILED)
    return status


def _command(arguments: argparse.Namespace) -> int:
    if arguments.command == "triage":
        from lungassist.cli.triage import run
    elif arguments.command == "models":
        from lungassist.cli.models import run
    elif arguments.command == "jobs":
        from lungassist.cli.jobs import run
    elif arguments.command == "operating-point":
        from lungassist.cli.operating_point import run
    elif arguments.command == "evaluate":
        from lungassist.cli.evaluate import run
    elif arguments.command == "ensemble":
        from lungassist.cli.ensemble import run
    elif arguments.command == "compare":
        from lungassist.cli.compare import run
    else:
        from lungassist.cli.phantoms import run
    return run(arguments)


def _prepare_streams() -> bool:
    """A letter that the terminal's encoding lacks is escaped; libraries' warnings do not mix with results.

    Returns:
        Whether there is an output: a shell may close it (`>&-`), and the next file that is opened would take its place.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 -- no place for a Path, stays open
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    return sys.stdout is not None


def _failed(message: str, status: int) -> int:
    sys.stderr.write(f"{' '.join(message.split())}\n")
    return status


def _drop_output() -> None:
    """Send what is still buffered nowhere, or Python complains of the broken pipe once more when it ends."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 -- os.devnull is no place for a Path
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
