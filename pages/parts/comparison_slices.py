"""Accuracy by any property of the images; what is too small to say is drawn hollow and says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from lungassist.evaluation import sections
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.leaderboard import Value
from lungassist.evaluation.slices import SMALLEST, Slice, in_natural_order
from pages.parts.comparison_figures import CONFIG, GREY, bars_of, colour_of, laid_out, ranked, short_of, symbol_of
from pages.parts.comparison_state import Pinned

_BY: Final = "by"
PINNED: Final[Pinned] = {_BY: str}


def show_slices(comparison: Comparison) -> None:
    """Show the slices of the column that the reader chooses."""
    columns = comparison.slice_columns
    if not columns:
        st.info(
            "The tables have no property by which the images fall into groups. Evaluate with --metadata to add "
            "source, sex, age, scanner or whatever is known.",
            icon=":material/stacks:",
        )
        return
    column = st.selectbox("By", columns, key=_BY, bind="query-params", width=280)
    parts = comparison.slices(column)
    st.plotly_chart(_figure(comparison, parts), config=CONFIG, key="comparison_slices")
    small = sum(part.too_small for part in parts)
    if small:
        st.caption(
            f":material/warning: Hollow and grey: fewer than {SMALLEST} images, too small to say. A single image moves "
            "the accuracy there by more than three points."
        )
    if any(part.classes == 1 for part in parts):
        st.caption(
            ":material/warning: Some slices have images of one class only: their accuracy is that class's recall, and "
            "says nothing of the others."
        )
    section = sections.sliced(comparison, column)
    st.dataframe(
        pd.DataFrame(section.rows, columns=list(section.columns)),
        hide_index=True,
        column_config={name: st.column_config.TextColumn(name, alignment="right") for name in section.numbers},
        key="comparison_slice_table",
        alt=section.title,
    )


def _figure(comparison: Comparison, parts: Sequence[Slice]) -> go.Figure:
    values = in_natural_order(part.value for part in parts)
    models = ranked(comparison)
    short, short_value = short_of(models), short_of(values)
    figure = go.Figure()
    for place, model in enumerate(models):
        own = [part for part in parts if part.model == model]
        colours = [GREY if part.too_small else colour_of(place) for part in own]
        symbols = [f"{symbol_of(place)}-open" if part.too_small else symbol_of(place) for part in own]
        figure.add_scatter(
            x=[100 * part.accuracy for part in own],
            y=[values.index(part.value) + 0.6 * ((place + 0.5) / len(models) - 0.5) for part in own],
            name=short[model],
            mode="markers",
            marker={"color": colours, "symbol": symbols, "size": 9},
            error_x={**bars_of([Value(part.accuracy, part.interval) for part in own], 100), "color": GREY, "width": 2},
            text=[f"{part.value}, {part.images:,} images" for part in own],
            hovertemplate=f"{short[model]}, %{{text}}: %{{x:.2f}} %<extra></extra>",
            showlegend=False,
        )
        figure.add_scatter(
            x=[None],
            y=[None],
            name=short[model],
            mode="markers",
            marker={"color": colour_of(place), "symbol": symbol_of(place), "size": 9},
        )
    # Legend above and title below take the same room beside few slices as beside many.
    laid_out(figure, 110 + len(values) * max(44, 13 * len(models)))
    figure.update_xaxes(ticksuffix=" %", title="Accuracy, 95 % interval")
    figure.update_yaxes(
        tickvals=list(range(len(values))),
        ticktext=[f"{short_value[value]} ({_images(parts, value)})" for value in values],
        range=[len(values) - 0.5, -0.5],
    )
    return figure


def _images(parts: Sequence[Slice], value: str) -> str:
    """How many images a slice has; models that saw different images have different numbers of them."""
    counts = [part.images for part in parts if part.value == value]
    return f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
