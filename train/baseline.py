"""Fit the paper's benchmark, logistic regression on grey values, and evaluate it as a fine-tuned network is.

python -m train.baseline --data DIR --run-dir runs/baseline
python -m train.baseline --resume runs/baseline
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lungassist.errors import UsageError
from lungassist.training.baseline import baseline_config, is_done, run_baseline
from lungassist.training.baseline_recipe import BaselineConfig, BaselineRecipe
from lungassist.training.run import RunDirectory
from train.command import add_setting, carry_out


def parser() -> argparse.ArgumentParser:
    """The command line; every setting of the baseline is an option."""
    p = argparse.ArgumentParser(
        prog="python -m train.baseline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    p.add_argument("--data", type=Path, help="folder with CLASS/images/* or CLASS/*")
    p.add_argument("--metadata", type=Path, help="CSV with file, patient_id, source and further columns")
    p.add_argument("--split-file", type=Path, help="CSV with file and split, to be used instead of a new split")
    p.add_argument("--run-dir", type=Path, help="where everything about the run goes; a new folder")
    p.add_argument("--resume", dest="run", type=Path, metavar="RUN", help="carry out a run that is there")
    p.add_argument("--name", help="of the run (default: logistic-regression)")
    for setting in BaselineRecipe.settings().values():
        add_setting(p, setting)
    return p


def prepared_run(given: dict[str, Any]) -> RunDirectory:
    """The run that the options ask for, with its `config.json` written.

    Raises:
        UsageError: options that contradict each other, or a folder that holds a run already.
    """
    if "run" in given:
        if surplus := sorted(set(given) - {"run"}):
            raise UsageError(f"A run is carried out as it was begun: --{surplus[0].replace('_', '-')} has no place.")
        run = RunDirectory(given["run"])
        baseline_config(run)
        return run
    if missing := [name for name in ("data", "run_dir") if name not in given]:
        raise UsageError(f"--{missing[0].replace('_', '-')} is needed (or --resume RUN).")
    recipe = BaselineRecipe.from_json({name: given[name] for name in BaselineRecipe.settings() if name in given})
    name = given.get("name", "logistic-regression")
    run = RunDirectory(given["run_dir"])
    run.prepare(BaselineConfig(name, given["data"], given.get("metadata"), given.get("split_file"), recipe))
    return run


def main(argv: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0 done, 1 failed, 2 wrong usage, 128 and the signal's number when stopped."""
    given = vars(parser().parse_args(argv))
    return carry_out(lambda: prepared_run(given), is_done, lambda run, stop: run_baseline(run, stop=stop))


if __name__ == "__main__":
    sys.exit(main())
