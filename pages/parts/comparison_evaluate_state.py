"""What the parts of the evaluation tab share: the board, what went wrong, and which tables join the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import streamlit as st

from lungassist.experiments.evaluation_launch import tables_in
from lungassist.jobs import JobBoard
from pages.parts import comparison_state as state
from pages.parts import training_state
from pages.parts.attempts import Attempts

#: The tab, and keys of its form that other tabs fill in.
EVALUATE: Final = "Evaluate"
MODELS, LUNGS = "evaluate_models", "evaluate_lungs"

_JOINING: Final = "evaluate_joining"
_ONLY: Final = "evaluate_only"


def board() -> JobBoard:
    """The board of jobs, one for all sessions and pages.

    Raises:
        StoreError: the database cannot be opened.
    """
    return training_state.board()


_ATTEMPTS: Final = Attempts("evaluate_problem")
attempt, trying, show_problem = _ATTEMPTS.attempt, _ATTEMPTS.trying, _ATTEMPTS.show_problem


def prepare(models: Sequence[str], *, lungs: bool) -> None:
    """Go to the form with models chosen."""
    st.session_state[state.VIEW] = EVALUATE
    st.session_state[MODELS] = list(models)
    st.session_state[LUNGS] = lungs


def join(folder: Path) -> None:
    """Let the tables of an evaluation be chosen at the next run of the page, beside those that are."""
    st.session_state.setdefault(_JOINING, []).append(folder)


def only(folder: Path) -> None:
    """Compare the tables of an evaluation with each other and with nothing else."""
    st.session_state[_ONLY] = folder
    st.session_state[state.VIEW] = "Leaderboard"
    st.session_state.pop(state.SPLIT, None)


def arrive() -> None:
    """Do what `join` and `only` asked for, and let go of tables that are gone; before the choice is drawn."""
    joining, only_this = st.session_state.pop(_JOINING, []), st.session_state.pop(_ONLY, None)
    if state.TABLES not in st.session_state and only_this is None:
        return  # the page begins with all there are
    sources = state.sources()
    there = {source.name for source in sources}
    before = st.session_state.get(state.TABLES, [])
    chosen = [name for name in before if name in there]
    for folder in joining:
        chosen += [name for name in tables_in(folder, sources) if name not in chosen]
    if only_this is not None:
        chosen = tables_in(only_this, sources)
    if chosen != before:
        st.session_state[state.TABLES] = chosen
