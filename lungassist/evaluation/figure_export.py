"""Figures of a comparison to take away: each as an SVG file and as a PNG for print, on white.

figure_names(comparison)                     # those that its classes allow
svg = figure_svg(comparison, "ROC")          # the whole file
figure_png(svg)                              # 300 dots an inch
write_figures(comparison, folder)            # all, both ways
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Final

from lungassist.errors import UsageError
from lungassist.evaluation import comparison_svg as drawn
from lungassist.evaluation.comparison import SICK, Comparison
from lungassist.files import write_atomically

#: Of a PNG; a figure's units are CSS pixels, 96 an inch.
DOTS_PER_INCH: Final = 300
_PIXELS_PER_INCH: Final = 96

_FONT: Final = "DejaVu Sans"
_STYLE: Final = (
    f"text{{font:12px '{_FONT}',Verdana,Arial,sans-serif;fill:#1c2126}}text.head{{font-weight:bold;font-size:13px}}"
    "text.small{font-size:10px}.grid{stroke:#d5dae0}.frame{fill:none;stroke:#d5dae0}"
    ".curve{fill:none;stroke-width:1.8}.d1{stroke-dasharray:6 3}.d2{stroke-dasharray:2 3}"
    "circle.dot{fill:#0a5fa8;stroke:#0a5fa8}line.dot{stroke:#0a5fa8;stroke-width:2}"
    "circle.published{fill:#fff;stroke:#59636e}line.published{stroke:#59636e}"
    ".cell{fill:#0a5fa8;stroke:#d5dae0}text.strong{fill:#fff}"
) + "".join(f".c{i}{{stroke:{colour}}}" for i, colour in enumerate(drawn.COLOURS))

_BORDER: Final = 12
_GAP: Final = 16
#: Matrices side by side; more would be too small on paper.
_ACROSS: Final = 3

#: An `<svg>` of `comparison_svg` begins with its size.
_SIZE: Final = re.compile(r'<svg viewBox="[^"]*" width="([\d.]+)" height="([\d.]+)"')

#: Of one character of the legend, on average, and of its line with the space around it.
_CHARACTER, _LINE, _ROW = 7.2, 44, 20


def figure_names(comparison: Comparison) -> tuple[str, ...]:
    """What there is to draw."""
    return tuple(_figures(comparison))


def figure_svg(comparison: Comparison, name: str) -> str:
    """A figure as a whole SVG file on white, with the legend in it.

    Raises:
        UsageError: there is no such figure.
    """
    figures = _figures(comparison)
    if name not in figures:
        raise UsageError(f"There is no figure {name!r}. There: {', '.join(figures)}.")
    return figures[name](comparison)


def figure_png(svg: str) -> bytes:
    """A PNG of an SVG file of this module, at 300 dots an inch.

    Letters are of a font that comes along, so that the same figure looks alike everywhere; what it lacks (such as
    Chinese) is taken from the system's.
    """
    import resvg_py

    png: bytes = resvg_py.svg_to_bytes(
        svg_string=svg,
        zoom=DOTS_PER_INCH / _PIXELS_PER_INCH,
        background="white",
        font_family=_FONT,
        sans_serif_family=_FONT,
        font_files=_fonts(),
    )
    return _with_resolution(png)


def write_figures(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write every figure as SVG and as PNG; returns where."""
    written = []
    for name in figure_names(comparison):
        svg = figure_svg(comparison, name)
        for ending, data in (("svg", svg.encode()), ("png", figure_png(svg))):
            place = folder / f"{file_stem(name)}.{ending}"
            write_atomically(place, lambda path, data=data: path.write_bytes(data))  # type: ignore[misc]
            written.append(place)
    return tuple(written)


def file_stem(name: str) -> str:
    """A figure's or table's name as that of a file."""
    return re.sub(r"[^\w.-]+", "-", name.lower()).strip("-")


def _figures(comparison: Comparison) -> dict[str, Callable[[Comparison], str]]:
    figures: dict[str, Callable[[Comparison], str]] = {"Accuracy": lambda c: _file([[drawn.accuracy_figure(c)]])}
    if any(row.called_normal for row in comparison.leaderboard):
        figures[f"{comparison.counted.capitalize()} called Normal"] = lambda c: _file([[drawn.missed_figure(c)]])
    figures["Confusion matrices"] = lambda c: _file(_in_rows(drawn.confusion_panels(c)))
    if SICK in comparison.questions:
        figures["ROC"] = lambda c: _with_legend(c, [drawn.roc_figure(c)])
        figures["Precision-recall"] = lambda c: _with_legend(c, [drawn.precision_recall_figure(c)])
    figures["Reliability"] = lambda c: _with_legend(c, [drawn.reliability_figure(c)])
    return figures


def _in_rows(panels: Sequence[str]) -> list[Sequence[str]]:
    across = 2 if len(panels) == 4 else _ACROSS
    return [panels[first : first + across] for first in range(0, len(panels), across)]


def _with_legend(comparison: Comparison, panels: Sequence[str]) -> str:
    return _file([[*panels, _legend(comparison.models)]])


def _legend(models: Sequence[str]) -> str:
    """Beside the curves, a line a model."""
    parts, short = [], drawn.short_of(models)
    for number, name in enumerate(models):
        y = 34 + _ROW * number
        parts.append(f'<line class="curve {drawn.kind_of(number)}" x1="0" x2="30" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LINE - 6}" y="{y + 4}">{escape(short[name])}</text>')
    longest = max(map(len, short.values()))
    width, height = _LINE + _CHARACTER * longest, 40 + _ROW * len(models)
    return f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}">{"".join(parts)}</svg>'


def _file(rows: Iterable[Sequence[str]]) -> str:
    """Panels in rows, with what makes them a file of its own."""
    parts, width, y = [], 0.0, float(_BORDER)
    for row in rows:
        x, tallest = float(_BORDER), 0.0
        for panel in row:
            wide, high = _size(panel)
            parts.append(panel.replace("<svg ", f'<svg x="{x:g}" y="{y:g}" ', 1))
            x, tallest = x + wide + _GAP, max(tallest, high)
        width, y = max(width, x - _GAP), y + tallest + _GAP
    wide, high = width + _BORDER, y - _GAP + _BORDER
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high:g}" width="{wide:g}" height="{high:g}">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _size(panel: str) -> tuple[float, float]:
    found = _SIZE.match(panel)
    if found is None:
        raise ValueError(f"expected a figure of comparison_svg, not {panel[:60]!r}")
    return float(found[1]), float(found[2])


@cache
def _fonts() -> list[str]:
    """Files of the font, which lie in matplotlib's package; it is not imported for that."""
    package = importlib.util.find_spec("matplotlib")
    if package is None or package.origin is None:
        return []
    folder = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf"
    return [str(folder / name) for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")]


def _with_resolution(png: bytes) -> bytes:
    """The PNG with its dots an inch, by which a word processor knows how large it is."""
    import io

    from PIL import Image

    out = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").save(out, "PNG", dpi=(DOTS_PER_INCH, DOTS_PER_INCH), optimize=True)
    return out.getvalue()
