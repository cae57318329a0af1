"""What can be done with a run: cancel, resume, clone with changes, delete."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from lungassist.experiments.launching import config_of
from lungassist.experiments.wording import size
from lungassist.jobs import Job, JobBoard
from pages.parts import session
from pages.parts import training_state as state
from pages.parts.training_fields import NAME
from pages.parts.training_recipe import fill_form


def show_actions(board: JobBoard, job: Job) -> None:
    """The buttons that fit the state of the job."""
    now = job.state.value
    if now in ("queued", "running"):
        words = "Takes it out of the queue." if now == "queued" else "Stops it; the last checkpoint is kept."
        st.button(
            "Cancel",
            icon=":material/stop:",
            key="training_cancel",
            help=words,
            on_click=state.trying(board.cancel, job.id, said="Cancelled" if now == "queued" else "Stopping"),
        )
    if job.can_resume:
        st.button(
            "Resume",
            icon=":material/play_arrow:",
            key="training_resume",
            type="primary",
            help="Goes on exactly where the last checkpoint was made.",
            on_click=state.trying(board.resume, job.id, said="Queued again"),
        )
    if job.kind == "finetune" and st.button(
        "Clone",
        icon=":material/content_copy:",
        key="training_clone",
        help="Fills the form with this run's settings, to change some and launch it anew.",
        on_click=state.trying(_clone, job),
    ):
        st.rerun()  # the whole page, to go to the form
    if now not in ("running", "cancelling"):
        _delete(board, job)


def _clone(job: Job) -> None:
    config = config_of(job.run_dir)
    fill_form(config.recipe)
    st.session_state[NAME] = config.name
    st.session_state["training_folder"] = str(config.data)
    st.session_state[f"training_metadata {config.data}"] = str(config.metadata or "")
    state.go_to(state.NEW)


def _delete(board: JobBoard, job: Job) -> None:
    with st.popover("Delete", icon=":material/delete:", key=f"training_delete {job.id}"):
        st.markdown(
            f"Deletes run {job.id} and its folder, {_what_is_there(job.run_dir)}: checkpoints, log, predictions and "
            "the model in it. A model promoted from it stays in `weights/`."
        )
        st.caption(f"`{job.run_dir}`")
        if st.button("Delete for good", type="primary", icon=":material/delete_forever:", key="training_delete_now"):
            if state.attempt(lambda: board.delete(job.id, with_run=_is_ours(job.run_dir)), said="Deleted"):
                state.select(None)
            st.rerun()


def _is_ours(run: Path) -> bool:
    """Whether the page may delete the folder: only one that a run of this installation was given."""
    return run.parent == session.settings().runs_dir


def _what_is_there(run: Path) -> str:
    try:
        return size(sum(path.stat().st_size for path in run.rglob("*") if path.is_file()))
    except OSError:
        return "which is gone already"
