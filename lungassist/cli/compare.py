"""`python -m lungassist compare`: the whole comparison without a browser."""

from __future__ import annotations

import argparse
import sys

from rich.text import Text

from lungassist.cli.folders import writable
from lungassist.cli.tables import name_cell, new_table, output_console, write_json_line
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.comparison_html import comparison_html
from lungassist.evaluation.comparison_json import comparison_json
from lungassist.evaluation.figure_export import write_figures
from lungassist.evaluation.sections import Section, sections
from lungassist.evaluation.tables import read_tables
from lungassist.files import write_atomically


def run(arguments: argparse.Namespace) -> int:
    """Compare and write; returns 0.

    Raises:
        PredictionsError: a table cannot be used, or the tables cannot be compared.
        UsageError: the page or the figures cannot be written there.
    """
    if arguments.html is not None:
        writable(arguments.html.parent)
    if arguments.figures is not None:
        writable(arguments.figures)
    comparison = Comparison.of(
        read_tables(arguments.tables), split=arguments.split, resamples=arguments.resamples, seed=arguments.seed
    )
    if arguments.common:
        comparison = comparison.on_common_images()
    columns, target = arguments.slice, arguments.sensitivity
    if arguments.json:
        write_json_line(comparison_json(comparison, columns=columns, target=target))
    elif arguments.html is not None:
        page = comparison_html(comparison, columns=columns, target=target)
        write_atomically(arguments.html, lambda path: path.write_text(page, encoding="utf-8"))
        sys.stdout.write(f"{arguments.html}\n")
    else:
        for section in sections(comparison, columns, target):
            _write(section)
    if arguments.figures is not None:
        places = write_figures(comparison, arguments.figures)
        if not arguments.json:  # its output is one object and nothing else
            sys.stdout.write("".join(f"{place}\n" for place in places))
    return 0


def _write(section: Section) -> None:
    console = output_console()
    console.print(Text(section.title, style="bold"))
    table = new_table(*section.columns, numbers=section.numbers)
    for row in section.rows:
        table.add_row(*(name_cell(text) if text else "" for text in row), style="dim" if section.published else None)
    console.print(table)
    for note in section.notes:
        console.print(note, soft_wrap=True, markup=False)
    console.print()
