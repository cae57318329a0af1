"""A table of a comparison as CSV for a spreadsheet and as LaTeX for a paper."""

from __future__ import annotations

import csv
import io
from typing import Final

from lungassist.evaluation.sections import Section

_SPECIAL: Final = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "%": r"\%",
        "&": r"\&",
        "#": r"\#",
        "$": r"\$",
        "_": r"\_",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "–": "--",
    }
)

#: What makes a spreadsheet take a text for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def section_csv(section: Section) -> str:
    """The table with a line of headings; numbers as they are shown, texts that a spreadsheet would run are quoted."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(_harmless, section.columns))
    for row in section.rows:
        writer.writerow(
            text if name in section.numbers else _harmless(text)
            for name, text in zip(section.columns, row, strict=True)
        )
    return out.getvalue()


def section_latex(section: Section) -> str:
    """The table as a `tabular` with booktabs' rules; a published one says so in its caption."""
    alignment = "".join("r" if name in section.numbers else "l" for name in section.columns)
    published = " (published, not measured)" if section.published else ""
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        rf"\caption{{{section.title.translate(_SPECIAL)}{published}}}",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        _line(section.columns),
        r"\midrule",
        *map(_line, section.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: tuple[str, ...]) -> str:
    return " & ".join(cell.translate(_SPECIAL) for cell in cells) + r" \\"


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
