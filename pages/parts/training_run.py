"""The selected run: where it stands, what can be done with it, its curves, its result, its log and settings."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st

from lungassist.experiments.averaging import lag_of
from lungassist.experiments.lines import Line
from lungassist.experiments.machine import MachineUse, machine_use
from lungassist.experiments.standing import phase_share, progress_text, resource_title
from lungassist.experiments.wording import duration, size
from lungassist.jobs import Job, JobBoard
from lungassist.training.progress import RunStatus, read_epochs, read_log_tail
from pages.parts.training_actions import show_actions
from pages.parts.training_audit import audit_report
from pages.parts.training_curves import accuracy_curves, gap_sentence, is_complete, loss_curves
from pages.parts.training_result import saved, show_result

BADGES: Final = {
    "queued": (":material/hourglass:", "gray"),
    "running": (":material/play_circle:", "blue"),
    "cancelling": (":material/stop_circle:", "orange"),
    "done": (":material/check_circle:", "green"),
    "failed": (":material/error:", "red"),
    "cancelled": (":material/block:", "orange"),
}
_LOG_LINES: Final = 40


def show_run(board: JobBoard, line: Line) -> None:
    """Show one run."""
    job = line.job
    with st.container(border=True):
        _head(board, line)
        if job.state.value in ("running", "cancelling"):
            _progress(job, line.status)
        if job.state.value == "failed":
            st.error(job.cause or "It failed; the log says more.", icon=":material/error:")
        epochs = read_epochs(job.run_dir)
        if job.state.value == "done":
            show_result(job)
        _curves(job, epochs)
    _more(job)


def _head(board: JobBoard, line: Line) -> None:
    job = line.job
    icon, colour = BADGES[job.state.value]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            st.subheader(f"{job.id} · {job.title}", anchor=False, width="content")
            st.badge(line.standing.words, icon=icon, color=colour)  # type: ignore[arg-type]
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            show_actions(board, job)
    st.caption(" · ".join(_facts(line)))


def _facts(line: Line) -> list[str]:
    job = line.job
    facts = [str(job.details.get("architecture", job.kind))]
    if data := job.details.get("data"):
        facts.append(f"on the images of {Path(str(data)).name}")
    here = "" if job.host == socket.gethostname() else f" of {job.host}"
    facts.append(f"on {resource_title(job.resource)}{here}")
    if line.seconds is not None:
        facts.append(f"{'took' if job.ended else 'for'} {duration(line.seconds)}")
    return facts


def _progress(job: Job, status: RunStatus | None) -> None:
    words = progress_text(status) if status else "Starting: loading the libraries"
    st.progress(phase_share(status) or 0.0, words)
    use = _use(job.pid)
    facts = [
        f"CPU {use.cpu:.0%} busy",
        f"memory {size(use.memory)} of {size(use.memory_total)} in use",
    ]
    if use.job_memory is not None:
        facts.append(f"this run {size(use.job_memory)}")
    facts += [
        f"GPU {i} {busy:.0%} busy, {size(used)} of {size(whole)}" for i, (busy, used, whole) in enumerate(use.gpus)
    ]
    if status and status.loss is not None:
        facts.insert(0, f"loss {status.loss:.3f}")
    st.caption(" · ".join(facts))


@st.cache_data(ttl=2, max_entries=32, show_spinner=False)
def _use(pid: int | None) -> MachineUse:
    """Asking the GPU's driver takes a while, and several people may look."""
    return machine_use(pid)


def _curves(job: Job, epochs: pd.DataFrame) -> None:
    if not is_complete(epochs):
        return
    left, right = st.columns(2)
    with left:
        st.markdown("**Loss**")
        st.plotly_chart(loss_curves(epochs), config={"displayModeBar": False}, key="training_loss")
    with right:
        st.markdown("**Accuracy**")
        st.plotly_chart(accuracy_curves(epochs), config={"displayModeBar": False}, key="training_accuracy")
    st.caption(gap_sentence(epochs, lag_of(job.run_dir, len(epochs))))


def _more(job: Job) -> None:
    running = job.state.value in ("running", "cancelling", "failed")
    with st.expander("Log", icon=":material/terminal:", expanded=running, key="training_log"):
        lines = read_log_tail(job.run_dir, _LOG_LINES)
        st.code("\n".join(lines) or "Nothing yet.", language=None, height=240, wrap_lines=True)
        st.caption(f"The last {_LOG_LINES} lines of `{job.run_dir / 'log.txt'}`")
    with st.expander("Settings", icon=":material/tune:", key="training_settings"):
        settings = saved(job.run_dir / "config.json")
        st.json(settings, expanded=2) if settings else st.caption("They are gone, or cannot be read.")
    audit = saved(job.run_dir / "audit.json")
    if audit is not None:
        with st.expander("Audit of the data", icon=":material/fact_check:", key="training_audit"):
            audit_report(audit)
