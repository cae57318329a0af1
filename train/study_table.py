"""What came of a study as a table of the shape of the paper's Table 1."""

from __future__ import annotations

from collections.abc import Sequence

from train.study_runs import Outcome

_HEADS = (
    "Model",
    "Train",
    "Validation",
    "Test",
    "COVID as Normal",
    "Viral Pneumonia as Normal",
    "Lung Opacity as Normal",
    "Best epoch",
)


def table_of(outcomes: Sequence[Outcome]) -> list[str]:
    """Lines of text, the columns as wide as they must be: names to the left, numbers to the right.

    Accuracies are in per cent; counts are of test images of that class that were called Normal.
    """
    rows = [_HEADS, *(_cells(outcome) for outcome in outcomes)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADS))]
    lines = [_line(row, widths) for row in rows]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    numbers = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "  ".join([cells[0].ljust(widths[0]), *numbers])


def _cells(one: Outcome) -> tuple[str, ...]:
    accuracies = ("–" if value is None else f"{value:.2%}" for value in (one.train, one.validation, one.test))
    counts = (one.covid, one.viral_pneumonia, one.lung_opacity, one.best_epoch)
    return (one.name, *accuracies, *("–" if value is None else str(value) for value in counts))
