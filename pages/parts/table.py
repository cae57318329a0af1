"""The worklist as a table: what was found, in which order to read, and the batch to take away."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import pandas as pd
import streamlit as st

from lungassist.predict import Classifier
from lungassist.worklist import Entry, Worklist, findings_csv, outcome_of, row_of, urgency

#: Where the session keeps the key of the study that is looked at. A table knows rows only, and another order, model or
#: upload puts another patient's study on a row.
SELECTED: Final = "selected study"


def show_worklist(here: Worklist, model: Classifier, method: str, second: Classifier | None = None) -> Entry:
    """Show every study of a list that is not empty with its finding; returns the selected one.

    A study stays selected until the reader selects another one or it leaves the list; then the first is.
    """
    outcomes = {entry.key: outcome_of(entry, model, method, second) for entry in here.entries}
    by_urgency = st.session_state.get("order", "Most urgent first") == "Most urgent first"
    entries = here.entries
    if by_urgency:
        entries = sorted(entries, key=lambda entry: urgency(outcomes[entry.key]))
    chosen = _selected_row(entries)
    rows = [row_of(e.study.name, outcomes[e.key], synthetic=e.synthetic) for e in entries]
    table = _prepared_table(entries, chosen)
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        on_select=partial(_select_row, table, [entry.key for entry in entries]),
        selection_mode="single-row-required",
        height=min(38 + 35 * len(rows), 213),
        column_config={
            "file": st.column_config.TextColumn("Study", width=220),
            "finding": st.column_config.TextColumn("Finding", width=130),
            "probability": st.column_config.ProgressColumn("Probability", format="percent", min_value=0, max_value=1),
            "flags": st.column_config.TextColumn("Flags", width=220),
            "notes": st.column_config.TextColumn("Notes", width="large"),
        },
        key=table,
    )
    st.caption(f":material/flag: Operating point: {model.card.operating_point.words}.")
    order, take = st.columns([3, 1], vertical_alignment="center")
    order.segmented_control(
        "Order",
        ["Most urgent first", "As uploaded"],
        default="Most urgent first",
        key="order",
        persist_state="session",
        required=True,
        label_visibility="collapsed",
    )
    take.download_button(
        "Batch (CSV)",
        findings_csv(list(outcomes.values()), model.classes),
        "lungassist.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
    )
    return entries[chosen]


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
    shown = st.session_state.get(key)
    if shown is None or shown["selection"]["rows"] != [row]:
        st.session_state[key] = {"selection": {"rows": [row]}}
    return key


def _select_row(table: str, keys: Sequence[str]) -> None:
    rows = st.session_state[table]["selection"]["rows"]
    if rows:
        st.session_state[SELECTED] = keys[rows[0]]
