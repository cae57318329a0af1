"""The benchmark of the comparison page really runs every tab, and leaves the environment as it was."""

from __future__ import annotations

import json
import os

import pytest

from benchmarks import comparison_page
from pages import comparison


def test_every_tab_is_opened_and_run_again(capsys: pytest.CaptureFixture[str]) -> None:
    before = dict(os.environ)
    assert comparison_page.main(["--quick", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["tabs"]) == {*comparison._VIEWS, *comparison._OTHERS}
    for tab in result["tabs"].values():
        assert 0 < tab["rerun"]["median"] <= tab["rerun"]["worst"] <= result["slowest_rerun"]
    assert dict(os.environ) == before
