"""What came of a finished run: figures on its test split, beside those of triage's model; promotion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from lungassist.classes import spoken
from lungassist.errors import LungAssistError
from lungassist.experiments.outcome import Comparison, Figure, Result, compare_with_triage, result_of_run
from lungassist.jobs import Job
from lungassist.models.card import Card
from lungassist.models.promotion import promote, promotions
from lungassist.models.promotion_standing import card_in_its_place, is_in_place
from pages.parts import session
from pages.parts import training_state as state
from pages.parts.training_curves import confusion_figure


def show_result(job: Job) -> None:
    """Show figures, comparison, warnings and promotion; or why there is nothing to show."""
    try:
        comparison = compare_with_triage(result_of_run(job.run_dir), session.settings())
    except LungAssistError as error:
        st.error(str(error), icon=":material/error:")
        return
    left, right = st.columns([5, 4], gap="medium")
    with left:
        st.markdown("**On the test split, beside the model that triage uses now**")
        _figures(comparison)
    with right:
        st.markdown("**Confusion on the test split**")
        _confusion(comparison.run)
    _limitations(comparison.run)
    if comparison.run.card is not None:
        _promotion(job, comparison.run.card, first=_is_fit_to_start(comparison))


def _figures(comparison: Comparison) -> None:
    triage = comparison.triage
    rows = [
        {
            "figure": figure.name,
            "run": _said(figure, figure.run),
            "triage": _said(figure, figure.triage),
            "difference": _difference(figure),
        }
        for figure in comparison.figures
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "figure": st.column_config.TextColumn("Figure", width="medium"),
            "run": st.column_config.TextColumn("This run", alignment="right"),
            "triage": st.column_config.TextColumn(
                f"{triage.name} {triage.version} (triage)" if triage else "Triage", alignment="right"
            ),
            "difference": st.column_config.TextColumn("Difference", alignment="right"),
        },
        column_order=["figure", "run", "triage", "difference"] if triage else ["figure", "run"],
        alt="Figures on the test split",
    )
    if comparison.note:
        icon = ":material/check:" if comparison.same_images else ":material/balance:"
        st.caption(f"{icon} {comparison.note}")


def _said(figure: Figure, value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:.1%}" if figure.is_share else f"{value:,.0f}"


def _difference(figure: Figure) -> str:
    if figure.difference is None or not figure.is_share:
        return ""
    points = 100 * figure.difference
    if abs(points) < 0.05:
        return "the same"
    return f"{points:+.1f} points, {'better' if (points > 0) == figure.more_is_better else 'worse'}"


def _confusion(card: Result) -> None:
    matrix = card.figures.get("test", {}).get("confusion_matrix")
    if matrix:
        figure = confusion_figure(matrix, [spoken(name) for name in card.classes], dark=st.context.theme.type == "dark")
        st.plotly_chart(figure, config={"displayModeBar": False}, key="training_confusion")


def _limitations(card: Result) -> None:
    if not card.limitations:
        return
    with st.expander(f"{len(card.limitations)} limitations to know before promoting", icon=":material/warning:"):
        st.markdown("\n".join(f"- {sentence}" for sentence in card.limitations))


def _is_fit_to_start(comparison: Comparison) -> bool:
    """Whether there is reason to let triage start with it; figures on different images are none."""
    if comparison.triage is None:
        return True
    difference = comparison.figures[0].difference
    return comparison.same_images and difference is not None and difference >= 0


def _promotion(job: Job, card: Card, *, first: bool) -> None:
    st.markdown("**Promote to triage**")
    left, middle, right = st.columns([3, 3, 2], vertical_alignment="bottom")
    as_key, first_key = f"training_promote_as {job.id}", f"training_promote_first {job.id}"
    left.text_input("Name in weights/", value=card.name, key=as_key)
    middle.toggle(
        "Triage starts with it",
        value=first,
        key=first_key,
        help="Off at first unless it did at least as well as the model that triage uses now, on the same test images.",
    )

    def go() -> None:
        # What is typed now, not when the button was drawn.
        name, start = st.session_state[as_key].strip(), st.session_state[first_key]
        promote(job.run_dir / "model", session.settings().weights_dir, name=name, make_default=start)

    right.button(
        "Promote",
        type="primary",
        icon=":material/upload:",
        key="training_promote",
        width="stretch",
        help="Copies the model and its card to the shelf, where the triage page offers it at once. A model of the same "
        "name is kept, and can be brought back.",
        on_click=state.trying(go, said="Promoted. The triage page offers it now."),
    )
    _history(str((job.run_dir / "model").absolute()))


def _history(source: str) -> None:
    weights_dir = session.settings().weights_dir
    try:
        ours = [entry for entry in promotions(weights_dir) if not entry.is_undone and entry.source == source]
    except LungAssistError as error:
        st.error(str(error), icon=":material/error:")
        return
    if not ours:
        return
    name, there = ours[0].name, card_in_its_place(ours[0], weights_dir)
    if there is not None and is_in_place(ours[0], weights_dir):
        first = " and triage starts with it" if _starts_triage(name) else ""
        st.success(f"In weights/ as **{name}** {there.version}{first}.", icon=":material/check:")
        return
    since = f"replaced by {there.name} {there.version}, which is another model" if there else "taken out of weights/"
    st.info(f"It was promoted as **{name}** {ours[0].version} and has since been {since}.", icon=":material/history:")


def _starts_triage(name: str) -> bool:
    try:
        return session.default_model() == name
    except LungAssistError:
        return False  # LUNGASSIST_MODEL names one that is not there


def saved(path: Path) -> dict[str, Any] | None:
    """What was saved with a run as JSON; None where there is nothing that can be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None
