"""Tables to take away: all as one HTML page, any as CSV or LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import streamlit as st

from lungassist.evaluation import sections
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.comparison_html import comparison_html
from lungassist.evaluation.section_export import section_csv, section_latex
from lungassist.evaluation.sections import Section

_THRESHOLD_TARGET = 0.99


def show_export(comparison: Comparison) -> None:
    """Offer the files; each is made when it is asked for."""
    st.download_button(
        "Everything (HTML)",
        lambda: comparison_html(comparison),
        "comparison.html",
        "text/html",
        icon=":material/html:",
        on_click="ignore",
        key="comparison_html",
        help="One file that needs nothing else: tables, matrices and curves.",
        width="stretch",
    )
    titles = list(_titles(comparison))
    title = st.selectbox("Table", titles, key="comparison_export_table")
    for name, write, ending, mime in (
        ("CSV", section_csv, "csv", "text/csv"),
        ("LaTeX", section_latex, "tex", "text/x-tex"),
    ):
        st.download_button(
            name,
            partial(_written, write, comparison, title),
            f"{title.lower().replace(' ', '-').replace(':', '')}.{ending}",
            mime,
            icon=":material/table:",
            on_click="ignore",
            key=f"comparison_export {ending}",
            width="stretch",
        )
    st.caption("Figures are saved as SVG by the camera in their corner. The address of this page holds the view.")


def _written(write: Callable[[Section], str], comparison: Comparison, title: str) -> str:
    return write(_section(comparison, title))


def _titles(comparison: Comparison) -> Iterator[str]:
    yield "Leaderboard"
    if comparison.published:
        yield "Published"
    if len(comparison.models) > 1:
        yield "Pairs"
    if comparison.questions:
        yield "Operating points"
    yield from (f"By {column}" for column in comparison.slice_columns)
    yield from (f"Classes: {model}" for model in comparison.models)


def _section(comparison: Comparison, title: str) -> Section:
    if title.startswith("Classes: "):
        return sections.per_class(comparison, title.removeprefix("Classes: "))
    if title.startswith("By "):
        return sections.sliced(comparison, title.removeprefix("By "))
    if title == "Operating points":
        return sections.thresholds(comparison, _THRESHOLD_TARGET)
    made = {"Leaderboard": sections.leaderboard, "Published": sections.published, "Pairs": sections.tests}
    return made[title](comparison)
