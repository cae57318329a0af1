"""A bar on standard error for work in several stages, each of which counts for itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Counted = Callable[[str, int, int], None]


@contextmanager
def counting(*, hidden: bool = False) -> Iterator[Counted]:
    """Show a bar while the block runs, if standard error is a terminal; what is yielded takes (stage, done, all)."""
    if hidden or not sys.stderr.isatty():
        yield lambda _stage, _done, _all: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task("", total=None)
        shown = ""

        def tell(stage: str, done: int, whole: int) -> None:
            nonlocal shown
            if stage != shown:  # or the time that remains would be guessed from the stage before
                bar.reset(task, description=stage, total=whole)
                shown = stage
            bar.update(task, completed=done, total=whole)

        yield tell
