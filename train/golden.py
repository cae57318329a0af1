"""Record what a model answers to the synthetic phantoms, so that every installation can check that it does the same.

python -m train.golden weights/resnet18
python -m lungassist models --check
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lungassist.errors import LungAssistError
from lungassist.golden import record


def main(argv: Sequence[str] | None = None) -> int:
    """Record; returns 0, or 1 for a model that cannot be used."""
    p = argparse.ArgumentParser(prog="python -m train.golden", description=(__doc__ or "").splitlines()[0])
    p.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="of a model: with card.json and weights")
    for folder in p.parse_args(argv).folders:
        try:
            sys.stdout.write(f"{record(folder)}\n")
        except LungAssistError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
