"""A comparison as one HTML file that needs nothing else: no network, no script; light or dark as its reader has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from typing import Final

from lungassist import __version__
from lungassist.evaluation.comparison import SICK, Comparison
from lungassist.evaluation.comparison_svg import (
    COLOURS,
    accuracy_figure,
    confusion_figures,
    legend,
    precision_recall_figure,
    reliability_figure,
    roc_figure,
)
from lungassist.evaluation.sections import Section, sections

_COLOUR_RULES: Final = "".join(f".c{i}{{stroke:{colour}}}" for i, colour in enumerate(COLOURS))

_STYLE: Final = (
    """
:root{color-scheme:light dark;--ink:#1c2126;--soft:#59636e;--paper:#fff;--panel:#f4f6f8;--rule:#d5dae0;--blue:#0a5fa8}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa4af;--paper:#14181c;--panel:#1e242a;--rule:#39424c;
--blue:#6db3f2}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0 auto;max-width:1200px;
padding:1.5rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{margin:.4rem 0;max-width:80ch}.soft,.notes{color:var(--soft)}
.choice{border-left:4px solid var(--blue);background:var(--panel);padding:.7rem 1rem;margin:1rem 0}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .7rem;text-align:left;border-bottom:1px solid var(--rule);white-space:nowrap}
th{color:var(--soft);font-weight:600;white-space:normal;vertical-align:bottom}.number{text-align:right}
.published td{font-style:italic;color:var(--soft)}
.tag{font-size:.75rem;border:1px solid var(--rule);border-radius:3px;padding:0 .4em;color:var(--soft)}
.figures{display:flex;flex-wrap:wrap;gap:1rem}svg{max-width:100%;height:auto}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg text.head{font-weight:600;font-size:13px}
svg text.small{font-size:10px}
.grid{stroke:var(--rule)}.frame{fill:none;stroke:var(--rule)}.curve{fill:none;stroke-width:1.8}
.d1{stroke-dasharray:6 3}.d2{stroke-dasharray:2 3}
circle.dot{fill:var(--blue);stroke:var(--blue)}line.dot{stroke:var(--blue);stroke-width:2}
circle.published{fill:var(--paper);stroke:var(--soft)}line.published{stroke:var(--soft)}
.cell{fill:var(--blue);stroke:var(--rule)}svg text.strong{fill:var(--paper)}
.legend span{margin-right:1.2rem;white-space:nowrap}
"""
    + _COLOUR_RULES
)

_NOTICE: Final = "Decision support only: no medical device, no stand-alone diagnosis."


def comparison_html(comparison: Comparison, *, columns: Sequence[str] | None = None, target: float = 0.99) -> str:
    """The page; arguments as of `comparison_json`.

    Raises:
        PredictionsError: no table has one of the columns.
    """
    body = "".join(_body(comparison, columns, target))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # The page can load nothing and run nothing, whatever a file's or a model's name holds.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>LungAssist: comparison of {len(comparison.models)} models</title><style>{_STYLE}</style></head>"
        f"<body>{body}</body></html>\n"
    )


def _body(comparison: Comparison, columns: Sequence[str] | None, target: float) -> Iterator[str]:
    yield "<h1>Comparison of models</h1>"
    yield f'<p class="soft">LungAssist {__version__}. {_NOTICE}</p>'
    choice = comparison.choice
    yield f'<div class="choice"><strong>{escape(choice.name)}</strong><p>{escape(choice.reason)}</p>'
    yield (f"<p>{escape(choice.note)}</p></div>" if choice.note else "</div>")
    first, *others = sections(comparison, columns, target)
    yield _section(replace(first, notes=comparison.notes))
    yield f'<div class="scroll">{accuracy_figure(comparison)}</div>'
    yield f'<h2>Confusion matrices</h2><div class="figures">{confusion_figures(comparison)}</div>'
    yield from _curves(comparison)
    for section in others:
        yield _section(section)


def _curves(comparison: Comparison) -> Iterator[str]:
    figures = [reliability_figure(comparison)]
    if SICK in comparison.questions:
        figures = [roc_figure(comparison), precision_recall_figure(comparison), *figures]
    yield f'<h2>Curves</h2>{legend(comparison.models)}<div class="figures">{"".join(figures)}</div>'


def _section(section: Section) -> str:
    tag = ' <span class="tag">published, not measured</span>' if section.published else ""
    kind = ' class="published"' if section.published else ""
    head = "".join(_cell("th", name, name in section.numbers) for name in section.columns)
    rows = "".join(f"<tr>{''.join(_cells(section, row))}</tr>" for row in section.rows)
    notes = "".join(f'<p class="notes">{escape(note)}</p>' for note in section.notes)
    return (
        f'<h2>{escape(section.title)}{tag}</h2><div class="scroll"><table{kind}><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{notes}"
    )


def _cells(section: Section, row: tuple[str, ...]) -> Iterator[str]:
    for name, text in zip(section.columns, row, strict=True):
        yield _cell("td", text, name in section.numbers)


def _cell(kind: str, text: str, number: bool) -> str:
    style = ' class="number"' if number else ""
    return f"<{kind}{style}>{escape(text)}</{kind}>"
