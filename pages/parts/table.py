"""The worklist as a table: what was found, in which order to read, and the batch to take away."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lungassist.predict import Classifier
from lungassist.worklist import Entry, Worklist, findings_csv, outcome_of, row_of, urgency


def show_worklist(here: Worklist, model: Classifier, method: str, second: Classifier | None = None) -> Entry | None:
    """Show every study with its finding; returns the selected one, None when the reader selected none."""
    outcomes = {entry.key: outcome_of(entry, model, method, second) for entry in here.entries}
    by_urgency = st.session_state.get("order", "Most urgent first") == "Most urgent first"
    entries = here.entries
    if by_urgency:
        entries = sorted(entries, key=lambda entry: urgency(outcomes[entry.key]))
    rows = [row_of(e.study.name, outcomes[e.key], synthetic=e.synthetic) for e in entries]
    state = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [0]}},
        height=min(38 + 35 * len(rows), 213),
        column_config={
            "file": st.column_config.TextColumn("Study", width=220),
            "finding": st.column_config.TextColumn("Finding", width=130),
            "probability": st.column_config.ProgressColumn("Probability", format="percent", min_value=0, max_value=1),
            "flags": st.column_config.TextColumn("Flags", width=220),
            "notes": st.column_config.TextColumn("Notes", width="large"),
        },
        key=f"table {hash(tuple(entry.key for entry in entries))}",
    )
    st.caption(f":material/flag: Operating point: {model.card.operating_point.words}.")
    order, take = st.columns([3, 1], vertical_alignment="center")
    order.segmented_control(
        "Order",
        ["Most urgent first", "As uploaded"],
        default="Most urgent first",
        key="order",
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
    chosen = state["selection"]["rows"]
    return entries[chosen[0]] if chosen else None
