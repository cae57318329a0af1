"""Measure what is usual in the prepared training images: the `radiograph` normalisation set, and energies of bands.

Mean and deviation are what `lungassist.preprocess` standardises with; the energies, medians over the images, are what
the enhancement `bands` of `lungassist.enhance` gives to bands of detail.

python -m train.normalisation --data DIR [--metadata CSV]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from lungassist.dataset import assign_splits, index_folder, open_cache
from lungassist.enhance import band_energies
from lungassist.errors import LungAssistError
from lungassist.preprocess import Preprocessing
from lungassist.settings import Settings

#: Images in memory at a time.
_CHUNK: Final = 512


def measure(data: Path, metadata: Path | None) -> tuple[float, float, list[float]]:
    """Mean and standard deviation over all pixels of the training split, of values in [0, 1], and energies of bands."""
    index = index_folder(data, metadata)
    prepared = open_cache(index, Preprocessing(), Settings.from_environment())
    chosen = np.flatnonzero((assign_splits(index.table) == "train") & prepared.readable)
    histogram = np.zeros(256)
    energies: list[list[float]] = []
    for first in range(0, len(chosen), _CHUNK):
        images = prepared.images[chosen[first : first + _CHUNK]]
        histogram += np.bincount(images.ravel(), minlength=256)
        energies += map(band_energies, images)
    grey = np.arange(256) / 255
    mean = float((histogram * grey).sum() / histogram.sum())
    std = float(np.sqrt((histogram * (grey - mean) ** 2).sum() / histogram.sum()))
    return mean, std, np.median(energies, axis=0).tolist()


def main(argv: Sequence[str] | None = None) -> int:
    """Print them as the modules that use them write them."""
    parser = argparse.ArgumentParser(prog="python -m train.normalisation", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with CLASS/images/* or CLASS/*")
    parser.add_argument("--metadata", type=Path, help="CSV with file and patient_id")
    arguments = parser.parse_args(argv)
    try:
        mean, std, energies = measure(arguments.data, arguments.metadata)
    except LungAssistError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"mean {mean:.4f} std {std:.4f}\n")
    sys.stdout.write(f"bands {', '.join(f'{energy:.2f}' for energy in energies)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
