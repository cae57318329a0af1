"""The rate of the last seconds."""

from __future__ import annotations

import time

import pytest

from lungassist.training.recent_rate import RecentRate


def test_it_is_that_of_the_last_seconds_and_of_nothing_before_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    rate = RecentRate()
    assert rate.at(0) is None
    now[0] += 5
    assert rate.at(10) == 2
    for done in (20, 30, 40, 80, 120):
        now[0] += 5
        found = rate.at(done)
    # Of the last three steps, the first of which brought 10.
    assert found == pytest.approx((120 - 30) / 15)
    rate.clear()
    assert rate.at(200) is None
    now[0] += 1
    assert rate.at(200) is None
