"""The cards of the models in `weights/`: how well each did on its own test split, and where it is weak."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lungassist.classes import spoken
from lungassist.models.card import Card
from lungassist.models.weights import ShelfEntry
from pages.parts import session
from pages.parts.comparison_ensemble import show_ensemble
from pages.parts.finding import how_asked


def show_cards() -> None:
    """Show every model of the shelf and every record of one that is not there, or what is wrong with it."""
    entries = session.shelf()
    if not entries:
        st.info("There is no model in weights/ yet.")
    show_ensemble(entries)
    for entry in entries:
        _entry(entry)
    for entry in session.records():
        _entry(
            entry,
            ":material/inventory_2: Judged, but not bundled: its weights are not here. MODELS.md says how to train it.",
        )


def _entry(entry: ShelfEntry, remark: str = "") -> None:
    with st.container(border=True):
        st.subheader(entry.name, anchor=False)
        if remark:
            st.caption(remark)
        if entry.card is None:
            st.error(entry.problem, icon=":material/error:")
        else:
            _card(entry.card)


def _card(card: Card) -> None:
    test = card.figures.get("test", {})
    enhancement = card.preprocessing.enhancement
    enhanced = "" if enhancement == "none" else f", enhancement {enhancement}"
    names = (f"{each.name}{how_asked(each)}" for each in card.members)
    made_of = f" of {', '.join(names)}" if card.members else ""
    counts = {split: sum(by_class.values()) for split, by_class in card.split.get("counts", {}).items()}
    st.caption(
        f"{card.architecture}{made_of}, version {card.full_version}, "
        f"{card.preprocessing.size} × {card.preprocessing.size} pixels, {card.preprocessing.normalisation} "
        f"normalisation{enhanced}{', flip test' if card.flip_test else ''} · images: "
        + (", ".join(f"{split} {count:,}" for split, count in counts.items()) or "not recorded")
        + f" · operating point: {card.operating_point.words}"
    )
    called = test.get("called_normal", {})
    columns = st.columns(2 + len(called))
    columns[0].metric("Test accuracy", _percent(test.get("accuracy")))
    columns[1].metric("Calibration error", _percent(test.get("expected_calibration_error")))
    for column, (name, count) in zip(columns[2:], called.items(), strict=True):
        column.metric(f"{spoken(name)} called Normal", count, help="Images of the test split; fewer is better.")
    left, right = st.columns(2)
    left.markdown("**A class at a time**")
    left.dataframe(_per_class(test), hide_index=True)
    right.markdown("**Confusion: true class in rows, predicted in columns**")
    right.dataframe(_confusion(test, card.classes))
    with st.expander("Limitations, data and recipe"):
        st.markdown("\n".join(f"- {sentence}" for sentence in card.limitations))
        st.json({"data": card.data, "split": card.split, "hyper_parameters": card.hyper_parameters}, expanded=1)


def _percent(value: float | None) -> str:
    return "—" if value is None else f"{value:.2%}"


def _per_class(test: dict[str, dict[str, dict[str, float | None]]]) -> pd.DataFrame:
    rows = test.get("per_class", {}).items()
    return pd.DataFrame(
        [
            {"class": spoken(name), **{key: _percent(row[key]) for key in ("precision", "recall", "f1")}}
            | {"images": row["images"]}
            for name, row in rows
        ]
    )


def _confusion(test: dict[str, list[list[int]]], classes: tuple[str, ...]) -> pd.DataFrame:
    names = [spoken(name) for name in classes]
    return pd.DataFrame(test.get("confusion_matrix", []), index=names, columns=names)
