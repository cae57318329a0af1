"""Taking back the last promotion, wherever that model came from and whether or not its run is still there."""

from __future__ import annotations

import streamlit as st

from lungassist.errors import LungAssistError
from lungassist.models.promotion import undo_promotion
from lungassist.models.promotion_standing import last_promotion
from pages.parts import session
from pages.parts import training_state as state


def show_undo() -> None:
    """Say what was put into weights/ last, with a button; nothing where nothing was."""
    try:
        last = last_promotion(session.settings().weights_dir)
    except LungAssistError as error:
        st.error(str(error), icon=":material/error:")
        return
    if last is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f":material/upload: Promoted last: **{last.name}** {last.version}.", width="content")
        st.button(
            "Take it back",
            icon=":material/undo:",
            type="tertiary",
            key="training_undo",
            help="The shelf is then as it was before"
            + (f"; the earlier {last.name} comes back." if last.replaced else "."),
            on_click=state.trying(
                lambda: undo_promotion(session.settings().weights_dir), said="Taken back. The shelf is as it was."
            ),
        )
