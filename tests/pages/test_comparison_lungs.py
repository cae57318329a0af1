"""The shortcut audit: the shares that the tables hold, against the lungs' share of the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lungassist.classes import CLASSES
from lungassist.evaluation.evidence import AREA, FIELD, INSIDE
from lungassist.evaluation.predictions import write_predictions
from tests.evaluation.made import index_of, table_of
from tests.pages.test_comparison import figures, opened, text
from tests.tiny import tiny_card


def audited(seed: int) -> pd.DataFrame:
    made, rng = table_of(index_of(), 2.0, seed), np.random.default_rng(seed)
    return made.assign(**{INSIDE: rng.uniform(0.5, 0.7, len(made)), AREA: 0.25, FIELD: "mask"})


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, table in {"looked": audited(1), "plain": table_of(index_of(), 2.0, 2)}.items():
        write_predictions(tmp_path / "weights" / name / "predictions.csv", table)
        tiny_card(name).write(tmp_path / "weights" / name / "card.json")
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("LUNGASSIST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LUNGASSIST_DATA_ROOTS", "")
    return tmp_path / "weights"


def test_shares_are_the_means_over_test_images_of_each_finding() -> None:
    page = opened(view="Shortcut audit")
    shown = next(frame.value for frame in page.dataframe if "Finding" in frame.value)
    made = audited(1)
    probabilities = made[[f"probability_{name}" for name in CLASSES]].to_numpy()
    rows = made.assign(found=np.asarray(CLASSES)[probabilities.argmax(axis=1)])
    expected = rows[rows["split"] == "test"].groupby("found")[INSIDE].mean()
    assert len(shown) == len(expected)
    joined = " ".join(map(str, shown.to_numpy().ravel()))
    for share in expected:
        assert f"{100 * share:.1f}" in joined
    assert "25.0" in joined, "the lungs' share of the picture"


def test_a_model_without_a_look_at_the_lungs_is_named_with_what_to_do() -> None:
    page = opened(view="Shortcut audit")
    assert "Not measured: plain." in text(page)
    assert page.button(key="comparison_lungs_measure").label == "Measure by an evaluation"


def test_nothing_measured_shows_no_empty_figure() -> None:
    page = opened(view="Shortcut audit", tables=["plain"])
    assert "Evidence inside the lungs" not in text(page)
    assert "Not measured: plain." in text(page)


def test_a_model_has_the_same_colour_and_symbol_as_in_every_other_figure(weights: Path) -> None:
    for name, skill in {"a_poor": 1.0, "b_good": 3.0}.items():
        made = table_of(index_of(), skill, 5).assign(**{INSIDE: 0.6, AREA: 0.25, FIELD: "mask"})
        write_predictions(weights / name / "predictions.csv", made)
        tiny_card(name).write(weights / name / "card.json")
    chosen = ["a_poor", "b_good"]
    best = figures(opened(view="Leaderboard", tables=chosen))[0]["data"][0]
    audit = figures(opened(view="Shortcut audit", tables=chosen))[0]["data"]
    for place, name in enumerate(best["text"]):
        (dots,) = (trace for trace in audit if trace.get("name") == name)
        for what in ("color", "symbol"):
            assert dots["marker"][what] == best["marker"][what][place], name
