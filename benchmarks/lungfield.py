"""How good the automatic lung field of the shortcut audit is, by Dice's coefficient with known lungs.

  phantoms  synthetic chests, whose lungs are known because they were drawn
  masks     images of --data that have a mask of the database's beside them, CLASS/masks/NAME.png
  agreement outline alone against final field, on the same images; it needs no masks, and is no proof: both may err

and how long a field takes. Phantoms are tidier than patients: expect less on real films.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.timing import arguments_parser, machine, timed, write_result
from lungassist.classes import CLASSES
from lungassist.dataset import index_folder
from lungassist.evaluation.lungfield import SIDE, LungField, Mask, database_field, dice, lung_field, lung_fields
from lungassist.imaging.reader import read_file
from lungassist.phantom import drawn_lungs, phantom
from lungassist.preprocess import Preprocessing, prepare_image
from lungassist.settings import Settings

#: A field that overlaps less than this with the truth is of no use for an audit.
POOR = 0.8

#: As many as training finds together.
_AT_ONCE = 32


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0."""
    arguments = _parser().parse_args(argv)
    phantoms = 1 if arguments.quick else arguments.phantoms
    lung_field(np.zeros((SIDE, SIDE), np.uint8))  # outlines are placed once, and that is not timed
    found = list(_phantom_fields(phantoms))
    result: dict[str, Any] = {
        "benchmark": "lungfield",
        "machine": machine(),
        "milliseconds": round(statistics.median(seconds for *_, seconds in found) * 1e3, 2),
        "milliseconds_of_32_at_once": _together(),
        "phantoms": {
            label: _summed([dice(field.mask, truth) for kind, field, truth, _ in found if kind == label])
            for label in CLASSES
        },
    }
    if arguments.data is not None:
        result["data"] = _on_data(arguments.data, arguments.images)
    write_result(result, _lines(result), arguments.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    p = arguments_parser("benchmarks.lungfield", __doc__)
    p.add_argument("--phantoms", type=int, default=25, help="a class (default 25)")
    p.add_argument("--data", type=Path, help="real images, as CLASS/images/* or CLASS/*")
    p.add_argument("--images", type=int, default=100, help="of each class of --data at most (default 100)")
    return p


def _phantom_fields(count: int) -> Iterator[tuple[str, LungField, Mask, float]]:
    for label in CLASSES:
        for seed in range(1000, 1000 + count):
            picture = phantom(label, seed, 224).astype(np.float32)
            image = prepare_image(picture, Preprocessing())
            lungs = cv2.resize(drawn_lungs(label, seed), (SIDE, SIDE), interpolation=cv2.INTER_AREA) > 0.5
            fields: list[LungField] = []
            seconds = timed(lambda fields=fields, image=image: fields.append(lung_field(image)))  # type: ignore[misc]
            yield label, fields[0], lungs, seconds


def _together() -> float:
    """A field's share of the time of 32 that are found at once, as training finds them; the median of three."""
    films = [prepare_image(phantom(label, 1, 224).astype(np.float32), Preprocessing()) for label in CLASSES]
    images = films * (_AT_ONCE // len(films))
    seconds = statistics.median(timed(lambda: lung_fields(images)) for _ in range(3))
    return round(seconds * 1e3 / len(images), 2)


def _on_data(root: Path, most: int) -> dict[str, Any]:
    settings = Settings.from_environment()
    index = index_folder(root)
    result = {}
    for label, rows in index.table.groupby("label"):
        files = rows["file"].sample(min(most, len(rows)), random_state=1)
        agreements, overlaps = [], []
        for file in files:
            image = prepare_image(read_file(index.root / file, settings).pixels, Preprocessing())
            field = lung_field(image)
            agreements.append(field.agreement)
            if (truth := database_field(index.root, file, settings)) is not None:
                overlaps.append(dice(field.mask, truth.mask))
        result[str(label)] = {"agreement": _summed(agreements), "masks": _summed(overlaps) if overlaps else None}
    return result


def _summed(values: list[float]) -> dict[str, Any]:
    return {
        "images": len(values),
        "mean": round(statistics.fmean(values), 3),
        "least": round(min(values), 3),
        "poor": sum(value < POOR for value in values),
    }


def _lines(result: dict[str, Any]) -> list[str]:
    together = f"{result['milliseconds_of_32_at_once']:.1f} ms where {_AT_ONCE} are found at once"
    lines = [f"{result['milliseconds']:.1f} ms a field, {together}"]
    lines += [f"phantoms   {_line(label, figures)}" for label, figures in result["phantoms"].items()]
    for label, figures in result.get("data", {}).items():
        lines.append(f"agreement  {_line(label, figures['agreement'])}")
        lines.append(f"masks      {_line(label, figures['masks'])}" if figures["masks"] else "masks      none")
    return lines


def _line(label: str, figures: dict[str, Any]) -> str:
    return (
        f"{label:16} {figures['images']:5} images   Dice {figures['mean']:.3f}, least {figures['least']:.3f}, "
        f"below {POOR}: {figures['poor']}"
    )


if __name__ == "__main__":
    sys.exit(main())
