"""Mend a split, such as that of a model's predictions, so that no film and no patient lies in two of its parts.

python -m train.mend_split --data DIR --metadata CSV --split weights/NAME/predictions.csv --out split.csv
python -m train.mend_split --data DIR --metadata CSV --model weights/NAME

Images only ever move into training, so a model that goes on from NAME can be judged on what is left of the test split.
With --model the table and the card of the model itself are mended: its figures are then of the images that are left.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from lungassist.dataset import (
    SPLITS,
    UNUSED,
    duplicate_groups,
    index_folder,
    open_cache,
    read_split,
    split_hash,
    without_leaks,
    write_split,
)
from lungassist.errors import LungAssistError
from lungassist.evaluation.predictions import figures_of, write_predictions
from lungassist.files import sha256_of
from lungassist.models.card import Card
from lungassist.models.operating_point import HIGHEST_PROBABILITY
from lungassist.models.promotion import changing
from lungassist.models.weights import CARD_FILE, PREDICTIONS_FILE, verify
from lungassist.preprocess import Preprocessing
from lungassist.settings import Settings

_MENDED: Final = "images that share a film or a patient with another split count as train"


def mended(data: Path, metadata: Path | None, split: Path) -> tuple[pd.DataFrame, list[str]]:
    """The folder's table with the mended split, and a line for each part: how many images it had and has.

    Raises:
        LungAssistError: the folder, the metadata or the split cannot be read.
    """
    index = index_folder(data, metadata)
    given = read_split(split).set_index("file")["split"]
    before = index.table["file"].map(given).fillna(UNUSED).to_numpy(str)
    prepared = open_cache(index, Preprocessing(), Settings.from_environment())
    after = without_leaks(before, index.table["patient_id"].tolist(), duplicate_groups(prepared))
    lines = [f"{name}: {np.sum(before == name):,} images, now {np.sum(after == name):,}" for name in SPLITS]
    return index.table.assign(split=after), lines


def mend_model(folder: Path, splits: pd.DataFrame) -> Card:
    """Mend a model's own table, and let its card say the figures of what is left; the weights stay as they are.

    An operating point that was judged on the images before is given up.

    Args:
        folder: the model's, on a shelf.
        splits: with `file` and `split`.

    Raises:
        WeightsError: the model is damaged, or its folder cannot be written to.
    """
    with changing(folder.parent):
        card = verify(folder)
        path = folder / PREDICTIONS_FILE
        table = pd.read_csv(path, dtype={"patient_id": str}, keep_default_na=False)
        table["split"] = table["file"].map(splits.set_index("file")["split"]).fillna(table["split"])
        write_predictions(path, table)
        counts = table.groupby(["split", "label"]).size().unstack(fill_value=0)
        method = str(card.split.get("method", ""))
        split = {
            **card.split,
            "method": method if _MENDED in method else f"{method}; {_MENDED}",
            "counts": {name: counts.loc[name].to_dict() for name in SPLITS},
            "sha256": split_hash(table["file"].tolist(), table["split"].tolist()),
        }
        figures = {name: figures_of(table[table["split"] == name], card.classes) for name in SPLITS}
        card = replace(card, split=split, figures=figures, predictions_sha256=sha256_of(path))
        # A point was judged on the images before, and holds the hash of the table before.
        card = replace(card, operating_point=HIGHEST_PROBABILITY)
        card.write(folder / CARD_FILE)
    return card


def main(argv: Sequence[str] | None = None) -> int:
    """Mend and print; returns 0, or 1 with a message."""
    p = argparse.ArgumentParser(
        prog="python -m train.mend_split", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--data", type=Path, required=True, help="folder with CLASS/images/* or CLASS/*")
    p.add_argument("--metadata", type=Path, help="CSV with file and patient_id")
    p.add_argument("--split", type=Path, help="CSV with file, label, split")
    p.add_argument("--out", type=Path, help="where the mended split goes, as CSV")
    p.add_argument("--model", type=Path, metavar="FOLDER", help="mend this model's own table and card instead")
    arguments = p.parse_args(argv)
    if (arguments.model is None) == (arguments.split is None) or (arguments.split is None) != (arguments.out is None):
        p.error("either --split and --out are needed, or --model alone")
    try:
        split = arguments.split or arguments.model / PREDICTIONS_FILE
        table, lines = mended(arguments.data, arguments.metadata, split)
        if arguments.model is None:
            write_split(arguments.out, table)
        else:
            mend_model(arguments.model, table)
    except (LungAssistError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
