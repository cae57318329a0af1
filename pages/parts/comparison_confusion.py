"""Confusion matrices as small multiples on one scale, the images of a cell, and a class at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from lungassist.classes import NORMAL, spoken
from lungassist.evaluation import sections
from lungassist.evaluation.comparison import Comparison
from lungassist.metrics import Matrix
from pages.parts.comparison_figures import CONFIG, bars_of, colour_of, laid_out, ranked, short_of, symbol_of
from pages.parts.comparison_images import show_images
from pages.parts.comparison_state import Pinned

MODEL, LABEL, FINDING = "model", "true", "called"
_CELLS, _RATE = "cells", "rate"
PINNED: Final[Pinned] = {_CELLS: str, MODEL: str, LABEL: spoken, FINDING: spoken, _RATE: str}
_MATRICES: Final = "comparison_matrices"
_MOST_ACROSS: Final = 4
_MOST_IN_SIGHT: Final = 8
_RIGHT, _WRONG = "58, 143, 208", "213, 94, 0"
#: Share of a class from which an error has the full colour; errors would else all be pale.
_MANY: Final = 0.2
#: Pixels of a cell's height, and between two rows of matrices.
_CELL: Final = 56
_BETWEEN: Final = 76

#: Model, true class, finding.
Cell = tuple[str, str, str]
_RATES: Final = {"Recall": "recall", "Precision": "precision", "F1": "f1"}


def show_confusion(comparison: Comparison) -> None:
    """Show all matrices, the images of the chosen cell and the classes."""
    shares = _show_as() == "Shares"
    # Of many models, the images of a cell shall stay in reach.
    matrices = st.container(height=640 if len(comparison.models) > _MOST_IN_SIGHT else "content", border=False)
    left, right = st.columns([1, 1], gap="medium")
    with left:
        chosen = _choose_cell(comparison)
        show_images(comparison, *chosen)
    with right:
        _classes(comparison)
    _class_table(comparison, chosen[0])
    matrices.plotly_chart(
        _figure(comparison, chosen, shares=shares, dark=st.context.theme.type == "dark"),
        config={"displayModeBar": False},
        on_select=lambda: _picked(comparison),
        selection_mode="points",
        key=_MATRICES,
    )


def _show_as() -> str:
    left, right = st.columns([2, 9], vertical_alignment="center")
    found = left.segmented_control(
        "Show",
        ["Counts", "Shares"],
        default="Counts",
        required=True,
        key=_CELLS,
        bind="query-params",
        label_visibility="collapsed",
    )
    right.caption(
        "True class in rows, called in columns, shaded by the share of the true class on one scale for all models: "
        f":blue[blue] is right, :orange[orange] is wrong and full from {_MANY:.0%}. Click a cell to see its images."
    )
    return str(found)


def _picked(comparison: Comparison) -> None:
    points = st.session_state[_MATRICES]["selection"]["points"]
    if points:
        model, label, finding = points[0]["customdata"][:3]
        if model in comparison.models:
            st.session_state[MODEL], st.session_state[LABEL], st.session_state[FINDING] = model, label, finding


def _figure(comparison: Comparison, chosen: Cell, *, shares: bool, dark: bool) -> go.Figure:
    models, short = ranked(comparison), short_of(comparison.models)
    across = min(_MOST_ACROSS, len(models)) if len(models) != 1 else 2
    down = -(-len(models) // across)
    side = _CELL * len(comparison.classes)
    drawn = down * side + (down - 1) * _BETWEEN
    figure = make_subplots(
        down,
        across,
        subplot_titles=[short[name] for name in models],
        horizontal_spacing=0.02,
        vertical_spacing=_BETWEEN / drawn,
    )
    ink = "#e6edf3" if dark else "#17212b"
    for number, model in enumerate(models):
        trace = _bars(model, comparison.confusion(model), comparison.classes, chosen, shares=shares, ink=ink)
        figure.add_trace(trace, row=number // across + 1, col=number % across + 1)
    names = [spoken(label) for label in comparison.classes]
    ticks = {"tickvals": list(range(len(names))), "showgrid": False, "zeroline": False, "fixedrange": True}
    figure.update_xaxes(**ticks, ticktext=[_abbreviated(name) for name in names], range=[-0.5, len(names) - 0.5])
    figure.update_yaxes(**ticks, ticktext=[""] * len(names), range=[len(names) - 0.5, -0.5])
    figure.update_yaxes(ticktext=names, col=1)
    figure.update_layout(
        height=drawn + 84,
        margin={"l": 112, "r": 8, "t": 30, "b": 54},
        showlegend=False,
        barmode="overlay",
        dragmode=False,
    )
    figure.update_annotations(font_size=13)
    return figure


def _bars(model: str, matrix: Matrix, classes: Sequence[str], chosen: Cell, *, shares: bool, ink: str) -> go.Bar:
    """A matrix as bars, one a cell: these can be clicked, which a heat map cannot."""
    cells = [(row, column) for row in range(len(classes)) for column in range(len(classes))]
    totals = [max(1, int(matrix[row].sum())) for row in range(len(classes))]
    share = {(row, column): int(matrix[row, column]) / totals[row] for row, column in cells}
    marked = [(model, classes[row], classes[column]) == chosen for row, column in cells]
    return go.Bar(
        x=[column for _, column in cells],
        base=[row - 0.47 for row, _ in cells],
        y=[0.94] * len(cells),
        width=0.94,
        text=[f"{share[cell]:.1%}" if shares else f"{int(matrix[cell]):,}" for cell in cells],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        textfont={"color": ink, "size": 14},
        customdata=[
            (model, classes[row], classes[column], f"{int(matrix[row, column]):,}", f"{share[row, column]:.1%}")
            for row, column in cells
        ],
        marker={
            "color": [_colour(share[cell], right=cell[0] == cell[1]) for cell in cells],
            "line": {"color": ink, "width": [2 if here else 0 for here in marked]},
        },
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}, "textfont": {"color": ink}},
        hovertemplate="%{customdata[1]} called %{customdata[2]}: %{customdata[3]} (%{customdata[4]})<extra></extra>",
    )


def _colour(share: float, *, right: bool) -> str:
    strength = share if right else min(1.0, share / _MANY)
    return f"rgba({_RIGHT if right else _WRONG}, {0.05 + 0.65 * strength:.3f})"


def _abbreviated(name: str) -> str:
    return name if len(name) <= 8 else name.replace(" ", "<br>")


def _choose_cell(comparison: Comparison) -> Cell:
    """Model, true class and finding; a click on a matrix changes them. At first, what the rule's model misses."""
    st.markdown("**The images of a cell**")
    classes = comparison.classes
    first = comparison.models.index(comparison.choice.name), 0, classes.index(NORMAL) if NORMAL in classes else 1
    model, label, finding = st.columns([2, 1.3, 1.3])
    return (
        model.selectbox("Model", comparison.models, first[0], key=MODEL, bind="query-params"),
        label.selectbox("True class", classes, first[1], format_func=spoken, key=LABEL, bind="query-params"),
        finding.selectbox("Called", classes, first[2], format_func=spoken, key=FINDING, bind="query-params"),
    )


