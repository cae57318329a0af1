"""The operating point that triage uses of a model: what it is, saving another, and taking that back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import streamlit as st

from lungassist.errors import LungAssistError
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.own_point import effect_in_words, effect_of, owner_of, propose
from lungassist.evaluation.tables import Predictions
from lungassist.models.card import Card
from lungassist.models.decision import Thresholds
from lungassist.models.operating_point import OperatingRule, words_of
from lungassist.models.point_keeping import reset_point, save_point, undo_point
from pages.parts import session

_OPEN: Final = "threshold_save_open"
_DONE: Final = "threshold_save_done"
_PROBLEM: Final = "threshold_save_problem"


@dataclass(frozen=True, slots=True)
class Looked:
    """What the reader is looking at: a threshold for a question, and the sensitivity that it was chosen for, if any."""

    question: str
    threshold: float
    target: float | None
    split: str


def owner(comparison: Comparison, model: str) -> Card | str:
    """The card of the model whose operating point may be set from this table, or why none may."""
    try:
        return owner_of(comparison.table_of(model), session.settings().weights_dir)
    except LungAssistError as error:
        return str(error)


def show_saved(comparison: Comparison, model: str, card: Card | str, looked: Looked) -> None:
    """Say what triage judges this model by, and offer to change that."""
    with st.container(border=True):
        if isinstance(card, str):
            st.caption(f":material/lock: This threshold cannot be saved. {card}")
            return
        table, rule = comparison.table_of(model), card.operating_point
        assert table.path is not None  # or it would have no owner
        folder = table.path.parent
        words, back, save = st.columns([11, 4, 4], vertical_alignment="center")
        with words:
            _now(folder.name, rule, table)
        with back:
            _back(folder, rule)
        saved = rule.points.get(looked.question)
        with save.popover(
            "Save this point",
            icon=":material/save:",
            key=_OPEN,
            on_change="rerun",
            width="stretch",
            disabled=saved is not None and (saved.threshold, saved.target) == (looked.threshold, looked.target),
        ):
            _confirm(folder, card, table, looked)


def _now(name: str, rule: OperatingRule, table: Predictions) -> None:
    st.markdown(f":material/flag: **Triage judges {name} by:** {rule.words}.")
    if rule.points:
        dates = ", ".join(sorted({point.date[:10] for point in rule.points.values()}))
        st.caption(f"Saved {dates}. {_effect(table, rule.thresholds)}")
    if said := st.session_state.pop(_DONE, None):
        st.toast(said, icon=":material/check:")
    if problem := st.session_state.pop(_PROBLEM, None):
        st.error(problem, icon=":material/error:")


def _confirm(folder: Path, card: Card, table: Predictions, looked: Looked) -> None:
    points = card.operating_point.points
    thresholds = Thresholds(
        **{**{name: point.threshold for name, point in points.items()}, looked.question: looked.threshold}
    )
    targets = {**{name: point.target for name, point in points.items()}, looked.question: looked.target}
    st.markdown(f"**{folder.name}** will then be judged by: {words_of(thresholds, targets)}.")
    st.markdown(_effect(table, thresholds))
    if looked.target is None and looked.split != "validation":
        st.warning(
            "Set by hand, on the images that it is judged by: its figures flatter. Those of a point that was chosen on "
            "validation images do not.",
            icon=":material/warning:",
        )
    st.caption(
        f"Everybody who triages with {folder.name} here uses it from the next study on, on the page and from the "
        "command line, and every finding says so; studies that are open are judged anew. It can be taken back."
    )
    st.button(
        "Save for everybody",
        type="primary",
        icon=":material/save:",
        key="threshold_save",
        width="stretch",
        on_click=_attempt,
        args=(lambda: _save(folder, card, looked), "Saved. Triage uses it from now on."),
    )


def _save(folder: Path, card: Card, looked: Looked) -> None:
    wanted = {"target": looked.target} if looked.target is not None else {"threshold": looked.threshold}
    seen_on = looked.split if looked.target is None else ""
    proposal = propose(folder, looked.question, seen_on=seen_on, **wanted)
    # The hash is that of the model whose figures are on the screen: another may have come in its place since.
    save_point(folder, looked.question, proposal.point, weights_sha256=card.weights_sha256)


def _back(folder: Path, rule: OperatingRule) -> None:
    if rule.previous is not None:
        st.button(
            "Take it back",
            icon=":material/undo:",
            key="threshold_undo",
            width="stretch",
            help=f"Back to: {rule.previous.words}.",
            on_click=_attempt,
            args=(lambda: undo_point(folder), f"Taken back. Triage judges by: {rule.previous.words}."),
        )
    if rule.points and (rule.previous is None or rule.previous.points):
        st.button(
            "Highest probability",
            icon=":material/restart_alt:",
            key="threshold_reset",
            width="stretch",
            help="Triage judges without an operating point, as before one was saved.",
            on_click=_attempt,
            args=(lambda: reset_point(folder), "Triage judges by the highest probability again."),
        )


def _effect(table: Predictions, thresholds: Thresholds) -> str:
    effect, otherwise = effect_of(table, thresholds), effect_of(table, Thresholds())
    return effect_in_words(effect, otherwise) if effect and otherwise else ""


def _attempt(action: Callable[[], object], said: str) -> None:
    """Do it, close what asked for it, and remember what came of it until it is shown."""
    st.session_state[_OPEN] = False
    try:
        action()
    except LungAssistError as error:
        st.session_state[_PROBLEM] = str(error)
    else:
        st.session_state[_DONE] = said
