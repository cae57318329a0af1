"""The operating point: from which probability on a study is called sick; who is then missed, who is ruled out."""

from __future__ import annotations

from typing import Final

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from lungassist.errors import PredictionsError
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.operating import OperatingPoint
from lungassist.evaluation.wording import percent, percent_interval
from lungassist.metrics import Outcome, Sweep
from lungassist.metrics.operating_point import Rate
from lungassist.models.card import Card
from pages.parts.comparison_figures import CONFIG, GREY, laid_out
from pages.parts.comparison_state import Pinned
from pages.parts.comparison_threshold_saved import Looked, owner, show_saved

_QUESTIONS: Final = {"sick": "All abnormal", "contagious": "Contagious"}
_SOUGHT: Final = {"sick": "1 − P(Normal)", "contagious": "P(COVID) + P(Viral Pneumonia)"}
#: Notches of the slider; each rules out about as many more images as the one before.
_NOTCHES: Final = 200
_THRESHOLD: Final = "threshold"
#: Of the line where triage's own threshold is.
_SAVED: Final = "#d69a00"


def show_threshold(comparison: Comparison) -> None:
    """Let the reader move the threshold of a model and see what it does."""
    if not comparison.questions:
        st.info("The classes have no Normal and none that is contagious: there is nobody to rule out.")
        return
    model, question, target = _choose(comparison)
    try:
        point = comparison.operating_point(model, question, target)
    except PredictionsError as error:
        st.warning(str(error), icon=":material/warning:")
        point = None
    sweep = comparison.sweep(model, question)
    threshold = _slider(sweep, point, question)
    outcome = comparison.judged(model, question, threshold)
    chosen = point is not None and threshold == point.outcome.threshold
    _figures(outcome)
    st.caption(_origin(point, chosen=chosen, split=comparison.split))
    card = owner(comparison, model)
    looked = Looked(question, threshold, target if chosen else None, comparison.split)
    show_saved(comparison, model, card, looked)
    st.plotly_chart(_curves(sweep, threshold, point, _saved(card, question)), config=CONFIG, key="comparison_sweep")


def _choose(comparison: Comparison) -> tuple[str, str, float]:
    first, second, third = st.columns([4, 3, 3], vertical_alignment="bottom")
    models = comparison.models
    model = first.selectbox(
        "Model",
        models,
        index=models.index(comparison.choice.name),
        key="of",
        bind="query-params",
        on_change=_begin_anew,
    )
    question = second.segmented_control(
        "Looked for",
        comparison.questions,
        format_func=lambda name: _QUESTIONS[name],
        default=comparison.questions[0],
        required=True,
        key="sought",
        bind="query-params",
        on_change=_begin_anew,
    )
    target = third.number_input(
        "Sensitivity wanted (%)",
        50.0,
        100.0,
        99.0,
        0.1,
        format="%.1f",
        key="sensitivity",
        bind="query-params",
        on_change=_begin_anew,
    )
    return model, str(question), float(target) / 100


def _slider(sweep: Sweep, point: OperatingPoint | None, question: str) -> float:
    places = np.unique(np.linspace(0, len(sweep.threshold) - 1, _NOTCHES).astype(int))
    notches = {_said(value): value for value in sweep.threshold[places].tolist()}
    start = list(notches.values())[len(notches) // 2]
    if point is not None:
        start = point.outcome.threshold
        notches[_said(start)] = start
    found: float = st.select_slider(
        f"Threshold: {_SOUGHT[question]} from which a study is called so",
        sorted(notches.values()),
        start,
        format_func=_said,
        key=_THRESHOLD,
        bind="query-params",
    )
    return found


def _said(threshold: float) -> str:
    """As it is shown and stands in the address; tables have five digits."""
    return f"{threshold:.5f}"


PINNED: Final[Pinned] = {"of": str, "sought": _QUESTIONS.__getitem__, "sensitivity": str, _THRESHOLD: _said}


def _begin_anew() -> None:
    """Let the slider go to the point that is chosen for another model, question or sensitivity."""
    st.session_state.pop(_THRESHOLD, None)
    st.query_params.pop(_THRESHOLD, None)


def _figures(outcome: Outcome) -> None:
    cells = st.columns(4)
    sick = round(outcome.missed / (1 - outcome.sensitivity.value)) if outcome.sensitivity.value < 1 else None
    of = f"of {sick:,}" if sick else "none of all"
    cells[0].metric("Missed", f"{outcome.missed:,}", of, delta_color="off", delta_arrow="off", border=True)
    for cell, name, rate in (
        (cells[1], "Sensitivity", outcome.sensitivity),
        (cells[2], "Specificity: healthy ruled out", outcome.specificity),
        (cells[3], "Ruled out, of all", outcome.ruled_out),
    ):
        cell.metric(name, percent(rate.value), border=True, delta=_interval(rate), delta_color="off", delta_arrow="off")
    st.caption(
        f"Of {outcome.images:,} images. Of those ruled out, {percent(outcome.ruled_out_healthy.value)} are free of it. "
        f"Intervals are 95 %, by bootstrap over patients; Wilson's for sensitivity {_ends(outcome.sensitivity)}."
    )


def _interval(rate: Rate) -> str:
    ends = percent_interval(rate.bootstrap)
    return f"{ends} %" if ends else ""


def _ends(rate: Rate) -> str:
    return f"{percent_interval(rate.wilson)} %"


def _origin(point: OperatingPoint | None, *, chosen: bool, split: str) -> str:
    if point is None:
        return ""
    if chosen:
        return (
            f":material/check: The threshold is the largest that keeps {percent(point.target, 1)} sensitivity on the "
            f"{point.positives:,} such of {point.chosen_on:,} validation images; it is judged on {split} images."
        )
    return (
        f":material/touch_app: Moved by hand. Chosen so on {split} images, its figures flatter; the one chosen on "
        f"validation images is {_said(point.outcome.threshold)}."
    )


def _saved(card: Card | str, question: str) -> float | None:
    saved = None if isinstance(card, str) else card.operating_point.points.get(question)
    return None if saved is None else saved.threshold


def _curves(sweep: Sweep, threshold: float, point: OperatingPoint | None, saved: float | None) -> go.Figure:
    figure = go.Figure()
    for name, values, colour in (
        ("Sensitivity", sweep.sensitivity, "#d55e00"),
        ("Specificity", sweep.specificity, "#3a8fd0"),
        ("Ruled out", sweep.ruled_out, "#159c77"),
    ):
        figure.add_scatter(
            x=sweep.threshold,
            y=values,
            name=name,
            mode="lines",
            line={"color": colour, "width": 2},
            hovertemplate=f"{name} %{{y:.1%}}<extra></extra>",
        )
    figure.add_vline(x=threshold, line={"color": GREY, "width": 2})
    if point is not None and point.outcome.threshold != threshold:
        figure.add_vline(x=point.outcome.threshold, line={"color": GREY, "width": 1, "dash": "dot"})
    if saved is not None:
        figure.add_vline(
            x=saved,
            line={"color": _SAVED, "width": 2, "dash": "dash"},
            annotation={"text": f"triage {_said(saved)}", "font": {"color": _SAVED}},
            annotation_position="bottom right",
        )
    laid_out(figure, 300, hovermode="x unified")
    figure.update_xaxes(range=[0, 1], title="Threshold", tickformat=".2f")
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    return figure
