"""The frame of the web application: navigation, identity, and the notice that this is no medical device."""

import streamlit as st

from lungassist import __version__
from lungassist.errors import UsageError
from lungassist.settings import Settings

st.set_page_config(page_title="LungAssist", page_icon="🫁", layout="wide")

# The image is what counts: give it the room that the frame would leave empty above it.
# Small print, and the names and values at a study's bars, are to be read as well: Streamlit's own grey has less
# contrast than WCAG 2.2 asks for at that size (1.4.3: 4.5 to 1).
st.html(
    "<style>.stMainBlockContainer {padding: 3.5rem 2rem 2rem}"
    "[data-testid=stCaptionContainer] {opacity: 0.8}"
    "[class*=st-key-bars] svg text {fill: currentColor !important}</style>"
)

page = st.navigation(
    [
        st.Page("pages/triage.py", title="Triage", icon=":material/radiology:", default=True),
        st.Page("pages/training.py", title="Training", icon=":material/model_training:"),
        st.Page("pages/comparison.py", title="Comparison", icon=":material/leaderboard:"),
    ],
    position="top",
)

st.caption(
    f":material/info: **LungAssist {__version__}** supports a reader's decision. It is **no medical device** and no "
    "stand-alone diagnosis: every finding needs a qualified reader."
)
if st.session_state.get("page shown") != page.url_path:
    # Leaving a page empties its uploaders; whoever keeps what came through them needs to tell that from a removal.
    st.session_state["page shown"] = page.url_path
    st.session_state["visit"] = st.session_state.get("visit", 0) + 1

try:
    Settings.from_environment()
except UsageError as wrong:
    # Every page needs them, and a page that fails halfway shows no reason at all.
    st.error(f"A setting of this installation is wrong. {wrong} Correct it and start again.", icon=":material/error:")
    st.stop()

page.run()
