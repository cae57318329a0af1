"""Comparison: which model, and why. Everything is computed from tables of predictions; the address holds the view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import streamlit as st

from lungassist.evaluation.comparison import Comparison
from pages.parts import comparison_state as state
from pages.parts.comparison_ablations import show_ablations
from pages.parts.comparison_cards import show_cards
from pages.parts.comparison_choice import choose_comparison
from pages.parts.comparison_confusion import show_confusion
from pages.parts.comparison_curves import show_curves
from pages.parts.comparison_evaluate import show_evaluate
from pages.parts.comparison_evaluate_state import EVALUATE, arrive
from pages.parts.comparison_leaderboard import show_leaderboard
from pages.parts.comparison_link import show_link
from pages.parts.comparison_lungs import show_lungs
from pages.parts.comparison_pairs import show_pairs
from pages.parts.comparison_slices import show_slices
from pages.parts.comparison_threshold import show_threshold
from pages.parts.frame import ensure_frame

_STYLE = """<style>
.stMainBlockContainer h3 {font-size: 1.25rem; padding: 0.25rem 0}
</style>"""

_VIEWS: Final[dict[str, Callable[[Comparison], None]]] = {
    "Leaderboard": show_leaderboard,
    "Confusion": show_confusion,
    "Head to head": show_pairs,
    "Curves": show_curves,
    "Slices": show_slices,
    "Operating point": show_threshold,
    "Shortcut audit": show_lungs,
    "Ablations": show_ablations,
}

#: Views that need no comparison.
_OTHERS: Final[dict[str, Callable[[], None]]] = {"Cards": show_cards, EVALUATE: show_evaluate}


def main() -> None:
    """Lay the page out."""
    st.html(_STYLE)
    arrive()
    comparison, link = choose_comparison()
    tabs = st.tabs([*_VIEWS, *_OTHERS], key=state.VIEW, on_change="rerun", bind="query-params")
    for tab, (name, show) in zip(tabs, _VIEWS.items(), strict=False):
        if tab.open:
            with tab:
                if comparison is None:
                    st.info(f"{name}: choose at least one table above.", icon=":material/checklist:")
                else:
                    show(comparison)
    for tab, show_other in zip(tabs[len(_VIEWS) :], _OTHERS.values(), strict=True):
        if tab.open:
            with tab:
                show_other()
    show_link(link)


ensure_frame()
main()
