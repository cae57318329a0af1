"""What networks that belong to the preparation of images are taught on, and how they are written."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from lungassist.cli.numbers import at_least_one
from lungassist.dataset import ImageRows, assign_splits, index_folder, open_cache
from lungassist.evaluation.origin import splits_for
from lungassist.files import write_atomically
from lungassist.preprocess import Preprocessing
from lungassist.settings import Settings


def parser(name: str, doc: str | None, epochs: int) -> argparse.ArgumentParser:
    """The options of such a command; `epochs` is the default."""
    p = argparse.ArgumentParser(prog=f"python -m {name}", description=(doc or "").split("\n")[0])
    p.add_argument("--data", type=Path, required=True, help="folder with CLASS/images/* or CLASS/*")
    p.add_argument("--metadata", type=Path, help="CSV with file and patient_id")
    p.add_argument("--split-file", type=Path, help="CSV with file and split, to be used instead of a new split")
    p.add_argument("--epochs", type=at_least_one, default=epochs, help=f"default {epochs}")
    p.add_argument("--seed", type=int, default=1, help="default 1")
    p.add_argument("--out", type=Path, required=True, help="file to write; the one in use is beside the module")
    return p


def training_images(arguments: argparse.Namespace) -> tuple[ImageRows, NDArray[np.int64]]:
    """All prepared images `(N, S, S)`, and which of them are for training and can be read.

    Raises:
        LungAssistError: the folder, the metadata or the split cannot be used.
    """
    index = index_folder(arguments.data, arguments.metadata)
    prepared = open_cache(index, Preprocessing(), Settings.from_environment())
    if arguments.split_file:
        splits = splits_for(index, arguments.split_file.parent, arguments.split_file).splits
    else:
        splits = assign_splits(index.table)
    return prepared.images, np.flatnonzero((np.asarray(splits) == "train") & prepared.readable)


def write_weights(out: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write weights in half precision, atomically, and say how large they are."""
    halves = {name: (each.half() if each.is_floating_point() else each).contiguous() for name, each in weights.items()}
    write_atomically(out, lambda place: save_file(halves, place))
    sys.stdout.write(f"{out}: {out.stat().st_size / 1e6:.2f} MB\n")
