"""The worklist as a table: what was found, in which order to read, and the batch to take away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, cast

import pandas as pd
import streamlit as st

from lungassist.classes import percent
from lungassist.imaging.wording import shown
from lungassist.predict import Classifier
from lungassist.worklist import Entry, Outcome, Worklist, findings_csv, outcome_of, row_of, urgency

#: Where the session keeps the key of the study that is looked at. A table knows rows only, and another order, model or
#: upload puts another patient's study on a row.
SELECTED: Final = "selected study"

_BY_URGENCY: Final = "Most urgent first"

#: Heights in pixels: of the table's header, of a row, and of the table where a window has no room for more.
_HEADER, _ROW, _FEW = 38, 35, 213

#: The table's own download has neither model nor version nor hash; *Batch* has. The film is what counts: a small
#: heading on the line of the operating point. A window of 720 pixels leaves the film the room that five rows leave it;
#: a higher one shows more of the list and of the film. A phone gives names a line.
_STYLE: Final = f"""
.st-key-head {{flex-wrap: nowrap; gap: 0.6rem; margin-bottom: -0.5rem}}
.st-key-head h1 {{font-size: 1.05rem; padding: 0}}
[data-testid=stLayoutWrapper]:has(> .st-key-list) {{
    flex-basis: min(%dpx, max({_FEW}px, {_FEW}px + 0.4 * (100vh - 720px))) !important}}
.st-key-list [data-testid=stElementToolbarButton]:has([aria-label="Download as CSV"]) {{display: none}}
@media (max-width: 640px) {{.st-key-steps .st-key-study {{min-width: 100%%}}}}
"""


def show_worklist(here: Worklist, model: Classifier, method: str, second: Classifier | None = None) -> Entry:
    """Show every study of a list that is not empty with its finding; returns the selected one.

    A study stays selected until the reader selects another one or it leaves the list; then the first is. The table
    selects by mouse, the box and the buttons below it by keyboard too.
    """
    outcomes = {entry.key: outcome_of(entry, model, method, second) for entry in here.entries}
    entries = here.entries
    if st.session_state.get("order", _BY_URGENCY) == _BY_URGENCY:
        entries = sorted(entries, key=lambda entry: urgency(outcomes[entry.key]))
    chosen = _selected_row(entries)
    with st.container(horizontal=True, vertical_alignment="center", key="head"):
        st.title("Triage", anchor=False, width="content")
        st.caption(f":material/flag: Operating point: {model.card.operating_point.words}.")
    _table(entries, outcomes, chosen)
    with st.container(horizontal=True, vertical_alignment="center", key="steps"):
        _order()
        _steps(entries, chosen)
        st.download_button(
            "Batch (CSV)",
            findings_csv(list(outcomes.values()), model.classes),
            "lungassist.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
    return entries[chosen]


def _table(entries: Sequence[Entry], outcomes: Mapping[str, Outcome], chosen: int) -> None:
    rows = [row_of(e.study.name, outcomes[e.key], synthetic=e.synthetic) for e in entries]
    key = _prepared_table(entries, chosen)
    whole = _HEADER + _ROW * len(rows)
    st.html(f"<style>{_STYLE % whole}</style>")
    with st.container(key="list", height=min(whole, _FEW), border=False):
        st.dataframe(
            pd.DataFrame(rows).style.format({"probability": cast(Callable[[object], str], percent)}, na_rep=""),
            hide_index=True,
            on_select=partial(_select_row, key, [entry.key for entry in entries], chosen),
            selection_mode="single-row-required",
            height="stretch",
            column_config={
                "file": st.column_config.TextColumn("Study", width=220),
                "finding": st.column_config.TextColumn("Finding", width=130),
                "probability": st.column_config.NumberColumn("Probability", width=100),
                "flags": st.column_config.TextColumn("Flags", width=220),
                "notes": st.column_config.TextColumn("Notes", width="large"),
            },
            key=key,
        )


def _order() -> None:
    st.segmented_control(
        "Order",
        [_BY_URGENCY, "As uploaded"],
        default=_BY_URGENCY,
        key="order",
        persist_state="session",
        required=True,
        label_visibility="collapsed",
        width="content",
    )


def _steps(entries: Sequence[Entry], chosen: int) -> None:
    """The selected study's name in a box of all of them, in the order of the list, and a step either way."""
    keys = [entry.key for entry in entries]
    # Numbered, for names need not differ.
    labels = {entry.key: f"{number}. {shown(entry.study.name)}" for number, entry in enumerate(entries, start=1)}
    st.session_state["study"] = keys[chosen]
    st.selectbox(
        "Study",
        keys,
        format_func=labels.__getitem__,
        key="study",
        on_change=_select_named,
        label_visibility="collapsed",
    )
    for label, step in (("Previous", -1), ("Next", 1)):
        other = chosen + step
        there = 0 <= other < len(keys)
        st.button(
            label,
            key=label.lower(),
            on_click=_select,
            args=(keys[other] if there else "",),
            disabled=not there,
            help=f"{label} study of the list",
        )


def _selected_row(entries: Sequence[Entry]) -> int:
    """The row of the selected study in this order; of one that is gone, the first."""
    keys = [entry.key for entry in entries]
    row = keys.index(st.session_state[SELECTED]) if st.session_state.get(SELECTED) in keys else 0
    st.session_state[SELECTED] = keys[row]
    return row


def _prepared_table(entries: Sequence[Entry], row: int) -> str:
    """The key of the table of these studies in this order, which shows that row as the selected one.

    Each order has a table of its own, so that a click on the one before cannot select what is on that row now.
    """
    key = f"table {hash(tuple(entry.key for entry in entries))}"
    state = st.session_state.get(key)
    if state is None or state["selection"]["rows"] != [row]:
        st.session_state[key] = {"selection": {"rows": [row]}}
    return key


def _select_row(table: str, keys: Sequence[str], shown_row: int) -> None:
    rows = st.session_state[table]["selection"]["rows"]
    # The browser also reports the row that it was told to show; that is no wish of the reader's.
    if rows and rows != [shown_row]:
        _select(keys[rows[0]])


def _select_named() -> None:
    _select(st.session_state["study"])


def _select(key: str) -> None:
    st.session_state[SELECTED] = key
