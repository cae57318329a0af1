"""The arguments of `python -m lungassist` and their help. Imports nothing heavy, so that `--help` answers at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from lungassist import __version__
from lungassist.classes import CLASSES
from lungassist.cli.numbers import at_least_one, probability, share

#: `explain.METHODS` and `overlay.COLOUR_MAPS` by name; reading them there would import torch and OpenCV.
METHODS: Final = ("gradcam", "hirescam", "gradcam++", "eigencam")
COLOUR_MAPS: Final = ("inferno", "viridis", "magma", "jet")
DEVICES: Final = ("auto", "cpu", "cuda")
#: `models.decision.ASKED`, likewise.
QUESTIONS: Final = ("sick", "contagious")
#: `preprocess.ENHANCEMENTS`, likewise.
ENHANCEMENTS: Final = ("none", "clahe", "smqt", "wavelet", "laplace", "bands", "undo-clahe")
#: `dataset.SPLITS`, likewise.
SPLITS: Final = ("train", "validation", "test")

NOTICE: Final = "Decision support only: no medical device, no stand-alone diagnosis."

_EXAMPLES: Final = """\
examples:
  python -m lungassist phantoms demo
  python -m lungassist triage demo --heatmaps maps
  python -m lungassist triage study.dcm ward.zip --json > findings.jsonl
  python -m lungassist models
  python -m lungassist evaluate --model resnet18 --data COVID-19_Radiography_Dataset --out tables
  python -m lungassist compare tables/*.csv --html comparison.html
  python -m lungassist operating-point resnet18 --sensitivity 0.99
  python -m lungassist ensemble both --members resnet18 efficientnet_lite0
  python -m lungassist jobs
"""

_TRIAGE: Final = f"""\
Classify chest X-rays and, with --heatmaps, paint what the finding rests on. {NOTICE}
Reads PNG, JPEG, TIFF, WebP and DICOM, alone, in folders and in ZIP archives.
"""

_TRIAGE_MORE: Final = """\
with --json, each study is one line of standard output, in the order of the input:
  file, sha256, model, model_version, finding, probabilities (a number a class), suspected_contagious,
  warnings (sentences), heatmap (a path or null), operating_point, margin, plausible, second_reading (or null),
  members (of an ensemble: model, finding and probability of each)
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
  expected_calibration_error, bytes, default, verified, probability_drift, problem; what is unknown is null
and with --undo one line: model, taken_back (true), came_back (whether it had replaced one)

exit status:
  0  every model is usable, or the last promotion was taken back
  1  at least one is broken, there is none, or that which LUNGASSIST_MODEL or weights/DEFAULT names is not there; or the
     shelf cannot be changed
  2  wrong usage, or nothing is left to be taken back
"""

JOB_ACTIONS: Final = ("list", "show", "cancel", "resume", "delete", "log")

_JOBS: Final = """\
Show and steer jobs, training and evaluations; they run on, with or without the app. Every call also starts what waits
and can start.
"""

_JOBS_MORE: Final = """\
actions:
  list          every job, newest first (default)
  show ID       one job
  cancel ID     stop it; its last checkpoint, or the images that an evaluation has done, stay
  resume ID     go on with one that failed or was cancelled
  delete ID     forget one that does not run; with --with-run, remove its folder with all in it too
  log ID        the end of what it printed

with --json, each job is one line of standard output:
  id, kind, title, state (queued, running, cancelling, done, failed, cancelled), cause, resource, position (in the
  queue, or null), host, pid, run_dir, arguments, created, started, ended (ISO 8601, UTC, or null), details

exit status:
  0  done
  1  the job or the database refused; standard error says why
  2  wrong usage
"""

_EVALUATE: Final = f"""\
Ask models about every image of a folder, CLASS/images/* or CLASS/*, and write a table of predictions for each.
What was interrupted goes on when it is started again. {NOTICE}
"""

_EVALUATE_MORE: Final = """\
writes into DIR, a model: NAME.csv, the table (file, label, patient_id, split, source, ..., model, version, and a
probability_CLASS for each class), and NAME.json, what it was made of.

which split an image is in:
  --split FILE   as the file says; images that it does not name are left out
  otherwise      as in the model's training, for images that it was trained with; all others are test

with --json, each model is one line of standard output:
  model, version, table (a path), images, unreadable (file: reason), seconds, resumed, notes (sentences)

exit status:
  0  every image was used
  1  at least one could not be read, or the folder cannot be used
  2  nothing was started: wrong usage, or no usable model
"""

_COMPARE: Final = f"""\
Compare models by their tables of predictions: figures with 95 % intervals, the paper's rule and its reason, paired
tests, operating points, slices, and the paper's published rows beside. {NOTICE}
"""

_COMPARE_MORE: Final = """\
A table is what `evaluate` or training writes, or one made elsewhere: CSV or Parquet, a row an image, with the columns
  file, label, probability_CLASS for every class (in [0, 1], summing to 1); and where known patient_id, split (train,
  validation, test), model, version, and any other by which to slice, such as source

with --json, the comparison is one line of standard output:
  split, classes, resamples, seed, notes, leaderboard, choice, published, per_class, confusion, tests,
  operating_points, slices, lung_shares

exit status:
  0  done
  1  a table cannot be used, or the tables cannot be compared
  2  wrong usage
"""

_ENSEMBLE: Final = f"""\
Put models of weights/ together under one name, which triage, `evaluate` and `compare` then take like any other model.
Its answer is the mean of its members' calibrated log-probabilities, its heat map the mean of theirs. It is made of
the members' own tables, in seconds and without an image, and has no weights of its own: the members must stay.
{NOTICE}
"""

_ENSEMBLE_MORE: Final = """\
Members must know the same classes, take images of one size, and have been trained and judged on the same images and
splits. An ensemble of the same name is replaced and kept, like a promoted model. A member that is trained anew under
its name does not change the ensemble: the one that was replaced is kept and asked.
With --enhancement undo-clahe, images that were equalised in tiles (CLAHE) are restored before a member sees them. The
members are then asked anew about the images of --data that it changes; all else still comes from their tables.

with --json, the ensemble is one line of standard output:
  model, model_version, members (names), weights, enhancement, temperature, made_default (whether the shelf's default
  is this one now, asked for or not), figures (by split); with --undo instead model, taken_back, came_back (whether
  the one that it had replaced did)

exit status:
  0  done
  1  a member's table cannot be used, or they are of other images
  2  wrong usage, a model that is not there or damaged, or a shelf that cannot be written to
"""

_POINT: Final = f"""\
Show by which operating point triage judges a model's answers, or choose another. A threshold is chosen on the
validation images of the model's own table, judged on its test images, and saved on its card: triage uses it from the
next study on, the page and the command line alike, and says so. {NOTICE}
"""

_POINT_MORE: Final = """\
questions:
  sick         1 - P(Normal): what is below the threshold is called Normal
  contagious   P(COVID) + P(Viral Pneumonia): what is at or above it is called the more probable of the two
A model can have a point for each. Contagious comes first: nobody is called Normal who is above that threshold.

with --json, the model is one line of standard output:
  model, model_version, operating_point (words), changed, points (question: threshold, target_sensitivity, chosen_on,
  test, date), test and test_by_highest_probability (sick, healthy, called_normal, called_sick), previous (words)

exit status:
  0  done
  1  the model's table cannot set a point
  2  nothing was changed: wrong usage, or the model cannot be used or written to
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
    _add_evaluate(_command(commands, "evaluate", "write models' predictions of a folder", _EVALUATE, _EVALUATE_MORE))
    _add_compare(_command(commands, "compare", "compare models by their predictions", _COMPARE, _COMPARE_MORE))
    _add_point(_command(commands, "operating-point", "by which threshold triage judges a model", _POINT, _POINT_MORE))
    _add_ensemble(_command(commands, "ensemble", "ask several models together, as one", _ENSEMBLE, _ENSEMBLE_MORE))
    _add_jobs(_command(commands, "jobs", "list, stop and resume jobs: training and evaluations", _JOBS, _JOBS_MORE))
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
    second = "a model that reads every study too: where it finds something else, a remark says so"
    p.add_argument("--second", metavar="NAME", help=second)
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
    machine.add_argument("--batch-size", type=at_least_one, metavar="N", help="studies per pass (default: 8)")
    machine.add_argument("--device", choices=DEVICES, default="auto", help="where to compute (default: %(default)s)")


def _add_models(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--check", action="store_true", help="also ask each about phantoms: are the answers those of where it was made?"
    )
    p.add_argument(
        "--undo",
        action="store_true",
        help="instead, take back what was promoted to weights/ last, an ensemble too; what it replaced comes back",
    )
    p.add_argument("--json", action="store_true", help="write a JSON object a line instead of a table")


def _add_phantoms(p: argparse.ArgumentParser) -> None:
    p.add_argument("folder", type=Path, metavar="DIR", help="where to write; made if it is not there")
    p.add_argument("--dicom", action="store_true", help="write DICOM files instead of PNG")


def _add_evaluate(p: argparse.ArgumentParser) -> None:
    names = "folders of weights/, or any with a card.json, such as a run's model (default: the bundled model)"
    p.add_argument("--model", nargs="+", metavar="NAME", help=names)
    p.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder of the class folders")
    p.add_argument("--metadata", type=Path, metavar="CSV", help="file, and patient_id, source, ... where known")
    p.add_argument(
        "--split", type=Path, metavar="FILE", help="a CSV with file, label, split, such as a run's split.csv"
    )
    p.add_argument("--only", nargs="+", choices=SPLITS, help="leave the images of other splits out")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write; made if it is not there")
    lungs = "also find how much of each finding's Grad-CAM evidence lies inside the lungs (slower; for `compare`)"
    p.add_argument("--lungs", action="store_true", help=lungs)
    p.add_argument("--json", action="store_true", help="write a JSON object a line instead of a table")
    machine = p.add_argument_group("computing")
    machine.add_argument("--batch-size", type=at_least_one, metavar="N", help="images per pass (default: 32)")
    machine.add_argument("--device", choices=DEVICES, default="auto", help="where to compute (default: %(default)s)")
    machine.add_argument(
        "--workers", type=at_least_one, default=4, metavar="N", help="threads that read images (default: %(default)s)"
    )


def _add_compare(p: argparse.ArgumentParser) -> None:
    p.add_argument("tables", nargs="+", type=Path, metavar="TABLE", help="a table of predictions, CSV or Parquet")
    p.add_argument("--split", choices=SPLITS, default="test", help="the images to compare on (default: %(default)s)")
    common = "compare on those images alone that every model has seen"
    p.add_argument("--common", action="store_true", help=common)
    p.add_argument("--slice", action="append", metavar="COLUMN", help="slice by this column; default: all that can be")
    p.add_argument(
        "--sensitivity",
        type=share,
        default=0.99,
        metavar="S",
        help="the operating points' target, above 0 and at most 1 (default: %(default)s)",
    )
    p.add_argument(
        "--resamples", type=at_least_one, default=2000, metavar="N", help="of the bootstrap (default: %(default)s)"
    )
    p.add_argument("--seed", type=int, default=1, help="of the bootstrap (default: %(default)s)")
    figures = "also write every figure into DIR, as SVG and as PNG for print (300 dots an inch)"
    p.add_argument("--figures", type=Path, metavar="DIR", help=figures)
    written = p.add_mutually_exclusive_group()
    written.add_argument("--json", action="store_true", help="write one JSON object instead of tables")
    written.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page into FILE")


def _add_point(p: argparse.ArgumentParser) -> None:
    p.add_argument("model", metavar="MODEL", help="a folder of weights/ (see `models`)")
    p.add_argument("--question", choices=QUESTIONS, help="what the threshold is for (default: sick; --reset: both)")
    change = p.add_mutually_exclusive_group()
    wanted = "choose the threshold that keeps this sensitivity on the validation images, such as 0.99"
    change.add_argument("--sensitivity", type=share, metavar="S", help=wanted)
    change.add_argument("--threshold", type=probability, metavar="T", help="take this threshold, from 0 to 1")
    change.add_argument("--reset", action="store_true", help="go back to the highest probability")
    change.add_argument("--undo", action="store_true", help="take the last change back")
    p.add_argument("--json", action="store_true", help="write a JSON object instead of a table")


def _add_ensemble(p: argparse.ArgumentParser) -> None:
    p.add_argument("name", metavar="NAME", help="what to call it; it becomes a folder of weights/")
    change = p.add_mutually_exclusive_group(required=True)
    change.add_argument("--members", nargs="+", metavar="MODEL", help="folders of weights/ (see `models`)")
    change.add_argument("--undo", action="store_true", help="take it back, if nothing was put into weights/ since")
    p.add_argument("--weights", nargs="+", type=float, metavar="W", help="how much each counts (default: all alike)")
    p.add_argument(
        "--enhancement",
        choices=ENHANCEMENTS,
        default="none",
        help="that images go through before each member adds its own (default: %(default)s)",
    )
    p.add_argument("--data", type=Path, metavar="DIR", help="with --enhancement: what the members were trained on")
    p.add_argument("--metadata", type=Path, metavar="CSV", help="the CSV that went with it")
    p.add_argument("--default", action="store_true", help="let triage start with it")
    p.add_argument("--json", action="store_true", help="write a JSON object instead of a table")


def _add_jobs(p: argparse.ArgumentParser) -> None:
    p.add_argument("action", nargs="?", choices=JOB_ACTIONS, default="list", help="what to do (default: %(default)s)")
    p.add_argument("id", nargs="?", type=at_least_one, metavar="ID", help="the job's number, for all but list")
    p.add_argument("--json", action="store_true", help="write a JSON object a line instead of a table")
    p.add_argument("--with-run", action="store_true", help="with delete: remove the run directory too")
    p.add_argument("--lines", type=at_least_one, default=40, metavar="N", help="with log: how many (default: 40)")
