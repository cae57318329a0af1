"""`python -m lungassist phantoms`: synthetic chest X-rays for a first try."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lungassist.classes import CLASSES
from lungassist.cli.folders import writable
from lungassist.files import write_atomically
from lungassist.phantom import phantom_dicom, phantom_png


def run(arguments: argparse.Namespace) -> int:
    """Write one phantom of each class and the path of each; returns 0.

    Raises:
        UsageError: the folder cannot be written.
    """
    folder = writable(arguments.folder)
    draw, ending = (phantom_dicom, "dcm") if arguments.dicom else (phantom_png, "png")
    for kind in CLASSES:
        path = folder / f"phantom-{kind.replace(' ', '_')}.{ending}"
        _write(path, draw(kind, seed=1))
        sys.stdout.write(f"{path}\n")
    return 0


def _write(path: Path, data: bytes) -> None:
    write_atomically(path, lambda temporary: temporary.write_bytes(data))
