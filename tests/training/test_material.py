"""What a run is fitted on is prepared as its recipe says; what it trains on is enhanced after it is changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lungassist.enhance import ENHANCERS
from lungassist.settings import Settings
from lungassist.training.material import Material, gather, indexed
from tests.training.runs import RECIPE, config_of


def gathered(films: Path, enhancement: str, *, after: bool = False) -> Material:
    config = config_of(films, replace(RECIPE, enhancement=enhancement, enhance_changed=after))
    return gather(config, indexed(config), Settings.from_environment())


def test_bands_are_evened_out_where_nothing_is_changed_any_more(films: Path) -> None:
    plain, evens = gathered(films, "none"), gathered(films, "bands", after=True)
    pd.testing.assert_frame_equal(plain.table, evens.table)
    for split in ("train", "validation", "test"):
        as_read = np.asarray(plain.data(split).images[:])
        enhanced = np.stack([ENHANCERS["bands"](image) for image in as_read])
        np.testing.assert_array_equal(evens.data(split).images[:], as_read if split == "train" else enhanced)
        np.testing.assert_array_equal(evens.data(split).labels, plain.data(split).labels)
        assert (as_read != enhanced).mean() > 0.5
    np.testing.assert_array_equal(
        evens.prepared.images[evens.rows("train")], [ENHANCERS["bands"](i) for i in plain.data("train").images[:]]
    )


@pytest.mark.parametrize("enhancement", ["none", "clahe", "bands"])
def test_otherwise_all_are_enhanced_before(films: Path, enhancement: str) -> None:
    material = gathered(films, enhancement)
    assert material.raw is None
    np.testing.assert_array_equal(material.data("train").images[:], material.prepared.images[material.rows("train")])
