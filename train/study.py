"""Carry out a whole preset, run after run, and show what came out as the paper's Table 1 does.

python -m train.study --list
python -m train.study paper --data DIR --metadata CSV
python -m train.study paper --data DIR --only ResNet50 --set epochs=10

Every run gets a folder OUT/PRESET/RUN. What is done already is not done again, what was begun is gone on with, and a
run that fails does not keep the others from running.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from lungassist.errors import LungAssistError
from lungassist.training.failures import StopRequest
from lungassist.training.presets import Preset, load_presets
from train.command import SIGNALLED, start_log
from train.study_runs import Outcome, StudyRun, carry_out, outcome_of, prepare, runs_of, select
from train.study_table import table_of

log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m train.study", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("preset", nargs="?", metavar="PRESET", help="see --list")
    p.add_argument("--data", type=Path, metavar="DIR", help="folder with CLASS/images/* or CLASS/*")
    p.add_argument("--metadata", type=Path, metavar="CSV", help="with file, patient_id, source and further columns")
    p.add_argument("--split-file", type=Path, metavar="CSV", help="with file and split, used instead of a new split")
    p.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="default: %(default)s")
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="in all runs that have the setting")
    p.add_argument("--only", nargs="+", metavar="RUN", help="these runs of the preset")
    p.add_argument("--presets", type=Path, metavar="DIR", help="presets of one's own, *.toml (default: the project's)")
    p.add_argument("--list", action="store_true", help="show the presets, or the runs of one, and end")
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0 done, 1 some failed, 2 wrong usage, 128 and the signal's number if stopped."""
    p = parser()
    arguments = p.parse_args(argv)
    start_log()
    try:
        presets = load_presets(arguments.presets)
        if arguments.preset is not None and arguments.preset not in presets:
            p.error(f"there is no preset {arguments.preset!r}. There are: {', '.join(presets)}")
        if arguments.list:
            _list([presets[arguments.preset]] if arguments.preset else list(presets.values()), arguments.json)
            return 0
        if arguments.preset is None or arguments.data is None:
            p.error("a PRESET and --data are needed, or --list")
        whole = presets[arguments.preset]
        preset = select(whole, arguments.only, arguments.set)
        place = arguments.out / preset.name
        runs = runs_of(preset, place, arguments.data, arguments.metadata, arguments.split_file, arguments.device, whole)
        prepare(runs)
    except LungAssistError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return _study(runs, as_json=arguments.json)


def _study(runs: list[StudyRun], *, as_json: bool) -> int:
    stop, failed = StopRequest(), 0
    with stop.listening():
        for run in runs:
            if stop():
                break
            if run.is_done:
                log.info("%s is done already", run.name)
            elif carry_out(run, stop) != 0 and not stop():
                failed += 1
                log.error("%s failed: %s", run.name, run.cause)
    outcomes = [outcome_of(run) for run in runs]
    _show(outcomes, as_json=as_json)
    if stop():
        log.info("The study was stopped on request. The same command goes on with it.")
        return SIGNALLED + stop.signal_number
    return 1 if failed else 0


def _show(outcomes: list[Outcome], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps([outcome.to_json() for outcome in outcomes], indent=2) + "\n")
        return
    lines = table_of(outcomes)
    lines += [f"{one.name}: {one.state}. {one.cause}".strip() for one in outcomes if one.state != "done"]
    sys.stdout.write("\n".join(lines) + "\n")


def _list(presets: list[Preset], as_json: bool) -> None:
    if as_json:
        found = [
            {
                "name": preset.name,
                "title": preset.title,
                "purpose": preset.purpose,
                "runs": [{"name": run.name, "kind": run.kind, "recipe": run.recipe.to_json()} for run in preset.runs],
            }
            for preset in presets
        ]
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return
    for preset in presets:
        runs = ", ".join(run.name for run in preset.runs)
        sys.stdout.write(f"{preset.name}: {preset.title}\n  {preset.purpose}\n  Runs: {runs}\n")


if __name__ == "__main__":
    sys.exit(main())
