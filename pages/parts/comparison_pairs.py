"""Two models on the same images: what each gets right alone, whether that is luck, and where they disagree."""

from __future__ import annotations

from collections.abc import Mapping
from html import unescape
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from lungassist.classes import spoken
from lungassist.errors import PredictionsError, StudyError, WeightsError
from lungassist.evaluation import sections
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.paired import HeadToHead
from lungassist.evaluation.wording import DASH, p_value, percent_interval
from lungassist.experiments.comparing import SHELF, image_path
from pages.parts import comparison_state as state
from pages.parts.comparison_figures import COLOURS, GREY, laid_out, short_of
from pages.parts.comparison_images import share_column
from pages.parts.literal import literal

A, B, IMAGE = "a", "b", "image"
PINNED: Final[state.Pinned] = {A: str, B: str, IMAGE: str}
#: The image that a link asked for.
_ASKED: Final = "comparison_image_asked"
_ALPHA = 0.05


def show_pairs(comparison: Comparison) -> None:
    """Show two models of the reader's choice, and every pair."""
    if len(comparison.models) < 2:
        st.info("Choose a second table above to compare two models image by image.", icon=":material/balance:")
        return
    a, b = _choose(comparison)
    if a == b:
        st.info("Choose two different models.", icon=":material/balance:")
    else:
        try:
            _show(comparison, comparison.head_to_head(a, b))
        except PredictionsError as error:
            st.warning(str(error), icon=":material/balance:")
    _all(comparison)


def _choose(comparison: Comparison) -> tuple[str, str]:
    chosen = comparison.choice
    first = [chosen.name, *(rival.name for rival in chosen.rivals), *comparison.models]
    found = []
    for place, (column, key) in enumerate(zip(st.columns([3, 3, 4])[:2], (A, B), strict=True)):
        default = comparison.models.index(first[place])
        label = f"Model {key.upper()}"
        found.append(column.selectbox(label, comparison.models, index=default, key=key, bind="query-params"))
    return found[0], found[1]


def _show(comparison: Comparison, pair: HeadToHead) -> None:
    p, short = p_value(pair.p), short_of(comparison.models)
    a, b = (literal(unescape(short[name])) for name in (pair.a, pair.b))
    told = (
        (f"Only {a} right", f"{pair.only_a:,}", f"of {pair.images:,} images"),
        (f"Only {b} right", f"{pair.only_b:,}", f"of {pair.images:,} images"),
        (
            "Accuracy of A less B",
            f"{100 * pair.difference:+.2f} points",
            f"95 %: {percent_interval(pair.interval) or DASH}",
        ),
        ("McNemar, exact", f"p {p}" if p.startswith("<") else f"p = {p}", f"{p_value(pair.adjusted_p)} after Holm"),
    )
    for cell, (label, value, below) in zip(st.columns(4), told, strict=True):
        cell.metric(label, value, below, delta_color="off", delta_arrow="off", border=True)
    st.markdown(_verdict(pair))
    st.plotly_chart(_bar(pair, short), config={"displayModeBar": False}, key="comparison_pair")
    _disagreements(comparison, pair)


def _verdict(pair: HeadToHead) -> str:
    better = pair.a if pair.difference > 0 else pair.b
    if pair.adjusted_p < _ALPHA:
        return f"**{literal(better)}** is right more often, by more than chance."
    return f"The difference is **within chance**: these {pair.images:,} images do not tell the two apart."


def _bar(pair: HeadToHead, short: Mapping[str, str]) -> go.Figure:
    parts = (
        ("Both right", pair.both_right, "rgba(134, 142, 150, 0.25)"),
        (f"Only {short[pair.a]}", pair.only_a, COLOURS[0]),
        (f"Only {short[pair.b]}", pair.only_b, COLOURS[1]),
        ("Both wrong", pair.both_wrong, GREY),
    )
    figure = go.Figure()
    for name, count, colour in parts:
        figure.add_bar(
            x=[count],
            y=[""],
            orientation="h",
            name=f"{name}: {count:,}",
            marker={"color": colour},
            hovertemplate=f"{name}: {count:,} of {pair.images:,}<extra></extra>",
        )
    laid_out(figure, 96, barmode="stack")
    figure.update_layout(legend_traceorder="normal")
    figure.update_xaxes(visible=False, range=[0, pair.images])
    return figure


