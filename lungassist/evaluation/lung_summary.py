"""The shortcut audit of a comparison: how much of each model's evidence lies inside the lungs, class by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lungassist.evaluation.evidence import AREA, FIELD, INSIDE
from lungassist.evaluation.images import ImageSet
from lungassist.evaluation.lungfield import MASKS
from lungassist.evaluation.tables import Predictions
from lungassist.metrics import Interval, percentiles
from lungassist.metrics.arrays import ratio

#: What is known of the automatic fields (`python -m benchmarks.lungfield`); a reader must see it with the figures.
QUALITY = (
    "Lungs found automatically: on synthetic chests with known anatomy they overlap the truth by 0.93 (Dice, mean), on "
    "films less. Small differences between models mean nothing."
)


@dataclass(frozen=True, slots=True)
class LungShare:
    """One model's evidence for one finding.

    Attributes:
        model, finding: the evidence is that of Grad-CAM for the model's own finding, right or wrong.
        images: with that finding and any evidence.
        inside: mean share of the evidence inside the lungs, in [0, 1], with its interval by patient.
        area: mean share of the picture that the lungs take: what evidence spread evenly would have.
        masks: how many images had a mask of the database's; the others' lungs were found automatically.
    """

    model: str
    finding: str
    images: int
    inside: float
    interval: Interval
    area: float
    masks: int

    @property
    def ratio(self) -> float:
        """Inside over area: 1 is what a model that looks nowhere in particular has."""
        return self.inside / self.area if self.area > 0 else float("nan")

    @property
    def reading(self) -> str:
        """The interval held against `area`, in words; '' where there is none."""
        if np.isnan(self.interval.low):
            return ""
        if self.interval.low > self.area:
            return "in the lungs"
        return "beside the lungs" if self.interval.high < self.area else "no more than chance"


def field_words(shares: Sequence[LungShare]) -> tuple[str, ...]:
    """How the lungs were found, and how far that is to be trusted."""
    masks, images = sum(share.masks for share in shares), sum(share.images for share in shares)
    if masks == images:
        return ("Lungs by the database's own masks.",)
    if not masks:
        return (QUALITY,)
    return (f"Lungs by the database's own masks for {masks:,} of {images:,} findings, for the others:", QUALITY)


def unmeasured(tables: Sequence[Predictions]) -> tuple[str, ...]:
    """Models whose tables say nothing of the lungs: they were made without `--lungs`."""
    return tuple(table.name for table in tables if INSIDE not in table.table)


def lung_shares(table: Predictions, images: ImageSet) -> tuple[LungShare, ...]:
    """A row a finding, of the images compared; empty if the table was made without `--lungs`."""
    if INSIDE not in table.table:
        return ()
    rows = table.table.set_index("file").loc[images.table["file"]]
    share, area = (pd.to_numeric(rows[name], errors="coerce").to_numpy(np.float64) for name in (INSIDE, AREA))
    findings = images.findings[table.name]
    known = np.isfinite(share) & np.isfinite(area)
    members = [known & (findings == k) for k in range(len(images.classes))]
    inside = np.stack([np.where(chosen, share, 0.0) for chosen in members], axis=1)
    counts = np.stack(members, axis=1).astype(np.float64)
    totals = images.bootstrap.totals(np.concatenate([inside, counts], axis=1))
    low, high = percentiles(ratio(totals[:, : len(members)], totals[:, len(members) :]))
    masks = (rows[FIELD] == MASKS).to_numpy() if FIELD in rows else np.zeros(len(rows), np.bool_)
    return tuple(
        LungShare(
            model=table.name,
            finding=images.classes[k],
            images=int(chosen.sum()),
            inside=float(share[chosen].mean()),
            interval=Interval(float(low[k]), float(high[k])),
            area=float(area[chosen].mean()),
            masks=int(masks[chosen].sum()),
        )
        for k, chosen in enumerate(members)
        if chosen.any()
    )
