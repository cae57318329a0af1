"""A run's curves and its confusion matrix as Plotly figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd
import plotly.graph_objects as go

#: Told apart in the common forms of colour blindness (after Okabe and Ito) and by their dashes; legible on light and
#: dark.
_TRAIN, _VALIDATION, _GAP = "#3a8fd0", "#d55e00", "rgba(213, 94, 0, 0.14)"
_COLUMNS: Final = ("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
#: Points of accuracy from which the gap is called over-fitting.
_WIDE: Final = 0.05


def is_complete(epochs: pd.DataFrame) -> bool:
    """Whether there is an epoch, with all that is drawn."""
    return len(epochs) > 0 and set(_COLUMNS) <= set(epochs.columns)


def loss_curves(epochs: pd.DataFrame) -> go.Figure:
    """Loss of train and validation, an epoch each."""
    return _pair(epochs, "loss", ".3f", "")


def accuracy_curves(epochs: pd.DataFrame) -> go.Figure:
    """Accuracy of train and validation; what lies between them is shaded."""
    return _pair(epochs, "accuracy", ".1%", ".0%")


def gap_sentence(epochs: pd.DataFrame, lag: str = "") -> str:
    """The over-fitting gap of the last epoch, and what it means; `lag`, if the average lags behind, says that."""
    last = epochs.iloc[-1]
    gap = float(last["train_accuracy"] - last["validation_accuracy"])
    found = (
        f"Over-fitting gap after epoch {int(last['epoch'])}: {100 * gap:+.1f} points "
        f"(train {last['train_accuracy']:.1%}, validation {last['validation_accuracy']:.1%})."
    )
    if lag:
        return f"{found} {lag}"
    if gap > _WIDE:
        return f"{found} That is wide: more augmentation, weight decay or fewer epochs may help."
    if gap < 0:
        return f"{found} Training images are augmented and so the harder ones; that is usual."
    return found


def _pair(epochs: pd.DataFrame, what: str, hover: str, ticks: str) -> go.Figure:
    mode = "lines+markers" if len(epochs) < 15 else "lines"
    figure = go.Figure()
    for split, colour, dash in (("train", _TRAIN, "dash"), ("validation", _VALIDATION, "solid")):
        figure.add_scatter(
            x=epochs["epoch"],
            y=epochs[f"{split}_{what}"],
            name=split.capitalize(),
            mode=mode,
            line={"color": colour, "width": 2, "dash": dash},
            fill="tonexty" if split == "validation" and what == "accuracy" else None,
            fillcolor=_GAP,
            hovertemplate=f"{split} %{{y:{hover}}}<extra></extra>",
        )
    figure.update_layout(
        height=260,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        hovermode="x unified",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right", "traceorder": "normal"},
        xaxis={"title": "Epoch", "fixedrange": True, "dtick": max(1, -(-len(epochs) // 10)), "automargin": True},
        yaxis={"tickformat": ticks, "fixedrange": True, "automargin": True},
    )
    return figure


def confusion_figure(matrix: Sequence[Sequence[int]], names: Sequence[str], *, dark: bool = False) -> go.Figure:
    """True class in rows, predicted in columns: counts, shaded by the share of the true class; for either theme."""
    shares = [[count / max(1, sum(row)) for count in row] for row in matrix]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=list(names),
            y=list(names),
            customdata=matrix,
            colorscale=[[0, "rgba(58, 143, 208, 0.06)"], [1, "rgba(58, 143, 208, 0.7)"]],
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=2,
            ygap=2,
            hovertemplate="%{y} called %{x}: %{customdata:,} (%{z:.1%})<extra></extra>",
        )
    )
    for true, row in zip(names, matrix, strict=True):
        for predicted, count in zip(names, row, strict=True):
            colour = "#e6edf3" if dark else "#17212b"
            figure.add_annotation(
                x=predicted, y=true, text=f"{count:,}", showarrow=False, font={"color": colour, "size": 14}
            )
    figure.update_layout(
        height=80 + 76 * len(names),
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={"fixedrange": True, "showgrid": False, "title": "Predicted", "automargin": True},
        yaxis={"autorange": "reversed", "fixedrange": True, "showgrid": False, "title": "True", "automargin": True},
    )
    return figure
