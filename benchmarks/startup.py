"""How long a user waits: imports, help, loading a model, the first prediction. Every figure from fresh processes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.timing import arguments_parser, machine, timed, write_result

_ROOT = Path(__file__).resolve().parent.parent

#: Packages that `import lungassist` must not load.
HEAVY = ("torch", "streamlit", "matplotlib")

_IMPORT = """
import json, sys, time
start = time.perf_counter()
import lungassist
print(json.dumps([time.perf_counter() - start, [name for name in {heavy} if name in sys.modules]]))
"""

_PREDICT = """
import json, sys, time
from pathlib import Path
start = time.perf_counter()
import numpy as np
from lungassist.predict import Classifier
imported = time.perf_counter()
classifier = Classifier.load(Path(sys.argv[1]))
loaded = time.perf_counter()
side = classifier.card.preprocessing.size
image = np.random.default_rng(0).integers(0, 256, (1, side, side), np.uint8)
classifier.predict(image)
first = time.perf_counter()
classifier.predict(image)
second = time.perf_counter()
print(json.dumps([imported - start, loaded - imported, first - loaded, second - first]))
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0."""
    p = arguments_parser("benchmarks.startup", __doc__)
    p.add_argument("--model", metavar="NAME", help="a model in weights/ (default: resnet50 with random weights)")
    p.add_argument("--rounds", type=int, default=5, help="default 5")
    arguments = p.parse_args(argv)
    rounds = 1 if arguments.quick else arguments.rounds
    with tempfile.TemporaryDirectory() as place:
        folder = _model(arguments.model, Path(place), arguments.quick)
        seconds, loaded = _measure(folder, rounds)
    result = {
        "benchmark": "startup",
        "machine": machine(),
        "rounds": rounds,
        "seconds": seconds,
        "loaded_by_import": loaded,
    }
    lines = [f"{name.replace('_', ' '):24} {value:7.3f} s" for name, value in seconds.items()]
    write_result(result, [*lines, f"import lungassist loads of {HEAVY}: {loaded or 'none'}"], arguments.json)
    return 0


def _measure(folder: Path, rounds: int) -> tuple[dict[str, float], list[str]]:
    """Medians over rounds, in each of which every figure is taken once."""
    names = ("import_lungassist", "help", "import_classifier", "load_model", "first_prediction", "second_prediction")
    times: dict[str, list[float]] = {name: [] for name in names}
    heavy: list[str] = []
    for _ in range(rounds):
        imported, heavy = _python("-c", _IMPORT.format(heavy=HEAVY))
        helped = timed(lambda: _run("-m", "lungassist", "--help"))
        figures = (imported, helped, *_python("-c", _PREDICT, str(folder)))
        for name, value in zip(names, figures, strict=True):
            times[name].append(value)
    return {name: round(statistics.median(values), 4) for name, values in times.items()}, heavy


def _python(*arguments: str) -> Any:
    return json.loads(_run(*arguments))


def _run(*arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=_ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def _model(name: str | None, place: Path, quick: bool) -> Path:
    from lungassist.models.weights import save_model
    from lungassist.preprocess import Preprocessing
    from lungassist.settings import Settings

    if name:
        return Settings.from_environment().weights_dir / name
    from benchmarks.networks import plain_card, random_network

    architecture = "mobilenet_v3_small" if quick else "resnet50"
    preprocessing = Preprocessing(size=64 if quick else 224)
    card = replace(plain_card(architecture, preprocessing), name="random")
    save_model(place / "random", random_network(architecture, preprocessing).state_dict(), card)
    return place / "random"


if __name__ == "__main__":
    sys.exit(main())
