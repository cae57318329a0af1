"""Whether a chest stands upright and has dark lungs, or was turned, or is a negative.

A film that lies on its side, as a phone or a portable machine may leave it, is read by a classifier all the same, and
with confidence. A perceptron with one hidden layer, which sees 32 x 32 grey values, tells the eight ways apart in less
than a millisecond. It knows frontal chests alone: of anything else it says nothing that means something.

`python -m train.way_round --data DIR --out FILE` trains it, `python -m benchmarks.way_round --data DIR` judges it.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Part of the reading of images, not a model of the shelf.
WEIGHTS: Final = Path(__file__).with_name("way_round.safetensors")
#: From this probability on that an image is not upright and positive, it is said. Fixed before it was measured.
SURE: Final = 0.98
#: Cells a side that are looked at.
CELLS: Final = 32
#: Part of the range below which a border counts as black and is left out.
_BORDER: Final = 0.06
#: Part of a row or column that has to be above it.
_FILLED: Final = 0.05


@dataclass(frozen=True, slots=True)
class WayRound:
    """How many quarters a picture was turned anticlockwise (0 to 3), and whether its greys run the other way."""

    quarters: int
    is_negative: bool


#: In the order of the perceptron's answers.
WAYS: Final = tuple(WayRound(quarters, negative) for negative in (False, True) for quarters in range(4))


def turned(grey: NDArray[np.float32], way: WayRound) -> NDArray[np.float32]:
    """An upright positive `(h, w)` in [0, 1], put that way."""
    return np.rot90(1 - grey if way.is_negative else grey, way.quarters)


def features(grey: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """What the perceptron sees of `(h, w)` grey values in [0, 1].

    Returns:
        `(1024,)` float32: means of 32 x 32 cells, black borders left out, of mean 0 and variance 1; None of an image
        that is too small or has one grey.
    """
    rows, columns = (np.flatnonzero((grey > _BORDER).mean(axis=axis) > _FILLED) for axis in (1, 0))
    if rows.size < CELLS or columns.size < CELLS:
        return None
    cells = cell_means(grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], CELLS)
    spread = float(cells.std())
    if spread < 1e-3:
        return None
    return np.asarray((cells - cells.mean()) / spread, np.float32).reshape(-1)


def cell_means(grey: NDArray[np.float32], cells: int) -> NDArray[np.float64]:
    """Average `(h, w)` over a grid of cells a side, of which no side may have more than pixels."""
    rows, columns = (np.linspace(0, side, cells, endpoint=False).astype(int) for side in grey.shape)
    sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=0, dtype=np.float64), columns, axis=1)
    heights, widths = (np.diff([*starts, side]) for starts, side in zip((rows, columns), grey.shape, strict=True))
    return np.asarray(sums / np.outer(heights, widths), np.float64)


def way_round(grey: NDArray[np.float32]) -> WayRound:
    """The way in which a chest of `(h, w)` grey values in [0, 1] is shown; upright and positive unless it is sure."""
    probabilities = probabilities_of_ways(grey)
    if probabilities is None or 1 - probabilities[0] < SURE:
        return WAYS[0]
    return WAYS[1 + int(probabilities[1:].argmax())]


def probabilities_of_ways(grey: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Probabilities `(8,)` of `WAYS`, or None where there is too little to see."""
    seen = features(grey)
    if seen is None:
        return None
    weights = _weights()
    hidden = np.maximum(weights["hidden.weight"] @ seen + weights["hidden.bias"], 0)
    logits = (weights["ways.weight"] @ hidden + weights["ways.bias"]).astype(np.float64)
    shares = np.exp(logits - logits.max())
    return np.asarray(shares / shares.sum())


@lru_cache(maxsize=1)
def _weights() -> dict[str, NDArray[np.float32]]:
    from safetensors.numpy import load_file

    return {name: values.astype(np.float32) for name, values in load_file(WEIGHTS).items()}
