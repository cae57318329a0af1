"""What a button sets off and what may go wrong with it: a problem is kept until the next attempt, and so is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from lungassist.errors import LungAssistError


@dataclass(frozen=True, slots=True)
class Attempts:
    """The attempts of one part of a page.

    Attributes:
        key: of the session's state, where the problem of the last one is.
    """

    key: str

    def attempt(self, action: Callable[..., object], *arguments: Any, said: str = "") -> bool:
        """Do it, and say `said` if it went well; whether it did."""
        st.session_state.pop(self.key, None)
        try:
            action(*arguments)
        except LungAssistError as error:
            st.session_state[self.key] = str(error)
            return False
        if said:
            st.toast(said, icon=":material/check:")
        return True

    def trying(self, action: Callable[..., object], *arguments: Any, said: str = "") -> Callable[[], None]:
        """`attempt` as what a button calls."""

        def call() -> None:
            self.attempt(action, *arguments, said=said)

        return call

    def show_problem(self) -> None:
        """What the last attempt ended with, if it went wrong."""
        if problem := st.session_state.get(self.key):
            st.error(problem, icon=":material/error:")
