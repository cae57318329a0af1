"""Evaluate models of the shelf on a folder of images: what it holds, what is to be known before, and the button."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lungassist.errors import LungAssistError
from lungassist.experiments.evaluation_launch import CPU, launch_evaluation
from lungassist.experiments.evaluation_prospect import Prospect, prospects
from lungassist.experiments.evaluation_request import EvaluationRequest
from lungassist.experiments.standing import ACTIVE, resource_title
from lungassist.jobs import JobBoard
from lungassist.jobs.resources import resources
from pages.parts import comparison_evaluate_state as shared
from pages.parts import session
from pages.parts.comparison_evaluate_data import Images, choose_folder, choose_images, show_content
from pages.parts.comparison_evaluate_jobs import show_evaluations

#: What is launched on the left is followed on the right, so that stays in sight.
_STYLE = """<style>
.st-key-evaluate_list {position: sticky; top: 4rem}
</style>"""

_NAME = "evaluate_name"
_RESOURCE = "evaluate_resource"


def show_evaluate() -> None:
    """Show the form, and beside it the evaluations that there are."""
    try:
        board = shared.board()
        board.tick()
    except LungAssistError as error:
        st.error(str(error), icon=":material/database_off:")
        return
    st.html(_STYLE)
    left, right = st.columns([11, 9], gap="large")
    with left:
        st.subheader("New evaluation", anchor=False)
        st.fragment(_form)(board)
    with right, st.container(key="evaluate_list"):
        show_evaluations(board)


def _form(board: JobBoard) -> None:
    left, right = st.columns(2)
    with left:
        models = _choose_models()
    with right:
        folder = choose_folder()
    images = choose_images(folder)
    if images is None:
        return
    lungs = st.toggle(
        "Measure how much of the evidence lies inside the lungs",
        key=shared.LUNGS,
        persist_state="session",
        help="For the tab *Shortcut audit*. Takes a heat map and a lung field an image: several times as long.",
    )
    request = EvaluationRequest("", tuple(models), images.folder, images.metadata, images.split_file, lungs)
    found = prospects(request, images.index, session.settings())
    _say(images, found)
    open_models = tuple(prospect.model for prospect in found if prospect.is_open)
    name, resource = _choose_place(board, images)
    shared.show_problem()
    many = f" {len(open_models)} models" if len(open_models) > 1 else ""
    if st.button(
        f"Evaluate{many}",
        type="primary",
        icon=":material/play_arrow:",
        disabled=not open_models,
        key="evaluate_go",
        help=None if open_models else "There is no model that could be evaluated on this folder, and is not yet.",
    ):
        request = EvaluationRequest(
            name, open_models, images.folder, images.metadata, images.split_file, lungs, device="auto"
        )
        with st.spinner("Launching…"):
            shared.attempt(lambda: _launch(board, request, resource), said="Launched")
        st.rerun()


def _launch(board: JobBoard, request: EvaluationRequest, resource: str) -> None:
    launch_evaluation(board, request, session.settings(), resource=resource)


def _choose_models() -> list[str]:
    entries = session.shelf()
    usable = [entry.name for entry in entries if entry.card is not None]
    before = st.session_state.get(shared.MODELS)
    if before is None or not set(before) <= set(usable):
        st.session_state[shared.MODELS] = usable[:1] if before is None else [name for name in before if name in usable]
    chosen: list[str] = st.multiselect(
        "Models",
        usable,
        key=shared.MODELS,
        persist_state="session",
        placeholder="Choose models of weights/",
        help="Of those in `weights/`. A finished run joins them when it is promoted.",
    )
    if broken := [entry.name for entry in entries if entry.card is None]:
        st.caption(f":material/warning: Not usable, see *Cards*: {', '.join(broken)}.")
    return chosen


def _say(images: Images, found: tuple[Prospect, ...]) -> None:
    show_content(images)
    if not found:
        st.caption(":material/info: Choose at least one model.")
        return
    st.dataframe(
        pd.DataFrame([_row(prospect) for prospect in found]),
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(name.capitalize(), format="localized")
            for name in ("test", "validation", "train")
        }
        | {"model": st.column_config.TextColumn("Model"), "state": st.column_config.TextColumn("Evaluation")},
        key="evaluate_prospects",
        alt="Images by split, a model",
    )
    for prospect in found:
        _say_of(prospect)
    for note in dict.fromkeys(note for prospect in found for note in prospect.notes):
        st.caption(f":material/info: {note}")


def _row(prospect: Prospect) -> dict[str, object]:
    state = "cannot" if prospect.problem else "is there" if prospect.there else "to do"
    counts = {name: prospect.counts.get(name, 0) for name in ("test", "validation", "train")}
    return {"model": prospect.model, **counts, "state": state}


def _say_of(prospect: Prospect) -> None:
    if prospect.problem:
        st.error(prospect.problem, icon=":material/block:")
    elif prospect.there:
        st.info(
            f"{prospect.model} is evaluated on this folder already: **{prospect.there}**. Delete that evaluation to do "
            "it anew.",
            icon=":material/task_alt:",
        )
    if prospect.warning and not prospect.problem:
        st.warning(prospect.warning, icon=":material/school:")


def _choose_place(board: JobBoard, images: Images) -> tuple[str, str]:
    left, right = st.columns(2, vertical_alignment="bottom")
    name = left.text_input(
        "Name",
        key=_NAME,
        persist_state="session",
        placeholder=images.folder.name,
        help="Stands behind the model's name in the comparison.",
    )
    titles = {resource.name: resource.title for resource in resources()}
    chosen = next(iter(titles))
    if len(titles) > 1:
        chosen = right.selectbox(
            "Computes on",
            list(titles),
            format_func=lambda name: titles.get(name, name),
            key=_RESOURCE,
            persist_state="session",
        )
    ahead = sum(chosen in job.resource.split(",") and job.state.value in ACTIVE for job in board.jobs())
    if ahead:
        jobs = "One job is" if ahead == 1 else f"{ahead} jobs are"
        st.caption(f":material/hourglass: {jobs} ahead on {resource_title(chosen)}; this one will wait in line.")
    return (name or "").strip() or images.folder.name, chosen or CPU
