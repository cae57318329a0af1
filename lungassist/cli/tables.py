"""JSON lines and plain tables on standard output, for every command. Loads no torch, so that a short one is quick."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lungassist.imaging.wording import shown

#: A pipe has no width; a table there is as wide as its cells.
_UNBOUNDED: Final = 100_000


class _Output(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Let `main` end as after any line that nobody reads; the console's own way ends with a failure's status."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def write_json_line(value: Mapping[str, Any]) -> None:
    """Write one object on one line of standard output, at once. ASCII, so that any name and any encoding will do."""
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")
    sys.stdout.flush()


def output_console() -> Console:
    """Standard output: coloured and as wide as the terminal, or plain and unbounded in a pipe."""
    width = None if sys.stdout.isatty() else _UNBOUNDED
    return _Output(file=sys.stdout, highlight=False, width=width)


def new_table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """An empty table; the columns named in `numbers` are set flush right."""
    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return table


def name_cell(name: str) -> Text:
    """A file's name on one line, whatever it holds, and never read as markup."""
    return Text(shown(name))
