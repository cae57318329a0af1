"""Put models of the shelf together into an ensemble, beside their cards."""

from __future__ import annotations

from typing import Final

import streamlit as st

from lungassist.errors import LungAssistError
from lungassist.evaluation.ensemble import last_ensemble, make_ensemble, undo_ensemble
from lungassist.models.card import Card
from lungassist.models.members import FEWEST
from lungassist.models.weights import ShelfEntry
from pages.parts import session

_MEMBERS: Final = "ensemble_members"
_NAME: Final = "ensemble_name"
_DEFAULT: Final = "ensemble_default"
_OPEN: Final = "ensemble_open"
_DONE: Final = "ensemble_done"
_PROBLEM: Final = "ensemble_problem"


def show_ensemble(entries: list[ShelfEntry]) -> None:
    """Offer it where there are models enough, and say what came of it."""
    if said := st.session_state.pop(_DONE, None):
        st.success(said, icon=":material/check:")
    names = [entry.name for entry in entries if entry.card and not entry.card.members]
    if problem := st.session_state.pop(_PROBLEM, None):
        st.error(problem, icon=":material/error:")
    if len(names) < FEWEST:
        return
    with st.expander("Put models together", icon=":material/join:", key=_OPEN, on_change="rerun"):
        st.caption(
            "An ensemble asks several models and answers with the mean of their log-probabilities: what all of them "
            "think possible is probable. Its heat map is the mean of theirs. It often errs less than each, and takes "
            "as long as all. It is made of their own tables, in seconds; the models must have been trained and judged "
            "on the same images, and stay in weights/."
        )
        _form(names, {entry.name for entry in entries})
        _take_back()


def _form(names: list[str], taken: set[str]) -> None:
    left, right = st.columns(2)
    kept = [name for name in st.session_state.get(_MEMBERS, []) if name in names]
    st.session_state[_MEMBERS] = kept
    with left:
        members = st.multiselect("Members", names, key=_MEMBERS, placeholder="Choose two or more")
    with right:
        name = st.text_input("Name", "ensemble", key=_NAME, help="Of its folder in weights/, and on every finding.")
    words, button = st.columns([6, 2], vertical_alignment="center")
    with words:
        st.checkbox("Let triage start with it", key=_DEFAULT)
        if name.strip() in taken:
            st.caption(f":material/swap_horiz: **{name.strip()}** is there already: an ensemble is replaced, and kept.")
    button.button(
        "Put together",
        type="primary",
        icon=":material/join:",
        key="ensemble_make",
        width="stretch",
        disabled=len(members) < FEWEST or not name.strip(),
        on_click=_make,
    )


def _take_back() -> None:
    try:
        last = last_ensemble(session.settings().weights_dir)
    except LungAssistError as error:
        st.error(str(error), icon=":material/error:")
        return
    if last is not None:
        st.button(
            f"Take {last.name} {last.version} back",
            icon=":material/undo:",
            key="ensemble_undo",
            help="The shelf is then as it was before"
            + (f"; the earlier {last.name} comes back." if last.replaced else "."),
            on_click=_undo,
            args=(last.name,),
        )


def _undo(name: str) -> None:
    try:
        undo_ensemble(session.settings().weights_dir, name)
    except (LungAssistError, OSError) as error:
        st.session_state[_PROBLEM] = str(error)
        return
    st.session_state[_DONE] = f"{name} was taken back. The shelf is as it was."


def _make() -> None:
    state = st.session_state
    name = str(state[_NAME]).strip()
    try:
        card = make_ensemble(
            session.settings().weights_dir, list(state[_MEMBERS]), name=name, make_default=bool(state[_DEFAULT])
        )
    except (LungAssistError, OSError) as error:
        state[_PROBLEM] = str(error)
        return
    state[_DONE] = _made(card, first=bool(state[_DEFAULT]))
    state[_MEMBERS], state[_OPEN] = [], False


def _made(card: Card, *, first: bool) -> str:
    members = " and ".join(member.name for member in card.members)
    start = ", and triage starts with it" if first else ""
    return (
        f"**{card.name}** {card.version} is in weights/{start}: {members}, asked together. It judges by the highest "
        "probability; the tab *Operating point* chooses another."
    )
