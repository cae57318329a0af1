"""The shortcut audit: how much of a model's evidence lies inside the lungs, against what chance would give."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from lungassist.classes import spoken
from lungassist.evaluation import sections
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.leaderboard import Value
from lungassist.evaluation.lung_summary import LungShare, unmeasured
from lungassist.evaluation.wording import listed
from pages.parts import comparison_evaluate_state as shared
from pages.parts import comparison_state as state
from pages.parts import session
from pages.parts.comparison_figures import CONFIG, GREY, bars_of, colour_of, laid_out, ranked, short_of, symbol_of

_HOW_TO_READ = (
    "For each image, the heat map (Grad-CAM) of the model's finding, right or wrong, is held against the lungs. A dot "
    "is the mean share of its evidence inside them, with the 95 % interval by patient; the grey bar is the share of "
    "the picture that the lungs fill, which evidence spread evenly, or at random, would have. A dot **right of its "
    "bar** says that the model looks at the lungs; one **on or left of it** says that something else may decide: a "
    "marker, the edge of the picture, the shoulders. That is a reason to look at the images, not a proof: heat maps "
    "are coarse, and some findings show beside the lungs."
)


def show_lungs(comparison: Comparison) -> None:
    """Show the shares of the models that have some, and offer to measure the others."""
    shares = comparison.lung_shares
    missing = unmeasured(comparison.tables)
    if shares:
        st.markdown(f"**Evidence inside the lungs, {comparison.split} images**")
        st.caption(_HOW_TO_READ)
        st.plotly_chart(_figure(comparison, shares), config=CONFIG, key="comparison_lungs")
        _table(comparison)
    if missing:
        _offer(missing)
    if comparison.slice_columns:
        st.button(
            "Accuracy by source and other properties of the images",
            icon=":material/stacks:",
            key="comparison_lungs_slices",
            on_click=_to_slices,
            help="The other half of the audit: a model that learnt where images come from falls with it.",
        )


def _table(comparison: Comparison) -> None:
    section = sections.lungs(comparison)
    st.dataframe(
        pd.DataFrame(section.rows, columns=list(section.columns)),
        hide_index=True,
        column_config={name: st.column_config.TextColumn(name, alignment="right") for name in section.numbers},
        key="comparison_lungs_table",
        alt=section.title,
    )
    st.caption(" ".join(section.notes))


def _offer(missing: Sequence[str]) -> None:
    st.info(
        f"Not measured: {listed(missing)}. The tables were made without a look at the lungs; an evaluation "
        "of the model on a folder of images, with lungs, makes one that has it.",
        icon=":material/pulmonology:",
    )
    on_shelf = [entry.name for entry in session.shelf() if entry.card is not None]
    models = [name for name in on_shelf if any(each == name or each.startswith(f"{name} (") for each in missing)]
    st.button(
        "Measure by an evaluation",
        icon=":material/play_arrow:",
        key="comparison_lungs_measure",
        on_click=shared.prepare,
        args=(models or on_shelf[:1],),
        kwargs={"lungs": True},
    )


def _to_slices() -> None:
    st.session_state[state.VIEW] = "Slices"


def _figure(comparison: Comparison, shares: Sequence[LungShare]) -> go.Figure:
    models = [model for model in ranked(comparison) if any(share.model == model for share in shares)]
    findings = [label for label in comparison.classes if any(share.finding == label for share in shares)]
    short = short_of(comparison.models)
    figure = go.Figure()
    for number, model in enumerate(models):
        own = [share for share in shares if share.model == model]
        rows = [findings.index(share.finding) + _offset(number, len(models)) for share in own]
        place = ranked(comparison).index(model)
        figure.add_scatter(
            x=[100 * share.area for share in own],
            y=rows,
            name="The lungs' share of the picture" if number == 0 else None,
            mode="markers",
            marker={"color": GREY, "symbol": "line-ns", "size": 18, "line": {"color": GREY, "width": 3}},
            showlegend=number == 0,
            hovertemplate="lungs fill %{x:.1f} % of the picture<extra></extra>",
        )
        figure.add_scatter(
            x=[100 * share.inside for share in own],
            y=rows,
            name=short[model],
            mode="markers",
            marker={"color": colour_of(place), "symbol": symbol_of(place), "size": 10},
            error_x=bars_of([Value(share.inside, share.interval) for share in own], 100),
            text=[f"{spoken(share.finding)}, {share.images:,} images, {share.reading}" for share in own],
            hovertemplate=f"{short[model]}, %{{text}}: %{{x:.1f}} %<extra></extra>",
        )
    laid_out(figure, 110 + len(findings) * max(44, 22 * len(models)))
    figure.update_xaxes(title="Share of the evidence, %", rangemode="tozero")
    ticks = list(range(len(findings)))
    figure.update_yaxes(tickvals=ticks, ticktext=[spoken(label) for label in findings], autorange="reversed")
    return figure


def _offset(number: int, models: int) -> float:
    return 0.6 * ((number + 0.5) / models - 0.5)
