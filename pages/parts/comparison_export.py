"""Results to take away: all as one HTML page, any table as CSV or LaTeX, any figure as PNG or SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import streamlit as st

from lungassist.evaluation import sections
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.comparison_html import comparison_html
from lungassist.evaluation.figure_export import figure_names, figure_png, figure_svg, file_stem
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
    title = st.selectbox("Table", list(_titles(comparison)), key="comparison_export_table")
    csv, latex = st.columns(2)
    with csv:
        _offer("CSV", partial(_written, section_csv, comparison, title), title, "text/csv")
    with latex:
        _offer("LaTeX", partial(_written, section_latex, comparison, title), title, "text/x-tex", ending="tex")
    name = st.selectbox("Figure", figure_names(comparison), key="comparison_export_figure")
    png, svg = st.columns(2)
    with png:
        _offer("PNG", lambda: figure_png(figure_svg(comparison, name)), name, "image/png")
    with svg:
        _offer("SVG", lambda: figure_svg(comparison, name), name, "image/svg+xml")
    st.caption("For print: on white, PNG at 300 dots an inch. The camera in a figure's corner saves it as it is here.")


def _offer(kind: str, make: Callable[[], str | bytes], name: str, mime: str, ending: str = "") -> None:
    ending = ending or kind.lower()
    st.download_button(
        kind,
        make,
        f"{file_stem(name)}.{ending}",
        mime,
        icon=":material/image:" if mime.startswith("image/") else ":material/table:",
        on_click="ignore",
        key=f"comparison_export {ending}",
        width="stretch",
    )


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
