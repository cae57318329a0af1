"""Tables to take away: read back by what they are for."""

from __future__ import annotations

import csv
import io

from lungassist.evaluation.section_export import section_csv, section_latex
from lungassist.evaluation.sections import Section

SECTION = Section("A_b & c", ("Model", "p"), (("50% {x}_1", "< 0.001"), ("=SUM(A1)", "-0.5")), numbers=("p",))


def test_csv_reads_back_and_runs_nothing() -> None:
    rows = list(csv.reader(io.StringIO(section_csv(SECTION))))
    assert rows == [["Model", "p"], ["50% {x}_1", "< 0.001"], ["'=SUM(A1)", "-0.5"]]


def test_latex_escapes_what_is_special_and_sets_numbers_flush_right() -> None:
    text = section_latex(SECTION)
    assert r"\begin{tabular}{lr}" in text
    assert r"\caption{A\_b \& c}" in text
    assert r"50\% \{x\}\_1 & \textless{} 0.001 \\" in text


def test_published_rows_say_so_in_latex() -> None:
    published = Section("Published", ("Model",), (("AlexNet",),), published=True)
    assert "published, not measured" in section_latex(published)
