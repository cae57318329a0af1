"""The images of a cell as a table and, where the folder is on this machine, as thumbnails."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from lungassist.classes import spoken
from lungassist.errors import StudyError
from lungassist.evaluation.comparison import Comparison
from lungassist.experiments.comparing import image_path
from pages.parts import comparison_state as state

_THUMBNAILS = 12
_NO_FOLDER = (
    "The images themselves are not below the configured folders (LUNGASSIST_DATA_ROOTS), so there are names alone."
)


def show_images(comparison: Comparison, model: str, label: str, finding: str) -> None:
    """Show one cell of a model's confusion matrix, the most confident first."""
    rows = comparison.cell(model, label, finding)
    st.markdown(f"{len(rows):,} {spoken(label)} images called {spoken(finding)} by {model}")
    if rows.empty:
        return
    st.dataframe(
        rows[_columns(rows)],
        hide_index=True,
        height=min(38 + 35 * len(rows), 248),
        column_config={
            "file": st.column_config.TextColumn("Image", width="medium"),
            "probability": share_column(f"P({spoken(finding)})"),
            "probability_of_label": share_column(f"P({spoken(label)})"),
            "patient_id": st.column_config.TextColumn("Patient", width="small"),
            "source": st.column_config.TextColumn("Source", width="small"),
        },
        key="comparison_cell",
        alt="Images of the cell",
    )
    _thumbnails(comparison, model, rows)


def share_column(title: str, width: int = 110) -> Any:
    """A probability as a bar."""
    return st.column_config.ProgressColumn(title, format="percent", min_value=0, max_value=1, width=width)


def _columns(rows: pd.DataFrame) -> list[str]:
    """What says something: an image's properties where any is known."""
    properties = [name for name in ("patient_id", "source") if (rows[name] != "").any()]
    of_label = ["probability_of_label"] if not rows["right"].all() else []
    return ["file", "probability", *of_label, *properties]


def _thumbnails(comparison: Comparison, model: str, rows: pd.DataFrame) -> None:
    folder = state.images_folder(comparison, model)
    if folder is None:
        st.caption(f":material/folder_off: {_NO_FOLDER}")
        return
    with st.container(horizontal=True, gap="small"):
        for file, probability in rows[["file", "probability"]].head(_THUMBNAILS).itertuples(index=False):
            path = image_path(folder, file)
            try:
                if path is not None:
                    st.image(state.thumbnail(path), caption=f"{path.stem} · {probability:.0%}", width=112)
            except StudyError:
                continue  # what cannot be read stands in the table