def _classes(comparison: Comparison) -> None:
    st.markdown("**A class at a time**")
    rate = st.segmented_control(
        "Rate",
        list(_RATES),
        default="Recall",
        required=True,
        key=_RATE,
        bind="query-params",
        label_visibility="collapsed",
    )
    st.plotly_chart(_class_bars(comparison, str(rate)), config=CONFIG, key="comparison_classes")


def _class_table(comparison: Comparison, model: str) -> None:
    st.markdown(f"**The classes of {model}**")
    section = sections.per_class(comparison, model)
    st.dataframe(
        pd.DataFrame(section.rows, columns=list(section.columns)),
        hide_index=True,
        column_config={name: st.column_config.TextColumn(name, alignment="right") for name in section.numbers},
        key="comparison_class_table",
        alt=section.title,
    )
    st.caption("With 95 % intervals. A dash is what is not defined.")


def _class_bars(comparison: Comparison, rate: str) -> go.Figure:
    figure, short = go.Figure(), short_of(comparison.models)
    for place, model in enumerate(ranked(comparison)):
        rows = comparison.class_rows(model)
        values = [getattr(row, _RATES[rate]) for row in rows]
        error: dict[str, Any] = bars_of(values, 100)
        figure.add_scatter(
            x=[index + _offset(place, len(comparison.models)) for index in range(len(rows))],
            y=[100 * value.value for value in values],
            name=short[model],
            mode="markers",
            marker={"color": colour_of(place), "symbol": symbol_of(place), "size": 8},
            error_y={**error, "width": 2, "color": colour_of(place)},
            text=[spoken(row.label) for row in rows],
            hovertemplate=f"{short[model]}, %{{text}}: %{{y:.2f}} %<extra></extra>",
        )
    laid_out(figure, 260)
    figure.update_layout(showlegend=1 < len(comparison.models) <= 8)
    names = [spoken(label) for label in comparison.classes]
    figure.update_xaxes(tickvals=list(range(len(names))), ticktext=names, range=[-0.5, len(names) - 0.5])
    figure.update_yaxes(ticksuffix=" %")
    return figure


def _offset(place: int, models: int) -> float:
    return 0.7 * ((place + 0.5) / models - 0.5)
