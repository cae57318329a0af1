"""The shortcut audit in words: what an interval says against chance, and how the lungs were found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lungassist.evaluation import sections
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.comparison_html import comparison_html
from lungassist.evaluation.evidence import AREA, FIELD, INSIDE
from lungassist.evaluation.lung_summary import QUALITY, LungShare, field_words, unmeasured
from lungassist.metrics import Interval
from tests.evaluation.made import index_of, read, table_of

INDEX = index_of()


def share(low: float, high: float, area: float = 0.3, masks: int = 0) -> LungShare:
    return LungShare("a", "COVID", 10, (low + high) / 2, Interval(low, high), area, masks)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.31, 0.5, "in the lungs"), (0.2, 0.4, "no more than chance"), (0.1, 0.29, "beside the lungs")],
)
def test_the_interval_is_held_against_the_lungs_area(low: float, high: float, words: str) -> None:
    assert share(low, high).reading == words


def test_how_the_lungs_were_found_is_said_with_its_quality() -> None:
    assert field_words([share(0.1, 0.2, masks=10)]) == ("Lungs by the database's own masks.",)
    assert field_words([share(0.1, 0.2)]) == (QUALITY,)
    both = " ".join(field_words([share(0.1, 0.2, masks=10), share(0.1, 0.2)]))
    assert "10 of 20" in both and QUALITY in both


def test_page_and_html_show_the_same_figures(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    measured = table_of(INDEX).assign(
        **{INSIDE: generator.uniform(0.2, 0.6, len(INDEX)), AREA: 0.3, FIELD: "automatic"}
    )
    tables = [read(tmp_path, "a", measured), read(tmp_path, "b", table_of(INDEX, 1.0))]
    comparison = Comparison.of(tables, resamples=50)
    assert unmeasured(comparison.tables) == ("b",)
    html = comparison_html(comparison)
    rows = sections.lungs(comparison).rows
    assert len(rows) == 4 and {row[0] for row in rows} == {"a"}
    assert all(cell in html for row in rows for cell in row)
