"""Evaluations that there are: followed while they run, stopped, gone on with, compared, deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit as st

from lungassist.errors import LungAssistError
from lungassist.experiments.comparing import Source
from lungassist.experiments.evaluation_launch import delete_loose, evaluation_jobs, loose_tables, results_of, tables_in
from lungassist.experiments.lines import Line, line_of
from lungassist.experiments.standing import ACTIVE, phase_share, progress_text, resource_title
from lungassist.experiments.wording import duration
from lungassist.jobs import Job, JobBoard
from lungassist.training.progress import read_log_tail
from pages.parts import comparison_evaluate_state as shared
from pages.parts import comparison_state as state
from pages.parts import session
from pages.parts.training_run import BADGES

#: Seconds between two looks: while something is under way, and while nothing is but somebody else may launch.
_FAST, _SLOW = 1.0, 10.0
_POLLING: Final = "evaluate_polling"
_WATCHED: Final = "evaluate_watched"
_ALL: Final = "evaluate_all"

_SHOWN: Final = 4
_LOG_LINES: Final = 30
_NAMED: Final = 5


def show_evaluations(board: JobBoard) -> None:
    """Show them, and keep them up to date."""
    busy = _is_busy(evaluation_jobs(board.jobs()))
    st.session_state[_POLLING] = busy
    st.fragment(_evaluations, run_every=_FAST if busy else _SLOW)(board)


def _evaluations(board: JobBoard) -> None:
    try:
        jobs = evaluation_jobs(board.jobs())
    except LungAssistError as error:
        st.error(str(error), icon=":material/database_off:")
        return
    if _finished_meanwhile(jobs) or _is_busy(jobs) != st.session_state.get(_POLLING):
        st.rerun()  # the tables above change, and the pace
    sources = state.sources()
    loose = loose_tables(jobs, sources)
    st.subheader("Evaluations", anchor=False)
    if not jobs and not loose:
        st.info("None yet. Its tables join the comparison when one is done.", icon=":material/table_view:")
    shown = jobs if st.session_state.get(_ALL) else jobs[:_SHOWN]
    for job in shown:
        _evaluation(board, line_of(job), tables_in(job.run_dir, sources))
    if len(jobs) > _SHOWN:
        st.toggle(f"All {len(jobs)}", key=_ALL)
    for source in loose:
        _loose(source)


def _is_busy(jobs: list[Job]) -> bool:
    return any(job.state.value in ACTIVE for job in jobs)


def _finished_meanwhile(jobs: list[Job]) -> bool:
    """Whether one that was under way at the last look is done; its tables join those that are compared."""
    watched: set[int] = st.session_state.setdefault(_WATCHED, set())
    done = [job for job in jobs if job.id in watched and job.state.value == "done"]
    for job in done:
        shared.join(job.run_dir)
        st.toast(f"{job.run_dir.name} is evaluated", icon=":material/check_circle:")
    st.session_state[_WATCHED] = {job.id for job in jobs if job.state.value in ACTIVE}
    return bool(done)


def _evaluation(board: JobBoard, line: Line, tables: list[str]) -> None:
    job = line.job
    icon, colour = BADGES[job.state.value]
    with st.container(border=True, key=f"evaluation_{job.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{job.run_dir.name}**", width="content")
            st.badge(line.standing.words, icon=icon, color=colour)  # type: ignore[arg-type]
        st.caption(" · ".join(_facts(line)))
        if job.state.value in ACTIVE:
            _progress(line)
        if job.state.value == "failed":
            st.error(job.cause or "It failed; the log says more.", icon=":material/error:")
        _results(job)
        with st.container(horizontal=True):
            _actions(board, job, tables)
        with st.expander("Log", icon=":material/terminal:", expanded=job.state.value == "failed"):
            log = "\n".join(read_log_tail(job.run_dir, _LOG_LINES))
            st.code(log or "Nothing yet.", language=None, height=200, wrap_lines=True)


def _facts(line: Line) -> list[str]:
    job = line.job
    facts = [", ".join(map(str, job.details.get("models", []))), f"on {Path(str(job.details.get('data', ''))).name}"]
    if job.details.get("lungs"):
        facts.append("with lungs")
    if line.seconds is not None:
        facts.append(f"{'took' if job.ended else 'for'} {duration(line.seconds)} on {resource_title(job.resource)}")
    return [*facts, f"job {job.id}"]


def _progress(line: Line) -> None:
    if line.job.state.value != "running":
        st.caption(line.standing.text)
        return
    share = phase_share(line.status)
    words = progress_text(line.status) if line.status else "Starting: loading the libraries"
    st.progress(share or 0.0, words if share is None else f"{share:.0%} · {words}")


def _results(job: Job) -> None:
    for result in results_of(job.run_dir):
        if result.warning:
            st.warning(result.warning, icon=":material/school:")
        if result.unreadable:
            files = list(result.unreadable)
            more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
            st.caption(
                f":material/broken_image: {result.model}: {result.images:,} images, {len(files):,} unreadable: "
                f"{', '.join(f'`{file}`' for file in files[:_NAMED])}{more}."
            )


def _actions(board: JobBoard, job: Job, tables: list[str]) -> None:
    now = job.state.value
    if now in ("queued", "running"):
        st.button(
            "Cancel",
            icon=":material/stop:",
            key=f"evaluate_cancel {job.id}",
            help="Takes it out of the queue." if now == "queued" else "Stops it; the images that are done are kept.",
            on_click=shared.trying(board.cancel, job.id, said="Cancelled" if now == "queued" else "Stopping"),
        )
    if job.can_resume:
        st.button(
            "Resume",
            icon=":material/play_arrow:",
            key=f"evaluate_resume {job.id}",
            type="primary",
            help="Goes on with the images that are left.",
            on_click=shared.trying(board.resume, job.id, said="Queued again"),
        )
    if tables and st.button(
        "Compare only these",
        icon=":material/compare_arrows:",
        key=f"evaluate_only {job.id}",
        help="Shows the tables of this evaluation, and no others.",
        on_click=shared.only,
        args=(job.run_dir,),
    ):
        st.rerun()  # the whole page
    if now not in ("running", "cancelling"):
        _delete(board, job, tables)


def _delete(board: JobBoard, job: Job, tables: list[str]) -> None:
    with st.popover("Delete", icon=":material/delete:", key=f"evaluate_delete {job.id}"):
        what = f"{len(tables)} tables of predictions" if len(tables) != 1 else "its table of predictions"
        st.markdown(f"Deletes the evaluation **{job.run_dir.name}**: {what}, its log and its job. The models stay.")
        st.caption(f"`{job.run_dir}`")
        if st.button(
            "Delete for good", type="primary", icon=":material/delete_forever:", key=f"evaluate_delete_now {job.id}"
        ):
            shared.attempt(lambda: board.delete(job.id, with_run=True), said="Deleted")
            st.rerun()


def _loose(source: Source) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{source.name}**", help=f"Made by a command, or its job was forgotten: `{source.path}`")
        with st.popover("Delete", icon=":material/delete:", key=f"evaluate_loose {source.name}"):
            st.markdown(f"Deletes the table `{source.path}` and its record.")
            if st.button("Delete for good", type="primary", key=f"evaluate_loose_now {source.name}"):
                shared.attempt(lambda: delete_loose(source, session.settings()), said="Deleted")
                st.rerun()
