"""The paper's Table 1 for every model, with intervals; the rule's choice; and what the paper printed, kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from lungassist.classes import COVID, LUNG_OPACITY, VIRAL_PNEUMONIA, spoken
from lungassist.evaluation import sections
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.leaderboard import PublishedRow, Row, Value
from lungassist.evaluation.wording import listed, number_interval, percent_interval
from pages.parts.comparison_figures import CONFIG, GREY, bars_of, colour_of, laid_out, ranked, short_of, symbol_of
from pages.parts.literal import literal

#: Class -> heading and width of its count.
_COUNTED = {
    COVID: ("COVID-19 → Normal", 145),
    VIRAL_PNEUMONIA: ("Viral → Normal", 115),
    LUNG_OPACITY: ("Opacity → Normal", 135),
}
#: Points of accuracy below all measured models from which a published one is named at the edge and not drawn.
_FAR = 0.1
#: Pixels of a figure below which its axis is cut off.
_LOWEST = 120


def show_leaderboard(comparison: Comparison) -> None:
    """Show the rule's choice, the table, the intervals and the published rows."""
    _choice(comparison)
    st.dataframe(
        pd.DataFrame([_row(row, comparison) for row in _ranked(comparison)]),
        hide_index=True,
        column_config=_columns(comparison),
        height=min(38 + 35 * len(comparison.leaderboard), 528),
        placeholder="–",
        key="comparison_leaderboard",
        alt=f"Models on {comparison.split} images",
    )
    st.caption(
        f"{comparison.split.capitalize()} images. Intervals are 95 %, of {comparison.resamples:,} resamples by "
        "patient. Best first by the rule; click a heading to sort. The table's menu hides columns, searches and saves."
    )
    _notes(comparison)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.markdown("**Accuracy, 95 % intervals**")
        st.plotly_chart(_accuracies(comparison), config=CONFIG, key="comparison_accuracy")
    if any(row.called_normal for row in comparison.leaderboard):
        with right:
            st.markdown(f"**{comparison.counted.capitalize()} images called Normal, 95 % intervals**")
            st.plotly_chart(_missed(comparison), config=CONFIG, key="comparison_missed")
    if comparison.published:
        _published(comparison)


def _choice(comparison: Comparison) -> None:
    choice = comparison.choice
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(literal(choice.name), anchor=False, width="content")
            st.badge("Choice of the paper's rule", icon=":material/star:", color="blue")
            if choice.note:
                st.badge("Within chance", icon=":material/balance:", color="orange")
        st.markdown(literal(choice.reason))
        if close := [rival.name for rival in choice.rivals if rival.within_chance]:
            st.caption(f":material/balance: Ahead by no more than chance of {literal(listed(close))}.")
            with st.expander("Each lead, tested", icon=":material/science:"):
                st.markdown(literal(choice.note))


def _ranked(comparison: Comparison) -> list[Row]:
    order = ranked(comparison)
    return sorted(comparison.leaderboard, key=lambda row: order.index(row.model))


def _notes(comparison: Comparison) -> None:
    if comparison.notes:
        with st.expander(f"{len(comparison.notes)} notes on the tables", icon=":material/info:"):
            st.markdown("\n".join(f"- {literal(note)}" for note in comparison.notes))


def _row(row: Row, comparison: Comparison) -> dict[str, Any]:
    counted = {label: row.called_normal[label].value for label in _COUNTED if label in row.called_normal}
    return {
        "chosen": "★" if row.model == comparison.choice.name else "",
        "model": row.model,
        "accuracy": 100 * row.accuracy.value,
        "accuracy_interval": percent_interval(row.accuracy.interval),
        **counted,
        "train": 100 * row.train_accuracy,
        "gap": 100 * row.gap,
        "f1": 100 * row.macro_f1.value,
        "f1_interval": percent_interval(row.macro_f1.interval),
        "auc": row.sick_roc_auc.value,
        "auc_interval": number_interval(row.sick_roc_auc.interval),
        "ece": row.expected_calibration_error.value,
        "brier": row.brier.value,
        "images": row.images,
        "family": row.family,
        "version": row.version,
    }


