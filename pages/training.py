"""Training: data in, a recipe, a run that outlives the page; followed, compared, promoted to triage."""

from __future__ import annotations

import streamlit as st

from lungassist.errors import LungAssistError
from lungassist.experiments.evaluation_launch import training_jobs
from lungassist.jobs import JobBoard
from pages.parts import training_state as state
from pages.parts.frame import ensure_frame
from pages.parts.training_data import choose_data
from pages.parts.training_launch import show_launch
from pages.parts.training_recipe import choose_recipe, prepare_form
from pages.parts.training_runs import show_runs

#: What is decided on the left is launched on the right, so that stays in sight. The rest is spacing.
_STYLE = """<style>
.st-key-training_launch {position: sticky; top: 4rem}
.stMainBlockContainer h3 {font-size: 1.25rem; padding: 0.25rem 0}
</style>"""


def main() -> None:
    """Lay the page out."""
    st.html(_STYLE)
    try:
        board = state.board()
        has_jobs = bool(training_jobs(board.jobs()))
    except LungAssistError as error:
        st.error(str(error), icon=":material/database_off:")
        return
    state.arrive()
    st.session_state.setdefault(state.VIEW, state.RUNS if has_jobs or state.selected() else state.NEW)
    new, runs = st.tabs([state.NEW, state.RUNS], key=state.VIEW, on_change="rerun")
    if runs.open:
        with runs:
            show_runs(board)
    else:
        with new:
            state.leave()
            _new_run(board)


def _new_run(board: JobBoard) -> None:
    prepare_form()
    left, right = st.columns([7, 3], gap="large")
    with left:
        data = choose_data()
        recipe = choose_recipe()
    with right, st.container(key="training_launch", border=True):
        show_launch(board, data, recipe)


ensure_frame()
main()
