"""A link to what the page shows. It says what is at its default too, since defaults may be others when it is opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlencode

import streamlit as st

from pages.parts import (
    comparison_confusion,
    comparison_curves,
    comparison_pairs,
    comparison_slices,
    comparison_state,
    comparison_threshold,
)
from pages.parts.comparison_state import VIEW, Pinned

#: View -> what can be chosen there.
_OF_VIEW: Final[dict[str, Pinned]] = {
    "Confusion": comparison_confusion.PINNED,
    "Head to head": comparison_pairs.PINNED,
    "Curves": comparison_curves.PINNED,
    "Slices": comparison_slices.PINNED,
    "Operating point": comparison_threshold.PINNED,
}


def show_link(place: st.delta_generator.DeltaGenerator) -> None:
    """Show the link, once the whole page has run and everything is chosen."""
    with place:
        st.caption("Shows a colleague this view: these tables, images, tab and choices, whatever is added later.")
        st.code(f"{st.context.url or ''}?{urlencode(list(_chosen()))}", language=None, wrap_lines=True)


def _chosen() -> Iterator[tuple[str, str]]:
    """Parameters of the address, as Streamlit writes those that are bound to widgets."""
    view = st.session_state.get(VIEW)
    for key, written in {**comparison_state.PINNED, **_OF_VIEW.get(str(view), {})}.items():
        value = st.session_state.get(key)
        if isinstance(value, list):
            yield from ((key, written(each)) for each in value or [""])
        elif value is not None:
            yield key, written(value)
