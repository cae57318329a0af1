"""What the parts of the training page share: the board of jobs, readings, where one is, and what went wrong."""

from __future__ import annotations

from typing import Final

import streamlit as st

from lungassist.experiments.reading import Readings
from lungassist.jobs import JobBoard
from pages.parts import session
from pages.parts.attempts import Attempts

NEW, RUNS = "New run", "Runs"
VIEW: Final = "training_view"
_GO_TO: Final = "training_go_to"
_SEEN: Final = "training_seen"


def board() -> JobBoard:
    """The board of jobs, one for all sessions.

    Raises:
        StoreError: the database cannot be opened.
    """
    settings = session.settings()
    return _board(settings.database_url, str(settings.home))


@st.cache_resource(show_spinner=False)
def _board(url: str, home: str) -> JobBoard:
    del url, home  # they say which one it is
    return JobBoard.open(session.settings())


@st.cache_resource(show_spinner=False)
def readings() -> Readings:
    """The folders being read, for all sessions."""
    return Readings()


_ATTEMPTS: Final = Attempts("training_problem")
attempt, trying, show_problem = _ATTEMPTS.attempt, _ATTEMPTS.trying, _ATTEMPTS.show_problem


def go_to(view: str, job: int | None = None) -> None:
    """Show the other view at the next run of the page, with a job selected."""
    st.session_state[_GO_TO] = view
    if job is not None:
        select(job)


def arrive() -> None:
    """Do what `go_to` asked for; before the tabs are drawn."""
    if view := st.session_state.pop(_GO_TO, None):
        st.session_state[VIEW] = view


def selected() -> int | None:
    """The job that the URL names, so that a colleague who is sent it sees the same; else the one seen last."""
    text = st.query_params.get("job", "")
    if text.isascii() and text.isdecimal():
        return int(text)
    seen: int | None = st.session_state.get(_SEEN)
    return seen


def select(job: int | None) -> None:
    """Name a job in the URL, or none."""
    st.session_state[_SEEN] = job
    if job is None:
        st.query_params.pop("job", None)
    elif st.query_params.get("job") != str(job):
        st.query_params["job"] = str(job)


def leave() -> None:
    """Take the job out of the URL, which no longer shows it; it is remembered."""
    st.session_state[_SEEN] = selected()
    st.query_params.pop("job", None)


def roots() -> tuple[str, ...]:
    """The folders below which data may be chosen."""
    return tuple(str(root) for root in session.settings().data_roots)
