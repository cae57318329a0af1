"""The selected study: viewer, finding, where it came from, what to take away, and what other models say."""

from __future__ import annotations

from typing import Final

import streamlit as st

from lungassist.classes import percent, spoken
from lungassist.errors import StudyError
from lungassist.explain import CLASS_BLIND, METHODS, shared_scale
from lungassist.imaging import Radiograph, png_bytes, to_uint8
from lungassist.imaging.wording import shown
from lungassist.models.members import Member
from lungassist.predict import Classifier
from lungassist.takeaway import file_name, overlay_name, overlay_picture, overlay_png
from lungassist.triage import Refused, Triaged
from lungassist.worklist import Asked, Entry, finding_json, outcome_of, sentence
from pages.components.viewer import radiograph_viewer
from pages.parts import session
from pages.parts.charts import probability_bars

#: What is said of an enhancement where that is not its name.
_ENHANCED: Final = {"none": "", "undo-clahe": "CLAHE undone where it is found · "}


def show_study(entry: Entry, model: Classifier, method: str, second: Classifier | None = None) -> None:
    """Show one entry of the worklist as `model` sees it, and what `second` says where it finds something else."""
    outcome = outcome_of(entry, model, method, second)
    if isinstance(outcome, Refused):
        _name(entry)
        st.error(str(outcome.error), icon=":material/broken_image:")
        return
    try:
        radiograph = session.worklist().radiograph(entry, session.settings())
    except StudyError as error:
        _name(entry)
        st.error(str(error), icon=":material/broken_image:")
        return
    image, words = st.columns([7, 3], gap="medium")
    with image:
        _viewer(outcome, radiograph, model, method)
    with words:
        _name(entry)
        _finding(entry, outcome, model, method)
        _facts(radiograph)
        _take_away(outcome, radiograph, method)


def _name(entry: Entry) -> None:
    """Whose film and finding this is, as plain text: a file's name may look like Markdown."""
    st.text(shown(entry.study.name), width="stretch")


def _viewer(outcome: Triaged[None], radiograph: Radiograph, model: Classifier, method: str) -> None:
    maps = outcome.heat_maps
    radiograph_viewer(
        radiograph,
        maps,
        [spoken(name) for name in model.classes],
        spoken(outcome.finding.finding),
        scale=0.0 if maps is None else shared_scale(maps),
        probabilities=[outcome.finding.probabilities[name] for name in model.classes],
        class_blind=method in CLASS_BLIND,
        key="viewer",
        height=580,
    )


def _finding(entry: Entry, outcome: Triaged[None], model: Classifier, method: str) -> None:
    finding = outcome.finding
    st.subheader(spoken(finding.finding) if finding.plausible else "No reliable finding", anchor=False)
    if entry.synthetic:
        st.badge("Synthetic phantom, no patient", icon=":material/draw:", color="violet")
        st.caption("A drawing to try the page with. What a model says of it means nothing.")
    if finding.suspected_contagious and finding.plausible:
        st.badge("Suspected contagious", icon=":material/coronavirus:", color="orange")
    st.write(sentence(finding))
    for warning in finding.warnings:
        st.warning(warning, icon=":material/warning:")
    st.plotly_chart(probability_bars(finding.probabilities), config={"displayModeBar": False}, key="bars")
    enhancement = model.card.preprocessing.enhancement
    st.caption(
        f"Model **{finding.model}** {finding.model_version} · operating point: {finding.operating_point} · "
        f"probabilities calibrated on validation (temperature {model.card.temperature:.2f})"
        f"{', mean over image and mirror image' if model.card.flip_test else ''} · "
        # The viewer shows the film as it came; the network saw it so.
        f"{_ENHANCED.get(enhancement, f'images enhanced for it ({enhancement}) · ')}{METHODS[method]}"
    )
    if finding.members:
        said = "; ".join(
            f"{each.model}{how_asked(own)}: {spoken(each.finding)}, {percent(each.probability)}"
            for each, own in zip(finding.members, model.card.members, strict=True)
        )
        st.caption(f"The mean of {len(finding.members)} models: {said}.")
    if finding.second_reading:
        again = finding.second_reading
        st.caption(
            f"Second reading **{again.model}** {again.model_version}: {spoken(again.finding)}, probability "
            f"{percent(again.probability)}."
        )


def how_asked(member: Member) -> str:
    """In brackets, what need not be the same for every member: enhancement, flip test, weight."""
    enhancement = member.preprocessing.enhancement
    told = [
        f"enhancement {enhancement}" if enhancement != "none" else "",
        "image and mirror image" if member.flip_test else "",
        f"weight {member.weight:g}" if member.weight != 1 else "",
    ]
    return f" ({', '.join(filter(None, told))})" if any(told) else ""


def _facts(radiograph: Radiograph) -> None:
    rows, columns = radiograph.shape
    facts = [f"{columns} × {rows} pixels, {radiograph.bit_depth} bits", radiograph.file_format]
    if radiograph.view_position:
        facts.append(f"view {radiograph.view_position}")
    if radiograph.pixel_spacing_mm:
        facts.append(f"{radiograph.pixel_spacing_mm[0]:.3g} mm a pixel")
    st.caption(" · ".join([*facts, f"SHA-256 {radiograph.sha256[:12]}…"]))


def _take_away(outcome: Triaged[None], radiograph: Radiograph, method: str) -> None:
    finding = outcome.finding
    st.download_button(
        "Overlay (PNG)",
        lambda: overlay_png(outcome, to_uint8(radiograph.pixels), finding.finding, method),
        overlay_name(finding, finding.finding, method),
        "image/png",
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
        help=f"{_painted_words(method)} over the whole radiograph, at its own resolution.",
    )
    st.download_button(
        "Result (JSON)",
        finding_json(outcome),
        file_name(finding, ".json"),
        "application/json",
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
    )


def _painted_words(method: str) -> str:
    return "The strongest activations, the same for every class," if method in CLASS_BLIND else "The finding's heat map"


@st.cache_data(max_entries=32, ttl="1h", show_spinner=False)
def _painted(sha256: str, asked: str, finding: str, _outcome: Triaged[None], _radiograph: Radiograph) -> bytes:
    """Paint once, not at every rerun; the study, who was asked and how, and the finding together name the picture."""
    del sha256, asked
    return png_bytes(overlay_picture(_outcome, to_uint8(_radiograph.pixels), finding))


def show_models_side_by_side(entry: Entry, models: list[Classifier], method: str) -> None:
    """The same study through several models (the paper's Table 6), each with the map of its own finding."""
    st.subheader("The same study through several models", anchor=False)
    st.text(shown(entry.study.name), width="stretch")
    for model, column in zip(models, st.columns(len(models)), strict=True):
        asked = Asked.of(model.card, method)
        outcome = entry.outcomes[asked]
        with column, st.container(border=True):
            st.markdown(f"**{model.card.name}** {model.card.full_version}")
            if isinstance(outcome, Refused):
                st.error(str(outcome.error))
                continue
            radiograph = session.worklist().radiograph(entry, session.settings())
            finding = outcome.finding
            st.image(
                _painted(finding.sha256, repr(asked), finding.finding, outcome, radiograph),
                width="stretch",
                alt=f"Heat map of {model.card.name}. {_painted_words(method)}.",
            )
            st.write(sentence(finding))
            st.caption(f"Operating point: {finding.operating_point}.")
            st.plotly_chart(
                probability_bars(finding.probabilities),
                config={"displayModeBar": False},
                key=f"bars {model.card.name}",
            )
