"""Two models on the same images: what each gets right alone, and whether the difference is more than luck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lungassist.evaluation.images import ImageSet
from lungassist.metrics import Interval, holm, mcnemar


@dataclass(frozen=True, slots=True)
class HeadToHead:
    """Two models on the same images.

    Attributes:
        a, b: the models.
        images: how many.
        both_right, only_a, only_b, both_wrong: how many of them.
        p: McNemar's exact test.
        difference: accuracy of a less that of b.
        interval: of the difference, by the paired bootstrap over patients.
        adjusted_p: p, corrected for the number of pairs in the comparison (Holm); NaN where only one pair was asked of.
    """

    a: str
    b: str
    images: int
    both_right: int
    only_a: int
    only_b: int
    both_wrong: int
    p: float
    difference: float
    interval: Interval
    adjusted_p: float = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class PairedTests:
    """Every pair of models that saw the same images.

    Attributes:
        models: in order, of rows and columns.
        p, adjusted: `(M, M)`, symmetric; NaN on the diagonal and where the models saw different images.
        pairs: the same with what it is made of.
        refused: for each pair that cannot be tested, why.
    """

    models: tuple[str, ...]
    p: NDArray[np.float64]
    adjusted: NDArray[np.float64]
    pairs: tuple[HeadToHead, ...]
    refused: tuple[str, ...]


def head_to_head(images: ImageSet, a: str, b: str) -> HeadToHead:
    """Compare two models of one image set."""
    right_a, right_b = images.right[a], images.right[b]
    test = mcnemar(right_a, right_b)
    replicates = [images.measured[name].replicates.accuracy for name in (a, b)]
    return HeadToHead(
        a=a,
        b=b,
        images=len(images),
        both_right=int((right_a & right_b).sum()),
        only_a=test.only_a,
        only_b=test.only_b,
        both_wrong=int((~right_a & ~right_b).sum()),
        p=test.p,
        difference=float(right_a.mean() - right_b.mean()),
        interval=images.bootstrap.interval(replicates[0] - replicates[1]),
    )


def paired_tests(models: Sequence[str], sets: Sequence[ImageSet]) -> PairedTests:
    """Test every pair that can be tested, and correct for their number."""
    place = {name: i for i, name in enumerate(models)}
    home = {name: images for images in sets for name in images.models}
    found, refused = [], []
    for a, b in combinations(models, 2):
        if home[a] is home[b]:
            found.append(head_to_head(home[a], a, b))
        else:
            refused.append(different_images(home[a], a, home[b], b))
    corrected = holm(np.array([pair.p for pair in found]))
    pairs = tuple(replace(pair, adjusted_p=float(p)) for pair, p in zip(found, corrected, strict=True))
    p, adjusted = (np.full((len(models), len(models)), np.nan) for _ in range(2))
    for pair in pairs:
        for row, column in ((place[pair.a], place[pair.b]), (place[pair.b], place[pair.a])):
            p[row, column], adjusted[row, column] = pair.p, pair.adjusted_p
    return PairedTests(tuple(models), p, adjusted, pairs, tuple(refused))


def different_images(one: ImageSet, a: str, other: ImageSet, b: str) -> str:
    """Say why two models cannot be tested against each other, and how many images both have seen."""
    labels = one.table.set_index("file")["label"], other.table.set_index("file")["label"]
    both = labels[0].index.intersection(labels[1].index)
    conflicts = int((labels[0][both] != labels[1][both]).sum())
    told = (
        f"{a} and {b} were evaluated on different images ({len(one):,} and {len(other):,}; {len(both):,} are in both), "
        "so that a paired test would not be of the models alone."
    )
    if conflicts:
        told += f" {conflicts:,} of these have different labels: correct one of the tables."
    elif len(both):
        told += " Compare them on the images that both have."
    else:
        told += " Evaluate both on one folder."
    return told


def disagreements(images: ImageSet, a: str, b: str) -> pd.DataFrame:
    """Images whose finding differs between two models, the worst mistakes first.

    Returns:
        The image set's columns and, for `a` and `b` each, `finding_a`, `probability_a` (of the finding), `right_a`.
        First come those where exactly one errs, the surer the higher; then those where both err.
    """
    differ = np.flatnonzero(images.findings[a] != images.findings[b])
    table = images.table.iloc[differ].reset_index(drop=True)
    for which, name in (("a", a), ("b", b)):
        table = table.assign(**_said(images, name, differ, which))
    one_errs = table["right_a"] != table["right_b"]
    wrong = table[["probability_a", "probability_b"]].where(~table[["right_a", "right_b"]].to_numpy(), 0.0)
    order = pd.DataFrame({"one": ~one_errs, "sure": -wrong.max(axis=1)}).sort_values(["one", "sure"], kind="stable")
    return table.loc[order.index].reset_index(drop=True)


def mistakes(images: ImageSet, model: str) -> pd.DataFrame:
    """Images that a model gets wrong, surest first, with `finding`, its `probability`, and `probability_of_label`."""
    return _listed(images, model, np.flatnonzero(~images.right[model]))


def cell(images: ImageSet, model: str, label: str, finding: str) -> pd.DataFrame:
    """The images of one cell of a confusion matrix, the most confident first; columns as of `mistakes`."""
    row, column = images.classes.index(label), images.classes.index(finding)
    return _listed(images, model, np.flatnonzero((images.labels == row) & (images.findings[model] == column)))


def _listed(images: ImageSet, model: str, rows: NDArray[np.int64]) -> pd.DataFrame:
    said = {name.removesuffix("_a"): values for name, values in _said(images, model, rows, "a").items()}
    of_label = images.probabilities[model][rows, images.labels[rows]]
    table = images.table.iloc[rows].reset_index(drop=True).assign(**said, probability_of_label=of_label)
    return table.sort_values("probability", ascending=False, kind="stable", ignore_index=True)


def _said(images: ImageSet, model: str, rows: NDArray[np.int64], which: str) -> dict[str, NDArray[np.generic]]:
    findings = images.findings[model][rows]
    return {
        f"finding_{which}": np.asarray(images.classes, object)[findings],
        f"probability_{which}": images.probabilities[model][rows, findings],
        f"right_{which}": images.right[model][rows],
    }
