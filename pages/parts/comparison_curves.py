"""ROC, precision-recall and reliability of all models in one picture each; training curves of those from runs."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from lungassist.classes import spoken
from lungassist.evaluation.comparison import SICK, Comparison
from lungassist.evaluation.wording import with_numbers
from lungassist.metrics import Floats
from lungassist.training.progress import read_epochs
from pages.parts import comparison_state as state
from pages.parts.comparison_figures import COLOURS, CONFIG, GREY, colour_of, dash_of, laid_out, ranked, short_of
from pages.parts.training_curves import is_complete

#: Points of a curve that are drawn; more cannot be told apart.
_POINTS: Final = 400
#: Images below which a bin of the reliability diagram is left out: its accuracy is luck.
_FEWEST: Final = 10
_TITLES: Final = ("ROC", "Precision-recall", "Reliability")
_AXES: Final = (("1 − specificity", "Sensitivity"), ("Recall", "Precision"), ("Probability of the finding", "Accuracy"))
LIT: Final = "lit"
_QUESTION: Final = "question"
_PALE: Final = "rgba(134, 142, 150, 0.35)"


def _asked(question: str) -> str:
    return "Sick or Normal" if question == SICK else spoken(question)


PINNED: Final[state.Pinned] = {_QUESTION: _asked, LIT: str}


def show_curves(comparison: Comparison) -> None:
    """Show the three curves of a question, then training."""
    asked = [SICK, *comparison.classes] if SICK in comparison.questions else list(comparison.classes)
    question = st.segmented_control(
        "Question",
        asked,
        format_func=_asked,
        default=asked[0],
        required=True,
        key=_QUESTION,
        bind="query-params",
        label_visibility="collapsed",
    )
    st.plotly_chart(_curves(comparison, str(question), _lit(comparison)), config=CONFIG, key="comparison_curves")
    st.caption(
        "Reliability is of the finding's probability, whatever is asked: on the diagonal, probabilities mean what they "
        f"say. Bins of fewer than {_FEWEST} images are left out."
    )
    _areas(comparison, str(question))
    _training(comparison)


def _lit(comparison: Comparison) -> list[str]:
    """Models that are drawn in colour: all, or of many those that the reader chooses, at first the rule's best."""
    models = ranked(comparison)
    if len(models) <= len(COLOURS):
        return models
    return st.multiselect(
        "In colour",
        models,
        default=models[: len(COLOURS)],
        key=LIT,
        bind="query-params",
        placeholder="Choose models to tell apart",
        help="The others are drawn in grey; point at a line to read whose it is.",
    )


def _areas(comparison: Comparison, question: str) -> None:
    rows = []
    order = ranked(comparison)
    for row in sorted(comparison.leaderboard, key=lambda row: order.index(row.model)):
        classes = {each.label: each for each in comparison.class_rows(row.model)}
        known = {"Area under ROC (95 %)": classes[question].roc_auc if question in classes else row.sick_roc_auc}
        if question in classes:
            known["Average precision (95 %)"] = classes[question].average_precision
        rows.append({"Model": row.model, **{name: with_numbers(value, 4) for name, value in known.items()}})
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, width="content", key="comparison_areas", alt="Areas under the curves"
    )


