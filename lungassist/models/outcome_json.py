"""What a threshold did to a set of images, as JSON on a card; what is undefined is null, since NaN is no JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from lungassist.metrics import Interval, Outcome
from lungassist.metrics.operating_point import Rate

_RATES: Final = ("sensitivity", "specificity", "ruled_out", "ruled_out_healthy")


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """All but the threshold: images, missed, and every rate with both of its 95 % intervals."""
    rates = {name: _rate_to_json(getattr(outcome, name)) for name in _RATES}
    return {"images": outcome.images, "missed": outcome.missed, **rates}


def outcome_from_json(threshold: float, values: Any) -> Outcome:
    """Read what `outcome_to_json` wrote.

    Raises:
        ValueError: with what was expected.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"test is {values!r}; expected figures of test images")
    rates = {name: _rate_from_json(values.get(name), name) for name in _RATES}
    return Outcome(threshold, **rates, missed=whole_in(values, "missed"), images=whole_in(values, "images"))


def number_in(values: Mapping[str, Any], name: str, *, most: float = 1.0) -> float:
    """A number from 0 to `most`.

    Raises:
        ValueError: with what was expected.
    """
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        up_to = f"from 0 to {most:g}" if math.isfinite(most) else "of 0 or more"
        raise ValueError(f"{name} is {value!r}; expected a number {up_to}")
    return float(value)


def whole_in(values: Mapping[str, Any], name: str) -> int:
    """A count.

    Raises:
        ValueError: with what was expected.
    """
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} is {value!r}; expected a count")
    return value


def text_in(values: Mapping[str, Any], name: str) -> str:
    """Text.

    Raises:
        ValueError: with what was expected.
    """
    value = values.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}; expected text")
    return value


def _rate_to_json(rate: Rate) -> dict[str, Any]:
    ends = {"wilson": list(map(_plain, rate.wilson)), "bootstrap": list(map(_plain, rate.bootstrap))}
    return {"value": _plain(rate.value), **ends}


def _rate_from_json(values: Any, name: str) -> Rate:
    try:
        wilson, bootstrap = (Interval(*map(_share, values[key])) for key in ("wilson", "bootstrap"))
        return Rate(_share(values["value"]), wilson, bootstrap)
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{name} is {values!r}; expected value, wilson and bootstrap, each from 0 to 1") from error


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 12)


def _share(value: float | None) -> float:
    if value is None:
        return math.nan
    return number_in({"": value}, "")
