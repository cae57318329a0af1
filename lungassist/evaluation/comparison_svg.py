"""Figures of a comparison as inline SVG: no script, no font, no picture from elsewhere; colours from the page's CSS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Final

import numpy as np

from lungassist.classes import NORMAL, spoken
from lungassist.evaluation.comparison import SICK, Comparison
from lungassist.evaluation.leaderboard import Value
from lungassist.evaluation.short_names import short_names
from lungassist.evaluation.wording import with_numbers, with_percents
from lungassist.metrics import Floats

#: Colours that the colour-blind tell apart (Okabe and Ito 2008), as CSS classes `c0` ...; further models are dashed.
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8a8a8a")

#: Points of a curve that are drawn; more cannot be told apart.
_POINTS: Final = 300

#: Images below which a bin of the reliability diagram is left out: its accuracy is luck.
_FEWEST: Final = 5

#: Characters of a name, and the pixels of one on average.
_LONGEST, _CHARACTER = 30, 7.2

_SIDE: Final = 300
_MARGIN: Final = 42


#: What a row of dots shows: its name, its figure, and whether it was printed, not measured.
_DotRow = tuple[str, Value, bool]


def accuracy_figure(comparison: Comparison) -> str:
    """A dot and an interval a model; below them, hollow, what the paper printed."""
    short = short_of(comparison.models)
    measured = [(short[row.model], row.accuracy, False) for row in comparison.leaderboard]
    printed = [(f"{row.model} (published)", row.accuracy, True) for row in comparison.published]
    rows: list[_DotRow] = measured + printed
    lowest = 100 * min(_ends(rows), default=0)
    step = next((step for step in (1, 2, 5, 10) if 100 - lowest <= 6 * step), 20)
    first = int(max(0, lowest) // step * step)
    ticks = [(tick / 100, f"{tick} %") for tick in range(first, 101, step)]
    return _dots(rows, ticks, "Accuracy with 95 % intervals", with_percents)


def missed_figure(comparison: Comparison) -> str:
    """Contagious images called Normal, sick ones where none is known to be so; a dot and an interval a model."""
    short = short_of(comparison.models)
    rows: list[_DotRow] = [(short[row.model], row.contagious_called_normal, False) for row in comparison.leaderboard]
    highest = max(_ends(rows), default=0)
    step = next(
        size * ten for ten in (10**power for power in range(9)) for size in (1, 2, 5) if highest <= 6 * size * ten
    )
    ticks = [(float(tick), f"{tick:,}") for tick in range(0, int(highest) + step, step)]
    title = f"{comparison.counted.capitalize()} images called {spoken(NORMAL)} with 95 % intervals"
    return _dots(rows, ticks, title, lambda value: with_numbers(value, 0))


def _ends(rows: Sequence[_DotRow]) -> list[float]:
    return [end for _, value, _ in rows for end in (value.value, *value.interval) if np.isfinite(end)]


def _dots(
    rows: Sequence[_DotRow], ticks: Sequence[tuple[float, str]], title: str, worded: Callable[[Value], str]
) -> str:
    left = max(240.0, _CHARACTER * max(len(name) for name, *_ in rows) + 20)
    right, step, top = left + 500, 24, 28
    height = step * len(rows) + top + 40
    low, high = ticks[0][0], ticks[-1][0]

    def place(figure: float) -> float:
        return float(left + (right - left) * (figure - low) / max(high - low, 1e-9))

    parts = [
        f'<text class="head" x="{left}" y="14">{escape(title)}</text>',
        _axis_below(place, ticks, top, height - 30),
    ]
    for number, (name, value, hollow) in enumerate(rows):
        y = top + 14 + step * number + (8 if hollow else 0)
        kind = "dot published" if hollow else "dot"
        parts.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        if np.isfinite(value.interval.low):
            x1, x2 = (place(end) for end in value.interval)
            parts.append(f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y}" y2="{y}"/>')
        told = escape(f"{name}: {worded(value)}")
        parts.append(
            f'<circle class="{kind}" cx="{place(value.value):.1f}" cy="{y}" r="4.5"><title>{told}</title></circle>'
        )
    return _svg(right + 30, height, parts, title)


def _axis_below(place: Callable[[float], float], ticks: Sequence[tuple[float, str]], top: float, bottom: float) -> str:
    parts = []
    for tick, worded in ticks:
        x = place(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom:.1f}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{worded}</text>')
    return "".join(parts)


def confusion_figures(comparison: Comparison) -> str:
    """A confusion matrix a model, as shares of the true class, all on one scale; counts as texts."""
    return "".join(confusion_panels(comparison))


def confusion_panels(comparison: Comparison) -> list[str]:
    """The same, each by itself."""
    short = short_of(comparison.models)
    return [_confusion(comparison, name, short[name]) for name in comparison.models]


def _confusion(comparison: Comparison, model: str, short: str) -> str:
    matrix = comparison.confusion(model)
    totals = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    classes = [spoken(label) for label in comparison.classes]
    cell, left, top = 52, 108, 52
    parts = [f'<text class="head" x="4" y="14">{escape(short)}</text>']
    for k, label in enumerate(classes):
        parts.append(f'<text x="{left - 6}" y="{top + cell * k + 30}" text-anchor="end">{escape(label[:16])}</text>')
        for line, word in enumerate(reversed(label.split(maxsplit=1))):
            parts.append(
                f'<text x="{left + cell * (k + 0.5)}" y="{top - 6 - 12 * line}" text-anchor="middle" class="small">'
                f"{escape(word[:9])}</text>"
            )
    for row, column in np.ndindex(matrix.shape):
        share = float(matrix[row, column] / totals[row, 0])
        x, y = left + cell * column, top + cell * row
        told = escape(f"{classes[row]} called {classes[column]}: {matrix[row, column]} ({share:.1%})")
        strong = " strong" if share > 0.7 else ""
        parts.append(
            f'<rect class="cell" style="fill-opacity:{share:.3f}" x="{x}" y="{y}" width="{cell - 2}" '
            f'height="{cell - 2}"><title>{told}</title></rect>'
            f'<text class="count{strong}" x="{x + cell / 2 - 1}" y="{y + 30}" text-anchor="middle">'
            f"{matrix[row, column]:,}</text>"
        )
    side = cell * len(classes)
    width = max(left + side + 6, 8 + 1.15 * _CHARACTER * len(short))
    return _svg(width, top + side + 8, parts, f"Confusion matrix of {model}: truth in rows")


def roc_figure(comparison: Comparison) -> str:
    """Sensitivity over 1 - specificity of 'sick or Normal', a line a model."""
    lines = []
    for name in comparison.models:
        curve = comparison.roc(name, SICK)
        lines.append((curve.false_positive_rate, curve.true_positive_rate))
    return _square(lines, comparison.models, "1 - specificity", "sensitivity", "ROC: sick or Normal", diagonal=True)


def precision_recall_figure(comparison: Comparison) -> str:
    """Precision over recall of 'sick or Normal', a line a model."""
    lines = []
    for name in comparison.models:
        curve = comparison.precision_recall(name, SICK)
        lines.append((curve.recall, curve.precision))
    return _square(lines, comparison.models, "recall", "precision", "Precision-recall: sick or Normal")


def reliability_figure(comparison: Comparison) -> str:
    """Accuracy over confidence; on the diagonal, probabilities mean what they say."""
    lines = []
    for name in comparison.models:
        bins = comparison.reliability(name, 10)
        filled = bins.count >= _FEWEST
        lines.append((bins.confidence[filled], bins.accuracy[filled]))
    return _square(lines, comparison.models, "confidence", "accuracy", "Reliability", diagonal=True)


def _square(
    lines: Iterable[tuple[Floats, Floats]],
    models: Sequence[str],
    across: str,
    up: str,
    title: str,
    *,
    diagonal: bool = False,
) -> str:
    side, margin = _SIDE, _MARGIN
    far = margin + side
    parts = [f'<rect class="frame" x="{margin}" y="24" width="{side}" height="{side}"/>']
    for tick in (0.0, 0.5, 1.0):
        parts.append(f'<text x="{margin + side * tick}" y="{side + 40}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{margin - 6}" y="{24 + side * (1 - tick) + 4}" text-anchor="end">{tick:g}</text>')
    if diagonal:
        parts.append(f'<line class="grid" x1="{margin}" y1="{24 + side}" x2="{far}" y2="24"/>')
    for number, (x, y) in enumerate(lines):
        across_px, up_px = (margin + side * axis for axis in _thinned(x, 1 - y))
        points = " ".join(f"{px:.1f},{py + 24 - margin:.1f}" for px, py in zip(across_px, up_px, strict=True))
        told = f"<title>{escape(models[number])}</title>"
        parts.append(f'<polyline class="curve {kind_of(number)}" points="{points}">{told}</polyline>')
    parts.append(f'<text class="head" x="{margin}" y="14">{escape(title)}</text>')
    parts.append(f'<text x="{margin + side / 2}" y="{side + 58}" text-anchor="middle">{across}</text>')
    middle = 24 + side / 2
    parts.append(f'<text x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">{up}</text>')
    return _svg(far + 14, side + 66, parts, title)


def _thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) > _POINTS:
        kept = np.unique(np.linspace(0, len(x) - 1, _POINTS).astype(int))
        x, y = x[kept], y[kept]
    return x, y


def legend(models: Sequence[str]) -> str:
    """What colour and dash each model has."""
    items = (
        f'<span><svg width="28" height="10" aria-hidden="true"><line class="curve {kind_of(number)}" x1="0" x2="28" '
        f'y1="5" y2="5"/></svg> {escape(name)}</span>'
        for number, name in enumerate(models)
    )
    return f'<p class="legend">{"".join(items)}</p>'


def kind_of(number: int) -> str:
    """CSS classes of the curve of the model at a place."""
    return f"c{number % len(COLOURS)} d{number // len(COLOURS) % 3}"


def short_of(models: Sequence[str]) -> dict[str, str]:
    """Names as figures show them together: short, and no two alike."""
    return short_names(models, _LONGEST)


def _svg(width: float, height: float, parts: Iterable[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )
