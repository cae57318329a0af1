"""Whether triage keeps the network busy: studies from disk to findings, against the bare network.

  bare     torchvision's forward passes on prepared batches, no gradients; of an ensemble, those of every member
  triage   the same number of files read, prepared, classified and explained, as the command line does

and the peak memory of the command line, heat maps written, after 16, 64 (with --many 256) studies, each in a process
of its own. Without --folder the studies are synthetic, 1024 pixels wide: PNG, JPEG and DICOM by turns.
"""

from __future__ import annotations

import argparse
import copy
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import nn

from benchmarks.networks import plain_card, prepared_images, random_network
from benchmarks.timing import Timings, arguments_parser, interleaved, machine, run_benchmark
from lungassist.classes import CLASSES
from lungassist.explain import GRAD_CAM
from lungassist.imaging import iter_studies
from lungassist.models.card import Card
from lungassist.models.weights import load_members, save_model
from lungassist.phantom import phantom, phantom_dicom, phantom_png
from lungassist.predict import Classifier
from lungassist.preprocess import Preprocessing, to_batch
from lungassist.settings import Settings
from lungassist.triage import forget, triage

_ROOT = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0."""
    return run_benchmark(_parser(), _measure, _lines, argv)


def _parser() -> argparse.ArgumentParser:
    p = arguments_parser("benchmarks.triage", __doc__)
    p.add_argument("--folder", type=Path, help="studies of one's own; taken again from the start if there are too few")
    p.add_argument("--model", metavar="NAME", help="a model in weights/ (default: resnet50 with random weights)")
    p.add_argument("--studies", type=int, default=64, help="default 64")
    p.add_argument("--rounds", type=int, default=3, help="default 3")
    p.add_argument("--many", action="store_true", help="measure the memory of 256 studies, too")
    return p


def _measure(arguments: argparse.Namespace, place: Path) -> dict[str, Any]:
    settings = Settings.from_environment()
    quick = arguments.quick
    if arguments.model:
        shelf, name = settings.weights_dir, arguments.model
    else:
        shelf, name = place / "weights", "random"
        _save_random(shelf / name, "mobilenet_v3_small" if quick else "resnet50", 64 if quick else 224)
    members, card = load_members(shelf / name)
    folder = arguments.folder or _write_studies(place / "studies", 96 if quick else 1024)
    studies, rounds = (4, 1) if quick else (arguments.studies, arguments.rounds)
    paths = _paths(folder, studies)
    timings = _timings(members, card, paths, settings, rounds)
    counts = (2, 4) if quick else (16, 64, *((256,) if arguments.many else ()))
    rates = {key: round(1e3 * studies / value, 2) for key, value in timings.milliseconds().items()}
    return {
        "benchmark": "triage",
        "machine": machine(),
        "architecture": card.architecture,
        "size": card.preprocessing.size,
        "batch": settings.batch_size,
        "studies": studies,
        "rounds": rounds,
        "studies_per_second": rates,
        "triage_to_bare": timings.ratio("bare", "triage"),
        "triage_to_bare_fastest": timings.ratio_of_fastest("bare", "triage"),
        "peak_megabytes": {str(n): peak_of_command(_paths(folder, n), shelf, name, place / "maps") for n in counts},
    }


def _timings(
    members: list[tuple[nn.Module, Card]], card: Card, paths: list[Path], settings: Settings, rounds: int
) -> Timings:
    classifier = Classifier(copy.deepcopy(members), card)
    batch = to_batch(torch.from_numpy(prepared_images(settings.batch_size, card.preprocessing)), card.preprocessing)

    def bare() -> None:
        with torch.no_grad():
            for start in range(0, len(paths), len(batch)):
                for network, _ in members:
                    network(batch[: len(paths) - start])

    def whole() -> None:
        for _ in triage(iter_studies(paths, settings), classifier, settings, explain=GRAD_CAM, keep=forget):
            pass

    return interleaved({"bare": bare, "triage": whole}, rounds, warm_up=1)


def peak_of_command(paths: list[Path], shelf: Path, name: str, maps: Path) -> float:
    """Peak memory of `python -m lungassist triage` on the paths, in a fresh process.

    Raises:
        RuntimeError: the command failed.
    """
    line = [sys.executable, "-m", "benchmarks.peak", "triage", *map(str, paths), "--model", name, "--json"]
    environment = {**os.environ, "LUNGASSIST_WEIGHTS": str(shelf)}
    done = subprocess.run(
        [*line, "--heatmaps", str(maps)], env=environment, cwd=_ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"the command line failed: {done.stderr}")
    return float(done.stderr.split()[-1])


def _save_random(folder: Path, architecture: str, size: int) -> None:
    preprocessing = Preprocessing(size=size)
    network = random_network(architecture, preprocessing)
    save_model(folder, network.state_dict(), replace(plain_card(architecture, preprocessing), name=folder.name))


def _write_studies(folder: Path, size: int) -> Path:
    """Twelve synthetic studies: every class in every format."""
    folder.mkdir()
    for seed, kind in enumerate(CLASSES):
        (folder / f"{seed}.png").write_bytes(phantom_png(kind, seed, size))
        (folder / f"{seed}.dcm").write_bytes(phantom_dicom(kind, seed, size))
        cv2.imwrite(str(folder / f"{seed}.jpg"), phantom(kind, seed, size))
    return folder


def _paths(folder: Path, count: int) -> list[Path]:
    files = [path for path in sorted(folder.resolve().rglob("*")) if path.is_file()]
    return list(islice(cycle(files), count))


def _lines(result: dict[str, Any]) -> list[str]:
    rates, peaks = result["studies_per_second"], result["peak_megabytes"]
    return [
        f"{result['architecture']} at {result['size']} pixels, batches of {result['batch']}: "
        f"bare {rates['bare']:.1f} studies/s, triage {rates['triage']:.1f} studies/s = "
        f"{result['triage_to_bare']:.2f} x (fastest rounds {result['triage_to_bare_fastest']:.2f} x)",
        "peak memory: " + ", ".join(f"{peak:.0f} MB after {count} studies" for count, peak in peaks.items()),
    ]


if __name__ == "__main__":
    sys.exit(main())
