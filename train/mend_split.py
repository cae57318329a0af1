"""Mend a split, such as that of a model's predictions, so that no film and no patient lies in two of its parts.

python -m train.mend_split --data DIR --metadata CSV --split weights/NAME/predictions.csv --out split.csv

Images only ever move into training, so a model that goes on from NAME can be judged on what is left of the test split.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lungassist.dataset import (
    SPLITS,
    UNUSED,
    duplicate_groups,
    index_folder,
    open_cache,
    read_split,
    without_leaks,
    write_split,
)
from lungassist.errors import LungAssistError
from lungassist.preprocess import Preprocessing
from lungassist.settings import Settings


def mend(data: Path, metadata: Path | None, split: Path, out: Path) -> list[str]:
    """Write the mended split; returns a line for each part: how many images it had and has.

    Raises:
        LungAssistError: the folder, the metadata or the split cannot be read.
    """
    index = index_folder(data, metadata)
    given = read_split(split).set_index("file")["split"]
    before = index.table["file"].map(given).fillna(UNUSED).to_numpy(str)
    prepared = open_cache(index, Preprocessing(), Settings.from_environment())
    after = without_leaks(before, index.table["patient_id"].tolist(), duplicate_groups(prepared))
    write_split(out, index.table.assign(split=after))
    return [f"{name}: {np.sum(before == name):,} images, now {np.sum(after == name):,}" for name in SPLITS]


def main(argv: Sequence[str] | None = None) -> int:
    """Mend and print; returns 0, or 1 with a message."""
    p = argparse.ArgumentParser(
        prog="python -m train.mend_split", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--data", type=Path, required=True, help="folder with CLASS/images/* or CLASS/*")
    p.add_argument("--metadata", type=Path, help="CSV with file and patient_id")
    p.add_argument("--split", type=Path, required=True, help="CSV with file, label, split")
    p.add_argument("--out", type=Path, required=True, help="where the mended split goes, as CSV")
    arguments = p.parse_args(argv)
    try:
        lines = mend(arguments.data, arguments.metadata, arguments.split, arguments.out)
    except (LungAssistError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