def _disagreements(comparison: Comparison, pair: HeadToHead) -> None:
    rows = comparison.disagreements(pair.a, pair.b)
    st.markdown(f"**{len(rows):,} images on which they disagree**, the surest mistakes of one alone first")
    if rows.empty:
        return
    table = rows.assign(
        label=rows["label"].map(spoken),
        finding_a=rows["finding_a"].map(spoken),
        finding_b=rows["finding_b"].map(spoken),
        right=[_right(a, b) for a, b in zip(rows["right_a"], rows["right_b"], strict=True)],
        image=[PurePosixPath(file).name for file in rows["file"]],
    )
    files = rows["file"].tolist()
    left, right = st.columns([2, 1], gap="medium")
    with left:
        chosen = st.dataframe(
            table[["image", "label", "finding_a", "probability_a", "finding_b", "probability_b", "right"]],
            hide_index=True,
            height=min(38 + 35 * len(rows), 388),
            column_config=_columns(),
            on_select="rerun",
            selection_mode="single-row-required",
            selection_default={"selection": {"rows": [_first(files)]}},
            key=f"comparison_differ {pair.a} {pair.b} {len(rows)}",
            alt="Images on which the two models disagree",
        )
    with right:
        selected = chosen["selection"]["rows"]
        row = rows.iloc[selected[0] if selected and selected[0] < len(rows) else 0]
        st.session_state[IMAGE] = str(row["file"])
        _evidence(comparison, pair, row)


def _first(files: list[str]) -> int:
    """The row that is shown at first: the image of the link by which the reader came, else the topmost."""
    if _ASKED not in st.session_state:
        st.session_state[_ASKED] = st.query_params.get(IMAGE)
        # From here on the reader chooses; the address would go on naming the first.
        st.query_params.pop(IMAGE, None)
    asked = st.session_state[_ASKED]
    return files.index(asked) if asked in files else 0


def _right(a: bool, b: bool) -> str:
    return "A" if a else "B" if b else "neither"


def _columns() -> dict[str, Any]:
    config = st.column_config
    return {
        "image": config.TextColumn("Image", width=175),
        "label": config.TextColumn("True class", width=115),
        "finding_a": config.TextColumn("A says", width=115),
        "probability_a": share_column("P", 95),
        "finding_b": config.TextColumn("B says", width=115),
        "probability_b": share_column("P", 95),
        "right": config.TextColumn("Right", width=65),
    }


def _evidence(comparison: Comparison, pair: HeadToHead, row: pd.Series[Any]) -> None:
    """The chosen image with the heat maps of both models, where image and models are here."""
    file = str(row["file"])
    folder = state.images_folder(comparison, pair.a)
    path = image_path(folder, file) if folder is not None else None
    if path is None:
        st.caption(
            ":material/folder_off: Heat maps of both models stand here when the images are below the configured "
            "folders (LUNGASSIST_DATA_ROOTS) and the models on the shelf."
        )
        return
    st.caption(f"{file} is {spoken(str(row['label']))}. Evidence for each model's finding (Grad-CAM):")
    shelf = {source.name: source.digest for source in state.sources() if source.kind == SHELF}
    for place, model in zip(st.columns(2), (pair.a, pair.b), strict=True):
        with place:
            _picture(path, model, shelf.get(model))


def _picture(path: Path, model: str, digest: str | None) -> None:
    """The image with a model's heat map; without where the model cannot be asked."""
    try:
        if digest is not None:
            seen = state.seen(path, model, digest)
            st.image(seen.png, width="stretch", caption=f"{model}: {spoken(seen.finding)} {seen.probability:.0%}")
            return
    except (WeightsError, OSError):
        digest = None  # the table of a model whose weights are gone can still be compared
    try:
        st.image(state.thumbnail(path), width="stretch", caption=f"{model} cannot be asked here: no heat map")
    except StudyError as error:
        st.caption(f":material/broken_image: {error}")


def _all(comparison: Comparison) -> None:
    pairs = comparison.tests.pairs
    if len(pairs) < 2 and not comparison.tests.refused:
        return
    section = sections.tests(comparison)
    with st.expander(f"All {len(pairs)} pairs, corrected for their number (Holm)", icon=":material/grid_on:"):
        order = sorted(range(len(pairs)), key=lambda i: pairs[i].p)
        st.dataframe(
            pd.DataFrame([section.rows[i] for i in order], columns=list(section.columns)),
            hide_index=True,
            column_config={name: st.column_config.TextColumn(name, alignment="right") for name in section.numbers},
            key="comparison_pairs",
            alt=section.title,
        )
        st.caption(" ".join(section.notes))
