"""Tables of predictions that no model made: as many and as large as a measurement needs, and named so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lungassist.classes import CLASSES
from lungassist.evaluation.predictions import DECIMALS, predictions_table, write_predictions

#: Of the classes in the paper's database.
SHARES = (0.171, 0.284, 0.4815, 0.0635)

#: What a simulated table's name begins with.
SIMULATED = "simulated"

#: Images of a split for each of the test split.
_SPLITS = {"train": 8, "validation": 1, "test": 1}


def drawn_labels(images: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Class indices `(N,)`, as often as in the database."""
    return rng.choice(len(CLASSES), images, p=SHARES)


def drawn_probabilities(
    labels: NDArray[np.int64], models: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """`(N, 4)` a model: from 60 % to 98 % accurate; all find the same images hard; rounded as tables are."""
    shape = (len(labels), len(CLASSES))
    shared, known = rng.normal(0, 0.7, shape), np.eye(len(CLASSES))[labels]
    for skill in np.linspace(1.2, 3.6, models):
        powers = np.exp(1.7 * (shared + rng.normal(0, 0.7, shape) + skill * known))
        yield np.round(powers / powers.sum(axis=1, keepdims=True), DECIMALS)


def write_tables(folder: Path, names: Sequence[str], test_images: int, seed: int = 0) -> list[Path]:
    """Write a table a name, all of the same images: train, validation and test as 8 to 1 to 1; returns where."""
    rng = np.random.default_rng(seed)
    splits = np.repeat(list(_SPLITS), [test_images * share for share in _SPLITS.values()])
    labels = drawn_labels(len(splits), rng)
    index = pd.DataFrame(
        {
            "file": [f"{CLASSES[k]}/images/{CLASSES[k]}-{i}.png" for i, k in enumerate(labels)],
            "label": [CLASSES[k] for k in labels],
            "patient_id": [f"p{i // 2}" for i in range(len(labels))],
            "source": rng.choice(["north", "south", "west"], len(labels), p=[0.6, 0.37, 0.03]),
            "sex": rng.choice(["F", "M"], len(labels)),
            "split": splits,
        }
    )
    places = []
    for name, probabilities in zip(names, drawn_probabilities(labels, len(names), rng), strict=True):
        places.append(folder / f"{SIMULATED}-{name}.csv")
        write_predictions(places[-1], predictions_table(index, probabilities, CLASSES))
    return places
