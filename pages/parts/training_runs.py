"""Runs: everybody's, the newest first, followed while any is under way; the selected one below."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from lungassist.errors import LungAssistError
from lungassist.experiments.evaluation_launch import training_jobs
from lungassist.experiments.lines import Line, line_of
from lungassist.experiments.standing import ACTIVE
from lungassist.experiments.wording import duration
from lungassist.jobs import JobBoard
from pages.parts import training_state as state
from pages.parts.training_run import show_run
from pages.parts.training_undo import show_undo

#: Seconds between two looks: while something is under way, and while nothing is but somebody else may launch.
_FAST, _SLOW = 1.0, 10.0
_POLLING = "training_polling"


def show_runs(board: JobBoard) -> None:
    """Show the list and the selected run, and keep both up to date."""
    busy = any(job.state.value in ACTIVE for job in training_jobs(board.jobs()))
    st.session_state[_POLLING] = busy
    st.fragment(_runs, run_every=_FAST if busy else _SLOW)(board)


def _runs(board: JobBoard) -> None:
    try:
        jobs = training_jobs(board.jobs())
    except LungAssistError as error:
        st.error(str(error), icon=":material/database_off:")
        return
    if any(job.state.value in ACTIVE for job in jobs) != st.session_state.get(_POLLING):
        st.rerun()  # to follow at another pace
    if not jobs:
        st.info("No run yet. Launch one under *New run*.", icon=":material/rocket_launch:")
        state.show_problem()
        show_undo()
        return
    lines = [line_of(job) for job in jobs]
    chosen = _choose(lines)
    state.show_problem()
    show_undo()
    show_run(board, chosen)


def _choose(lines: list[Line]) -> Line:
    """The run that the URL names, which a click on a row changes; the newest where it names none."""
    ids = [line.job.id for line in lines]
    wanted = state.selected()
    if wanted is not None and wanted not in ids:
        st.warning(f"There is no run {wanted} any more. Choose another one.", icon=":material/search_off:")
    row = ids.index(wanted) if wanted in ids else 0
    # A run more or less changes what a row means: so it begins a new table.
    key = f"training_runs {hash(tuple(ids))}"
    st.dataframe(
        pd.DataFrame([_row(line) for line in lines]),
        hide_index=True,
        on_select=lambda: _picked(key, ids),
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [row]}},
        height=min(38 + 35 * len(lines), 248),
        column_config=_columns(),
        key=key,
        placeholder="",
        alt="Runs, the newest first",
    )
    if wanted is None:
        state.select(ids[row])
    return lines[row]


def _picked(key: str, ids: list[int]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows and rows[0] < len(ids):
        state.select(ids[rows[0]])


def _row(line: Line) -> dict[str, object]:
    job = line.job
    return {
        "id": job.id,
        "name": job.title,
        "network": str(job.details.get("architecture", job.kind)),
        "state": line.standing.words,
        "progress": line.standing.share,
        "accuracy": None if line.accuracy is None else 100 * line.accuracy,
        "started": job.started or job.created,
        "took": "" if line.seconds is None else duration(line.seconds),
    }


def _columns() -> dict[str, Any]:
    config = st.column_config
    return {
        "id": config.NumberColumn("Run", width=50, format="%d"),
        "name": config.TextColumn("Name", width="medium"),
        "network": config.TextColumn("Network", width=140),
        "state": config.TextColumn("State", width=130),
        "progress": config.ProgressColumn("Progress", format="percent", min_value=0, max_value=1),
        "accuracy": config.NumberColumn("Test accuracy", format="%.1f %%", width=100),
        "started": config.DatetimeColumn("Started", format="D MMM, HH:mm", timezone=st.context.timezone),
        "took": config.TextColumn("Time", width=90),
    }
