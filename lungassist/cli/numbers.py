"""Numbers on the command line, and what is said of those that will not do."""

from __future__ import annotations

import argparse
from typing import Final

#: Of anything that is counted here: studies in a pass, images, lines. No machine holds more.
_MOST: Final = 1_000_000


def at_least_one(text: str) -> int:
    """A whole number from 1 to a million.

    Raises:
        ArgumentTypeError: it is smaller or larger.
    """
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    if value > _MOST:
        raise argparse.ArgumentTypeError(f"must be at most {_MOST:,}, not {text[:40]}")
    return value


def share(text: str) -> float:
    """A number above 0 and at most 1.

    Raises:
        ArgumentTypeError: it is none.
    """
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, not {text}")
    return value


def probability(text: str) -> float:
    """A number from 0 to 1.

    Raises:
        ArgumentTypeError: it is none.
    """
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to 1, not {text}")
    return value
