"""The top of the comparison page: which tables, which split, tables from elsewhere, and what to take away."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import streamlit as st

from lungassist.dataset import SPLITS
from lungassist.errors import PredictionsError
from lungassist.evaluation.comparison import Comparison
from lungassist.experiments.comparing import ADDED, Source, add_table, remove_table
from pages.parts import comparison_state as state
from pages.parts import session
from pages.parts.comparison_export import show_export
from pages.parts.literal import literal

#: Tables that are chosen at first; more can be added by hand.
_AT_FIRST = 20
_PROBLEM = "comparison_problem"
_ABSENT = "comparison_absent"


def choose_comparison() -> tuple[Comparison | None, st.delta_generator.DeltaGenerator]:
    """Show what there is to choose from.

    Returns:
        The comparison, None where nothing fit to compare is chosen; and the place of the link to the view.
    """
    sources = {source.name: source for source in state.sources()}
    models, split, *buttons = st.columns([11, 5, 2.4, 2.4, 2.4], vertical_alignment="bottom")
    add, export, link = buttons
    problems = _absent(sources)
    with add.popover("Add", icon=":material/upload_file:", width="stretch", help="A table that was made elsewhere."):
        _add(list(sources.values()))
    names = models.multiselect(
        "Tables of predictions",
        list(sources),
        default=list(sources)[:_AT_FIRST],
        key=state.TABLES,
        bind="query-params",
        on_change=_forget_absent,
        placeholder="Choose models to compare",
        help="Of models on the shelf, of finished runs, of evaluations, and those that were added.",
    )
    chosen, unreadable = _readable([sources[name] for name in names])
    problems += unreadable
    split_name = _split(split, chosen)
    comparison = _compared(chosen, split_name, problems) if split_name else None
    if not sources:
        st.info(
            "There is no table of predictions yet. Train a model, make one with `python -m lungassist evaluate`, or "
            "add one.",
            icon=":material/table:",
        )
    for problem in problems:
        st.warning(literal(problem), icon=":material/warning:")
    with export.popover("Export", icon=":material/download:", width="stretch", disabled=comparison is None):
        if comparison is not None:
            show_export(comparison)
    return comparison, link.popover("Link", icon=":material/link:", width="stretch")


def _absent(sources: Mapping[str, Source]) -> list[str]:
    """What a link asks for and is not here; said until other tables are chosen."""
    if absent := [name for name in st.query_params.get_all(state.TABLES) if name and name not in sources]:
        st.session_state[_ABSENT] = absent
    names = [name for name in st.session_state.get(_ABSENT, []) if name not in sources]
    return [f"The link asks for {', '.join(names)}, of which there is no table here."] if names else []


def _forget_absent() -> None:
    st.session_state.pop(_ABSENT, None)


def _readable(sources: list[Source]) -> tuple[list[Source], list[str]]:
    chosen, problems = [], []
    for source in sources:
        try:
            state.read(source)
        except PredictionsError as error:
            problems.append(f"{source.name} is left out. {error}")
        else:
            chosen.append(source)
    return chosen, problems


def _split(place: st.delta_generator.DeltaGenerator, chosen: list[Source]) -> str | None:
    """The split to compare on, of those that any chosen table has."""
    there = {split for source in chosen for table in state.read(source) for split in table.splits}
    splits = [split for split in SPLITS if split in there]
    if not splits:
        return None
    found: str | None = place.segmented_control(
        "Images",
        splits,
        format_func=str.capitalize,
        default=state.TEST if state.TEST in splits else splits[0],
        required=True,
        key=state.SPLIT,
        bind="query-params",
        help="Models are compared on test images. Those of training they know by heart.",
    )
    return found


def _compared(chosen: list[Source], split: str, problems: list[str]) -> Comparison | None:
    comparison, left_out = state.comparison_of(chosen, split, common=False)
    problems += left_out
    if comparison is None or len(comparison.sets) < 2:
        return comparison
    words, toggle = st.columns([8, 3], vertical_alignment="center")
    common = toggle.toggle("Only images that all have", key=state.COMMON, bind="query-params")
    if common:
        try:
            comparison, _ = state.comparison_of(chosen, split, common=True)
        except PredictionsError as error:
            problems.append(str(error))
    if comparison is not None and len(comparison.sets) > 1:
        words.warning(literal(comparison.notes[-1]), icon=":material/balance:")
    return comparison


def _add(sources: list[Source]) -> None:
    upload = st.file_uploader(
        "CSV or Parquet",
        type=["csv", "parquet", "pq"],
        key="comparison_upload",
        help="A row an image with the columns `file`, `label` and `probability_CLASS` for every class; `split`, "
        "`patient_id`, `model`, `version` and properties of the image where known.",
    )
    if upload is not None and st.session_state.get("comparison_uploaded") != upload.file_id:
        st.session_state["comparison_uploaded"] = upload.file_id
        if _attempt(add_table, upload.name, upload.getvalue(), session.settings()):
            _join(upload.getvalue())
    if problem := st.session_state.get(_PROBLEM):
        st.error(problem, icon=":material/error:")
    for source in (source for source in sources if source.kind == ADDED):
        st.button(
            f"Remove {source.name}",
            icon=":material/delete:",
            key=f"comparison_remove {source.name}",
            on_click=_leave,
            args=(source,),
            width="stretch",
        )


def _join(data: bytes) -> None:
    """Choose a table that was just added, beside those that are chosen."""
    digest = hashlib.sha256(data).hexdigest()
    added = [source.name for source in state.sources() if source.digest == digest]
    if state.TABLES in st.session_state:
        st.session_state[state.TABLES] = list(dict.fromkeys([*st.session_state[state.TABLES], *added]))
    st.rerun()


def _leave(source: Source) -> None:
    if _attempt(remove_table, source):
        chosen = st.session_state.get(state.TABLES, [])
        st.session_state[state.TABLES] = [name for name in chosen if name != source.name]


def _attempt(action: Callable[..., object], *arguments: object) -> bool:
    """Do it; a problem is remembered until the next attempt."""
    st.session_state.pop(_PROBLEM, None)
    try:
        action(*arguments)
    except PredictionsError as error:
        st.session_state[_PROBLEM] = str(error)
        return False
    return True