def _columns(comparison: Comparison) -> dict[str, Any]:
    config = st.column_config
    longest = max(len(name) for name in comparison.models)
    counted = {
        label: config.NumberColumn(heading, format="%d", width=width, help=f"{spoken(label)} images called Normal.")
        for label, (heading, width) in _COUNTED.items()
    }
    interval = config.TextColumn("95 %", width=105, alignment="right")
    return {
        "chosen": config.TextColumn("", width=30, pinned=True, help="The choice of the paper's rule."),
        "model": config.TextColumn("Model", width=min(60 + 7 * longest, 240), pinned=True),
        "accuracy": config.NumberColumn("Accuracy", format="%.2f %%", width=80),
        "accuracy_interval": interval,
        "train": config.NumberColumn("Train", format="%.2f %%", width=80, help="Accuracy on its training images."),
        "gap": config.NumberColumn(
            "Gap", format="%+.1f", width=60, help="Train less this accuracy, in points: over-fitting."
        ),
        **counted,
        "f1": config.NumberColumn("Macro F1", format="%.2f %%", width=80),
        "f1_interval": interval,
        "auc": config.NumberColumn("AUC", format="%.4f", width=70, help="Area under the ROC curve, sick or Normal."),
        "auc_interval": config.TextColumn("95 %", width=120, alignment="right"),
        "ece": config.NumberColumn("ECE", format="%.3f", width=60, help="Expected calibration error; less is better."),
        "brier": config.NumberColumn("Brier", format="%.3f", width=60, help="Brier score, all classes."),
        "images": config.NumberColumn("Images", format="localized", width=70),
        "family": config.TextColumn("Family", width=90),
        "version": config.TextColumn("Version", width=110),
    }


def _accuracies(comparison: Comparison) -> go.Figure:
    figure = go.Figure()
    values = [row.accuracy for row in _ranked(comparison)]
    _dots(figure, comparison, values)
    if comparison.published:
        _printed(figure, comparison.published, len(values), min(value.value for value in values) - _FAR)
        figure.add_hline(y=len(values) - 0.5, line={"color": GREY, "width": 1, "dash": "dot"})
    names = [*_names(comparison), *map(_published_name, comparison.published)]
    return _rows(figure, names, " %")


def _published_name(row: PublishedRow) -> str:
    return f"{row.model} (published)"


def _printed(figure: go.Figure, rows: Sequence[PublishedRow], first: int, lowest: float) -> None:
    """Draw the paper's rows hollow, from a place on; one far below all that was measured would squeeze these, and is
    told in words.
    """
    near = [row for row in rows if row.accuracy.value >= lowest]
    figure.add_scatter(
        x=[100 * row.accuracy.value if row in near else None for row in rows],
        y=[first + place for place in range(len(rows))],
        text=[_published_name(row) for row in rows],
        mode="markers",
        marker={"color": GREY, "size": 9, "symbol": "diamond-open"},
        error_x={**bars_of([row.accuracy for row in rows], 100), "color": GREY, "width": 3},
        hovertemplate="%{text}: %{x:.2f} %<extra></extra>",
    )
    for place, row in enumerate(rows, first):
        if row not in near:
            figure.add_annotation(
                x=0,
                xref="x domain",
                y=place,
                text=f"◂ {row.accuracy.value:.2%}",
                showarrow=False,
                xanchor="left",
                font={"color": GREY},
            )


def _missed(comparison: Comparison) -> go.Figure:
    figure = go.Figure()
    values = [row.contagious_called_normal for row in _ranked(comparison)]
    _dots(figure, comparison, values, factor=1)
    figure.update_xaxes(rangemode="tozero")
    return _rows(figure, _names(comparison), "")


def _names(comparison: Comparison) -> list[str]:
    short = short_of(comparison.models)
    return [short[name] for name in ranked(comparison)]


def _dots(figure: go.Figure, comparison: Comparison, values: list[Value], factor: float = 100) -> None:
    ranks = range(len(values))
    unit = ".2f} %" if factor == 100 else ".0f} images"
    figure.add_scatter(
        x=[factor * value.value for value in values],
        y=list(ranks),
        text=_names(comparison),
        mode="markers",
        marker={"color": [colour_of(i) for i in ranks], "symbol": [symbol_of(i) for i in ranks], "size": 10},
        error_x={**bars_of(values, factor), "color": GREY},
        hovertemplate=f"%{{text}}: %{{x:{unit}<extra></extra>",
    )


def _rows(figure: go.Figure, names: Sequence[str], unit: str) -> go.Figure:
    """Lay out rows by their places; names are labels alone, so that two rows are never drawn on one."""
    laid_out(figure, max(26 * len(names) + 60, _LOWEST), showlegend=False)
    figure.update_layout(margin_t=8)
    figure.update_xaxes(ticksuffix=unit)
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=list(names), range=[len(names) - 0.4, -0.6])
    return figure


def _published(comparison: Comparison) -> None:
    section = sections.published(comparison)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**What the paper printed**", width="content")
        st.badge("Published, not measured here", icon=":material/menu_book:", color="gray")
    st.dataframe(
        pd.DataFrame(section.rows, columns=list(section.columns)),
        hide_index=True,
        column_config={name: st.column_config.TextColumn(name, alignment="right") for name in section.numbers},
        key="comparison_published",
        alt="Rows of the paper's Table 1: published, not measured here",
    )
    st.caption(section.notes[0])
    if section.notes[1:]:
        with st.expander(f"{len(section.notes) - 1} findings on the paper's figures", icon=":material/rule:"):
            st.markdown("\n".join(f"- {note}" for note in section.notes[1:]))
