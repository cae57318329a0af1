"""Every page stands in the frame of `streamlit_app.py`, also the first one that a fresh server is asked for."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Final

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

_FRAME: Final = Path(__file__).resolve().parents[2] / "streamlit_app.py"


def ensure_frame() -> None:
    """Run the frame, and the page inside it, if the page runs without.

    Streamlit takes a folder `pages/` for navigation of its first kind until `st.navigation` has been called once. Until
    then an address such as `/training?job=3` leads to the bare script, without the notice and the other pages.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        runpy.run_path(str(_FRAME), run_name="__main__")
        st.stop()
