"""What a command says that took a model off the shelf."""

from __future__ import annotations

from lungassist.cli.tables import output_console, write_json_line
from lungassist.models.promotion_journal import Promotion


def say_undone(entry: Promotion, *, as_json: bool) -> int:
    """Print which model left the shelf and whether the one before came back; returns 0."""
    if as_json:
        write_json_line({"model": entry.name, "taken_back": True, "came_back": entry.replaced is not None})
    else:
        back = "; the one that it had replaced is there again" if entry.replaced else ""
        output_console().print(f"{entry.name} {entry.version} was taken off the shelf{back}.", markup=False)
    return 0
