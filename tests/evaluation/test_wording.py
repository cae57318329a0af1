"""How figures and names are put into words."""

from __future__ import annotations

import math

import pytest

from lungassist.evaluation import wording


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("", ""),
        ("a", "a"),
        ("ab", "a and b"),
        ("abc", "a, b and c"),
        ("abcd", "a, b and 2 more"),
        ("abcdefgh", "a, b and 6 more"),
    ],
)
def test_of_many_names_the_first_are_said_and_how_many_more(names: str, expected: str) -> None:
    assert wording.listed(list(names), 3) == expected


def test_what_is_undefined_is_a_dash_and_never_zero() -> None:
    assert wording.percent(math.nan) == wording.number(math.nan) == wording.p_value(math.nan) == wording.DASH
    assert wording.percent_interval((math.nan, math.nan)) == ""  # type: ignore[arg-type]
    assert (wording.percent(0.0), wording.p_value(0.0004), wording.p_value(0.04)) == ("0.00%", "< 0.001", "0.040")
