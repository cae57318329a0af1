"""Keep a finished run to compare with, without its weights: its card and its table of predictions.

python -m train.record runs/alexnet

They go to weights/records/NAME, where the comparison page finds them; triage cannot use them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from lungassist.errors import LungAssistError, UsageError
from lungassist.evaluation.tables import read_predictions
from lungassist.models.card import Card
from lungassist.models.promotion import changing, check_name
from lungassist.models.weights import CARD_FILE, PREDICTIONS_FILE, RECORDS
from lungassist.settings import Settings
from lungassist.training.baseline import FIGURES_FILE
from lungassist.training.progress import read_status

#: The baseline has figures in the place of a card.
_KEPT: Final = (CARD_FILE, FIGURES_FILE, PREDICTIONS_FILE)


def keep(run: Path, weights_dir: Path, name: str | None = None) -> Path:
    """Copy what is kept of a run into `weights_dir/records/NAME`; a record of that name is replaced.

    Args:
        run: a run's directory.
        weights_dir: the shelf.
        name: of the record; by default the run's folder's.

    Returns:
        The record's folder.

    Raises:
        UsageError: the run is not done, or the name cannot be a folder's.
        PredictionsError, WeightsError: its table or its card cannot be used, or the shelf cannot be written to.
    """
    status = read_status(run)
    if status is None or status.state != "done":
        raise UsageError(f"{run} is no finished run: {'there is no status' if status is None else status.state}.")
    kept = run.resolve().name if name is None else name
    check_name(kept)
    model = run / "model"
    read_predictions(model / PREDICTIONS_FILE)  # what cannot be compared is of no use
    card = Card.read(model / CARD_FILE) if (model / CARD_FILE).exists() else None
    with changing(weights_dir):
        records = weights_dir / RECORDS
        records.mkdir(exist_ok=True)
        incoming = Path(tempfile.mkdtemp(prefix=".incoming-", dir=records))
        incoming.chmod(0o755)
        for file in _KEPT:
            if (model / file).is_file():
                shutil.copyfile(model / file, incoming / file)
        if card is not None:
            replace(card, name=kept).write(incoming / CARD_FILE)  # the name under which it is compared
        shutil.rmtree(records / kept, ignore_errors=True)
        return incoming.rename(records / kept)


def main(argv: Sequence[str] | None = None) -> int:
    """Keep; returns 0, or 1 with a message."""
    p = argparse.ArgumentParser(
        prog="python -m train.record", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("run", type=Path, help="a finished run's directory")
    p.add_argument("--name", help="of the record (default: that of the run's folder)")
    arguments = p.parse_args(argv)
    try:
        place = keep(arguments.run, Settings.from_environment().weights_dir, arguments.name)
    except LungAssistError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{place}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
