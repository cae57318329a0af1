"""How findings are written: JSON lines as they come, or a table at the end; and the progress bar beside them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from lungassist.classes import percent, spoken
from lungassist.cli.parser import NOTICE
from lungassist.cli.tables import name_cell, new_table, output_console, write_json_line
from lungassist.triage import Finding, Refused


class Output(Protocol):
    """What takes the results of a triage, one by one."""

    def add(self, result: Finding | Refused, heat_map: Path | None) -> None:
        """Take one result."""

    def close(self) -> None:
        """Write what is still held."""


class JsonLines:
    """A line a study, as it comes; holds nothing."""

    def add(self, result: Finding | Refused, heat_map: Path | None) -> None:
        """Write the line."""
        values = result.to_json()
        if isinstance(result, Finding):
            values["heatmap"] = None if heat_map is None else str(heat_map)
        write_json_line(values)

    def close(self) -> None:
        """Nothing is held."""


class ResultTable:
    """A row a study, written when all are there; holds only the rows' few words."""

    def __init__(self) -> None:
        """Start without rows."""
        self._table = new_table("File", "Finding", "Probability", "Contagious", "Remarks", numbers=("Probability",))
        self._used = self._refused = self._contagious = 0
        self._model = ""

    def add(self, result: Finding | Refused, heat_map: Path | None) -> None:
        """Take one row."""
        del heat_map  # its folder is known, and its name begins like the study's
        if isinstance(result, Refused):
            self._refused += 1
            self._table.add_row(name_cell(result.file), "not used", "", "", Text(str(result.error)), style="red")
            return
        self._used += 1
        self._model = f"Model {result.model} {result.model_version}, operating point: {result.operating_point}. "
        suspected = result.suspected_contagious and result.plausible
        self._contagious += suspected
        self._table.add_row(
            name_cell(result.file),
            spoken(result.finding) if result.plausible else f"doubtful: {spoken(result.finding)}",
            percent(result.probabilities[result.finding]),
            "suspected" if suspected else "",
            Text(" ".join(result.warnings)),
        )

    def close(self) -> None:
        """Write the table and a line that sums it up; nothing if there is no row."""
        if not self._table.row_count:
            return
        console = output_console()
        console.print(self._table)
        console.print(
            f"{_counted(self._used + self._refused)}: {self._used} used, {self._refused} not used, "
            f"{self._contagious} suspected contagious. {self._model}{NOTICE}",
            soft_wrap=True,
            markup=False,
        )


@contextmanager
def progress(label: str, total: Callable[[], int], *, hidden: bool) -> Iterator[Callable[[], None]]:
    """Show a bar on standard error while the block runs, if that is a terminal; what is yielded advances it.

    Args:
        label: what is going on.
        total: counts the steps; called only if the bar is shown.
        hidden: never show it.
    """
    if hidden or not sys.stderr.isatty():
        yield lambda: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task(label, total=total())
        yield lambda: bar.advance(task)


def _counted(studies: int) -> str:
    return "1 study" if studies == 1 else f"{studies} studies"
