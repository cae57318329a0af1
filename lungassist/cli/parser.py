"""The arguments of `python -m lungassist` and their help. Imports nothing heavy, so that `--help` answers at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from lungassist import __version__
from lungassist.classes import CLASSES

#: `explain.METHODS` and `overlay.COLOUR_MAPS` by name; reading them there would import torch and OpenCV.
METHODS: Final = ("gradcam", "hirescam", "gradcam++", "eigencam")
COLOUR_MAPS: Final = ("inferno", "viridis", "magma", "jet")
DEVICES: Final = ("auto", "cpu", "cuda")

NOTICE: Final = "Decision support only: no medical device, no stand-alone diagnosis."

_EXAMPLES: Final = """\
examples:
  python -m lungassist phantoms demo
  python -m lungassist triage demo --heatmaps maps
  python -m lungassist triage study.dcm ward.zip --json > findings.jsonl
  python -m lungassist models
  python -m lungassist jobs
"""

_TRIAGE: Final = f"""\
Classify chest X-rays and, with --heatmaps, paint what the finding rests on. {NOTICE}
Reads PNG, JPEG, TIFF, WebP and DICOM, alone, in folders and in ZIP archives.
"""

_TRIAGE_MORE: Final = """\
with --json, each study is one line of standard output, in the order of the input:
  file, sha256, model, model_version, finding, probabilities (a number a class), suspected_contagious,
  warnings (sentences), heatmap (a path or null), operating_point, margin, plausible
a file that cannot be used gives instead:
  file, error (code, message)

exit status:
  0  every file was used
  1  at least one was not
  2  nothing was started: wrong usage, or no usable model
"""

_MODELS_MORE: Final = """\
with --json, each model is one line of standard output:
  name, architecture, version, input_size, test_accuracy, covid_recall, called_normal (a count a class),
  expected_calibration_error, bytes, default, verified, problem; what is unknown is null

exit status:
  0  every model is usable
  1  at least one is broken, or there is none
"""

JOB_ACTIONS: Final = ("list", "show", "cancel", "resume", "delete", "log")

_JOBS: Final = """\
Show and steer training jobs; they run on, with or without the app. Every call also starts what waits and can start.
"""

_JOBS_MORE: Final = """\
actions:
  list          every job, newest first (default)
  show ID       one job
  cancel ID     stop it; its last checkpoint stays
  resume ID     go on with one that failed or was cancelled
  delete ID     forget one that does not run; with --with-run, remove its run directory too
  log ID        the end of what it printed

with --json, each job is one line of standard output:
  id, kind, title, state (queued, running, cancelling, done, failed, cancelled), cause, resource, position (in the
  queue, or null), host, pid, run_dir, arguments, created, started, ended (ISO 8601, UTC, or null), details

exit status:
  0  done
  1  the job or the database refused; standard error says why
  2  wrong usage
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="python -m lungassist",
        description=f"Triage of chest X-rays with heat maps. {NOTICE}",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"LungAssist {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_triage(_command(commands, "triage", "classify studies and explain the findings", _TRIAGE, _TRIAGE_MORE))
    models = "List the models in weights/, how well they did on their test images, and whether their files are whole."
    _add_models(_command(commands, "models", "list the trained models and check them", models, _MODELS_MORE))
    phantoms = "Write a synthetic chest X-ray of each class, to try LungAssist without an image of one's own."
    _add_phantoms(_command(commands, "phantoms", "write synthetic chest X-rays to try with", phantoms, None))
    _add_jobs(_command(commands, "jobs", "list, stop and resume training jobs", _JOBS, _JOBS_MORE))
    return top


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    description: str,
    epilog: str | None,
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_triage(p: argparse.ArgumentParser) -> None:
    p.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file, a folder or a ZIP archive")
    p.add_argument("--model", metavar="NAME", help="a folder of weights/ (default: the bundled model; see `models`)")
    p.add_argument("--json", action="store_true", help="write a JSON object a line instead of a table")
    maps = p.add_argument_group("heat maps")
    maps.add_argument("--heatmaps", type=Path, metavar="DIR", help="write each study with its heat map as PNG into DIR")
    maps.add_argument("--method", choices=METHODS, default=METHODS[0], help="how to explain (default: %(default)s)")
    maps.add_argument(
        "--heatmap-class",
        metavar="CLASS",
        help=f"the class to explain: {', '.join(map(repr, CLASSES))} (default: each study's finding)",
    )
    maps.add_argument("--colour-map", choices=COLOUR_MAPS, default=COLOUR_MAPS[0], help="default: %(default)s")
    machine = p.add_argument_group("computing")
    machine.add_argument("--batch-size", type=_at_least_one, metavar="N", help="studies per pass (default: 8)")
    machine.add_argument("--device", choices=DEVICES, default="auto", help="where to compute (default: %(default)s)")


def _add_models(p: argparse.ArgumentParser) -> None:
    p.add_argument("--json", action="store_true", help="write a JSON object a line instead of a table")


def _add_phantoms(p: argparse.ArgumentParser) -> None:
    p.add_argument("folder", type=Path, metavar="DIR", help="where to write; made if it is not there")
    p.add_argument("--dicom", action="store_true", help="write DICOM files instead of PNG")


def _add_jobs(p: argparse.ArgumentParser) -> None:
    p.add_argument("action", nargs="?", choices=JOB_ACTIONS, default="list", help="what to do (default: %(default)s)")
    p.add_argument("id", nargs="?", type=_at_least_one, metavar="ID", help="the job's number, for all but list")
    p.add_argument("--json", action="store_true", help="write a JSON object a line instead of a table")
    p.add_argument("--with-run", action="store_true", help="with delete: remove the run directory too")
    p.add_argument("--lines", type=_at_least_one, default=40, metavar="N", help="with log: how many (default: 40)")


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value
