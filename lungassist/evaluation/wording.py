"""Figures as they are shown, in a terminal and on a page: shares in percent, what is undefined as a dash."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from lungassist.evaluation.leaderboard import Value
from lungassist.metrics import Interval

DASH: Final = "–"


def percent(share: float, digits: int = 2) -> str:
    """A share in [0, 1] in percent."""
    return DASH if math.isnan(share) else f"{share:.{digits}%}"


def number(value: float, digits: int = 3) -> str:
    """A number that is no share."""
    return DASH if math.isnan(value) else f"{value:.{digits}f}"


def percent_interval(interval: Interval) -> str:
    """Both ends in percent; '' where there is none."""
    low, high = interval
    return "" if math.isnan(low) else f"{100 * low:.1f} to {100 * high:.1f}"


def in_brackets(interval: str) -> str:
    """What stands behind a figure: its interval in brackets; nothing where there is none."""
    return f" ({interval})" if interval else ""


def number_interval(interval: Interval, digits: int = 3) -> str:
    """Both ends; '' where there is none."""
    low, high = interval
    return "" if math.isnan(low) else f"{low:.{digits}f} to {high:.{digits}f}"


def p_value(p: float) -> str:
    """A p-value; very small ones as a bound."""
    if math.isnan(p):
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def with_percents(value: Value) -> str:
    """A share and its interval in one line."""
    return percent(value.value) + in_brackets(percent_interval(value.interval))


def with_numbers(value: Value, digits: int = 3) -> str:
    """A number and its interval in one line."""
    return number(value.value, digits) + in_brackets(number_interval(value.interval, digits))


def listed(names: Sequence[str], most: int = 7) -> str:
    """Names as a sentence has them: of more than `most` the first few, and how many more there are."""
    shown, rest = (names, 0) if len(names) <= most else (names[: max(most - 1, 1)], len(names) - max(most - 1, 1))
    last = f"{rest:,} more" if rest else shown[-1] if shown else ""
    before = shown if rest else shown[:-1]
    return f"{', '.join(before)} and {last}" if before else last
