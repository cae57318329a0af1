"""Triage: studies in; for each one the finding, how probable every class is, and where the model looked."""

from __future__ import annotations

import streamlit as st

from lungassist.errors import LungAssistError
from lungassist.explain import GRAD_CAM, METHODS
from lungassist.predict import Classifier
from lungassist.worklist import Worklist
from pages.parts import session
from pages.parts.finding import show_models_side_by_side, show_study
from pages.parts.frame import ensure_frame
from pages.parts.table import show_worklist

#: Key of the session: the model that the page began with when it was last shown.
_BEGAN_WITH = "model begun with"


def main() -> None:
    """Lay the page out: what comes in on the left, what came of it on the right."""
    here = session.worklist()
    with st.sidebar:
        _intake(here)
        models, second, method = _choices()
    if not models:
        st.error(
            "Nothing can be triaged without a model that can be loaded. The bar at the side says what is wrong; choose "
            "another model there, if there is one. The Comparison page shows all of them, under Cards.",
            icon=":material/error:",
        )
        return
    if not len(here):
        _welcome()
        return
    _triage(here, models[0], method)
    if second:
        _triage(here, second, method)
    entry = show_worklist(here, models[0], method, second)
    show_study(entry, models[0], method, second)
    if len(models) > 1:
        for model in models[1:]:
            here.triage(model, session.settings(), method, entries=[entry])
        show_models_side_by_side(entry, models, method)


def _welcome() -> None:
    st.title("Triage", anchor=False)
    st.markdown(
        "Drop radiographs into the box *Radiographs* in the bar at the side (on a narrow screen » opens it): frontal "
        "chest X-rays, one or many. For each you see what the model finds, how probable every class is, and where it "
        "looked.\n\n"
        "Without an image at hand, look at four synthetic phantoms first."
    )
    st.button("Load synthetic phantoms", icon=":material/draw:", type="primary", on_click=_switch_phantoms_on)


def _switch_phantoms_on() -> None:
    st.session_state["phantoms"] = True


def _choices() -> tuple[list[Classifier], Classifier | None, str]:
    """The model that triages, followed by those to compare with; one for a second reading; the explanation's method."""
    cards = {entry.name: entry.card for entry in session.shelf() if entry.card}
    usable = list(cards)
    default = _default_of(usable)
    if not usable:
        return [], None, GRAD_CAM
    _follow(default)
    first = st.selectbox(
        "Model",
        usable,
        index=usable.index(default) if default else None,
        placeholder="Choose a model",
        key="triage_model",
        persist_state="session",
    )
    if first is None:
        return [], None, GRAD_CAM
    alike = [name for name in usable if name != first and cards[name].classes == cards[first].classes]
    again = session.settings().second_model
    if again and again not in (first, *alike):
        st.warning(
            f"LUNGASSIST_SECOND_MODEL names {again}, which is no usable model of the same classes: studies are read "
            f"once. There are: {', '.join(alike) or 'none'}.",
            icon=":material/warning:",
        )
    second = st.selectbox(
        "Second reading",
        alike,
        index=alike.index(again) if again in alike else None,
        placeholder="None",
        key="second",
        persist_state="session",
        help="Another model reads every study too. Where it finds something else, the study is flagged, and one called "
        "Normal moves up the list. Triage takes about twice as long.",
    )
    others = st.multiselect(
        "Compare with",
        [name for name in usable if name != first],
        key="compare",
        persist_state="session",
        help="Shows the selected study through these models as well, side by side.",
    )
    method = st.selectbox(
        "Explanation",
        list(METHODS),
        format_func=lambda name: METHODS[name].split(":")[0],
        key="method",
        persist_state="session",
    )
    st.caption(METHODS[method].split(": ")[1].capitalize())
    loaded = _load([first])
    # Where the model asked for cannot be loaded, none of those to compare with triages in its place.
    models = [*loaded, *_load(others)] if loaded else []
    return models, next(iter(_load([second] if second else [])), None), method


def _default_of(usable: list[str]) -> str | None:
    """The model to begin with, and what a person should know of it; None where a person has to choose."""
    named = session.settings().default_model
    try:
        default = session.default_model()
    except LungAssistError as error:
        # No other model answers unasked in place of the one that weights/DEFAULT names.
        words = f"{error} Or choose one here." if usable else str(error)
        (st.warning if usable else st.error)(words, icon=":material/error:")
        return None
    if named and named not in usable:
        st.warning(
            f"LUNGASSIST_MODEL names {named}, which is no usable model: {default} takes its place. There are: "
            f"{', '.join(usable)}.",
            icon=":material/warning:",
        )
    return default


def _follow(default: str | None) -> None:
    """Go over to a model that was promoted meanwhile, unless a person has chosen another than the one before."""
    before = st.session_state.get(_BEGAN_WITH)
    if before is not None and before != default and st.session_state.get("triage_model") == before:
        del st.session_state["triage_model"]
    st.session_state[_BEGAN_WITH] = default


def _load(names: list[str]) -> list[Classifier]:
    loaded = []
    for name in names:
        try:
            loaded.append(session.classifier(name))
        except LungAssistError as error:
            st.error(str(error), icon=":material/error:")
    return loaded


def _intake(here: Worklist) -> None:
    kinds = "PNG, JPEG, TIFF, WebP, DICOM with or without .dcm, or a ZIP of them."
    uploads = st.file_uploader("Radiographs", accept_multiple_files=True, key=session.uploader_key("files"), help=kinds)
    with st.expander("A whole folder"):
        uploads += st.file_uploader(
            "Folder", accept_multiple_files="directory", key=session.uploader_key("folder"), help=kinds
        )
    st.toggle(
        "Synthetic phantoms",
        key="phantoms",
        persist_state="session",
        help="Four drawn chests, one a class, to try the page with.",
    )
    kept = session.take_uploads(uploads)
    if session.uploaded_groups():
        if kept:
            st.caption(
                f"{kept} of the studies came before you opened another page. They stay until you clear the list."
            )
        st.button("Clear the list", icon=":material/delete_sweep:", on_click=session.clear_worklist, width="stretch")
    if st.session_state["phantoms"] and not any(entry.synthetic for entry in here.entries):
        session.take_phantoms()
    if not st.session_state["phantoms"]:
        session.drop_phantoms()


def _triage(here: Worklist, model: Classifier, method: str) -> None:
    bar = st.empty()

    def tell(done: int, total: int) -> None:
        if total > 1:
            bar.progress(done / total, f"{done} of {total} studies")

    here.triage(model, session.settings(), method, progress=tell)
    bar.empty()


ensure_frame()
main()
