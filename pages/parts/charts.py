"""Plotly figures."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from lungassist.classes import CONTAGIOUS, NORMAL, percent, spoken

#: Told apart in the common forms of colour blindness (Okabe and Ito), and by their labels anyway.
_CONTAGIOUS, _OTHER, _NORMAL = "#d55e00", "#e69f00", "#0072b2"


def probability_bars(probabilities: Mapping[str, float]) -> go.Figure:
    """A bar a class with its probability, in the model's order of classes, on a scale from 0 to 100 %."""
    names = list(probabilities)[::-1]
    shares = [probabilities[name] for name in names]
    figure = go.Figure(
        go.Bar(
            x=shares,
            y=[spoken(name) for name in names],
            orientation="h",
            marker_color=[_colour(name) for name in names],
            text=[percent(share) for share in shares],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    )
    figure.update_layout(
        height=44 * len(names) + 30,
        margin={"l": 0, "r": 50, "t": 4, "b": 20},
        xaxis={"range": [0, 1], "tickformat": ".0%", "fixedrange": True},
        yaxis={"fixedrange": True},
        showlegend=False,
    )
    return figure


def _colour(name: str) -> str:
    if name in CONTAGIOUS:
        return _CONTAGIOUS
    return _NORMAL if name == NORMAL else _OTHER