def _curves(comparison: Comparison, question: str, lit: list[str]) -> go.Figure:
    figure = make_subplots(1, 3, subplot_titles=_TITLES, horizontal_spacing=0.07)
    models, short = ranked(comparison), short_of(comparison.models)
    # What is drawn last lies on top.
    for model in sorted(models, key=lambda name: name in lit):
        place = models.index(model)
        line = {"color": colour_of(place), "dash": dash_of(place), "width": 2}
        roc = comparison.roc(model, question)
        precise = comparison.precision_recall(model, question)
        bins = comparison.reliability(model, 10)
        filled = bins.count >= _FEWEST
        lines = (
            (roc.false_positive_rate, roc.true_positive_rate, "lines"),
            (precise.recall, precise.precision, "lines"),
            (bins.confidence[filled], bins.accuracy[filled], "lines+markers"),
        )
        for column, (x, y, mode) in enumerate(lines, start=1):
            kept_x, kept_y = _thinned(x, y)
            figure.add_scatter(
                x=kept_x,
                y=kept_y,
                mode=mode,
                name=short[model],
                legendgroup=model,
                showlegend=column == 1 and model in lit,
                legendrank=place,
                line=line if model in lit else {"color": _PALE, "width": 1},
                marker={"size": 6 if model in lit else 3},
                hovertemplate=f"{short[model]}: %{{x:.3f}}, %{{y:.3f}}<extra></extra>",
                row=1,
                col=column,
            )
    for column in (1, 3):
        figure.add_scatter(
            x=[0, 1],
            y=[0, 1],
            mode="lines",
            line={"color": GREY, "width": 1, "dash": "dot"},
            hoverinfo="skip",
            showlegend=False,
            row=1,
            col=column,
        )
    laid_out(figure, 390 + 18 * (len(lit) // 6))
    figure.update_layout(legend={"y": -0.2, "yanchor": "top"})
    figure.update_xaxes(range=[-0.01, 1.01], tickformat=".0%")
    figure.update_yaxes(range=[-0.01, 1.02], tickformat=".0%")
    for column, (across, up) in enumerate(_AXES, start=1):
        figure.update_xaxes(title=across, col=column)
        figure.update_yaxes(title=up, title_standoff=4, col=column)
    return figure


def _thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    if len(x) > _POINTS:
        kept = np.unique(np.linspace(0, len(x) - 1, _POINTS).astype(int))
        return x[kept], y[kept]
    return x, y


def _training(comparison: Comparison) -> None:
    epochs = {}
    runs = {source.name: source.run for source in state.sources()}
    for model in comparison.models:
        run = runs.get(model)
        table = read_epochs(run) if run is not None else pd.DataFrame()
        if is_complete(table):
            epochs[model] = table
    st.markdown("**Training of the models that come from runs**")
    if not epochs:
        st.caption("None of the chosen models comes from a run on this machine, so there are no epochs to draw.")
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.plotly_chart(_training_figure(comparison, epochs), config=CONFIG, key="comparison_training")
        st.caption("Validation solid, train dashed: what lies between is the over-fitting gap.")
    with right:
        st.dataframe(_gaps(epochs), hide_index=True, key="comparison_gaps", column_config=_gap_columns())


def _training_figure(comparison: Comparison, epochs: dict[str, pd.DataFrame]) -> go.Figure:
    figure, short = go.Figure(), short_of(comparison.models)
    for model, table in epochs.items():
        colour = colour_of(ranked(comparison).index(model))
        for split, dash in (("validation", "solid"), ("train", "dash")):
            figure.add_scatter(
                x=table["epoch"],
                y=table[f"{split}_accuracy"],
                mode="lines+markers" if len(table) < 15 else "lines",
                name=short[model],
                legendgroup=model,
                showlegend=split == "validation",
                line={"color": colour, "dash": dash, "width": 2},
                hovertemplate=f"{short[model]}, {split}, epoch %{{x}}: %{{y:.1%}}<extra></extra>",
            )
    laid_out(figure, 320)
    figure.update_xaxes(title="Epoch")
    figure.update_yaxes(title="Accuracy", tickformat=".0%")
    return figure


def _gaps(epochs: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The last epoch of each run; shares in percent."""
    last = {model: table.iloc[-1] for model, table in epochs.items()}
    return pd.DataFrame(
        {
            "model": list(last),
            "epochs": [int(row["epoch"]) for row in last.values()],
            "train": [100 * row["train_accuracy"] for row in last.values()],
            "validation": [100 * row["validation_accuracy"] for row in last.values()],
            "gap": [100 * (row["train_accuracy"] - row["validation_accuracy"]) for row in last.values()],
        }
    )


def _gap_columns() -> dict[str, Any]:
    config = st.column_config
    return {
        "model": config.TextColumn("Model"),
        "epochs": config.NumberColumn("Epochs", width=70),
        "train": config.NumberColumn("Train", format="%.1f %%", width=80),
        "validation": config.NumberColumn("Validation", format="%.1f %%", width=90),
        "gap": config.NumberColumn("Gap", format="%+.1f", width=60, help="Train less validation, in points."),
    }
