"""What the figures of the comparison page have in common: a colour and a dash a model, layout, how they are saved."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Final

import plotly.graph_objects as go

from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.leaderboard import Value
from lungassist.evaluation.short_names import short_names

#: Told apart in the common forms of colour blindness (after Okabe and Ito) and legible on light and dark. They go to
#: models by their rank, so that the best always differ; further models have another dash and symbol.
COLOURS: Final = ("#3a8fd0", "#d55e00", "#159c77", "#c86fa4", "#d69a00", "#7d6bd6")
DASHES: Final = ("solid", "dash", "dot", "longdashdot")
SYMBOLS: Final = ("circle", "square", "diamond", "triangle-up")

#: In the corner of each figure: save it as SVG.
CONFIG: Final[dict[str, Any]] = {
    "displaylogo": False,
    "modeBarButtons": [["toImage"]],
    "toImageButtonOptions": {"format": "svg", "filename": "lungassist"},
}

GREY: Final = "#868e96"
_LONGEST: Final = 26


def colour_of(rank: int) -> str:
    """Of the model at a place of `ranked`."""
    return COLOURS[rank % len(COLOURS)]


def dash_of(rank: int) -> str:
    """Of its lines."""
    return DASHES[rank // len(COLOURS) % len(DASHES)]


def symbol_of(rank: int) -> str:
    """Of its dots."""
    return SYMBOLS[rank // len(COLOURS) % len(SYMBOLS)]


def short_of(names: Sequence[str]) -> dict[str, str]:
    """Names as figures show them together, of models or of slices: short, no two alike, and no markup to Plotly."""
    return {name: escape(short, quote=False) for name, short in short_names(names, _LONGEST).items()}


def ranked(comparison: Comparison) -> list[str]:
    """Models, the best first by the rule; then those of other images, which it cannot rank."""
    order = [comparison.choice.name, *(rival.name for rival in comparison.choice.rivals)]
    return [*order, *(name for name in comparison.models if name not in order)]


def bars_of(values: Sequence[Value], factor: float = 1.0) -> dict[str, Any]:
    """95 % intervals as Plotly's error bars."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [factor * (value.interval.high - value.value) for value in values],
        "arrayminus": [factor * (value.value - value.interval.low) for value in values],
        "thickness": 1.5,
        "width": 4,
    }


def laid_out(figure: go.Figure, height: int, **more: Any) -> go.Figure:
    """The figure with the margins and legend that all have."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 12, "t": 28, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        **more,
    )
    figure.update_xaxes(fixedrange=True, automargin=True)
    figure.update_yaxes(fixedrange=True, automargin=True)
    return figure
