"""The link to a view: whoever opens it sees the same, also where other defaults hold; what it misses is said."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from lungassist.evaluation.predictions import write_predictions
from tests.evaluation.made import index_of, table_of
from tests.pages.test_comparison import opened, shown, table, text
from tests.tiny import tiny_card

NAMES = ("alpha", "beta", "gamma")


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for seed, name in enumerate(NAMES):
        folder = tmp_path / "weights" / name
        write_predictions(folder / "predictions.csv", table_of(index_of(), 3.0 - seed, seed))
        tiny_card(name).write(folder / "card.json")
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("LUNGASSIST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LUNGASSIST_DATA_ROOTS", "")
    return tmp_path / "weights"


def address(page: AppTest) -> dict[str, list[str]]:
    """What the link says."""
    (link,) = [code.value for code in page.code if "tables=" in code.value]
    return parse_qs(urlsplit(link).query, keep_blank_values=True)


def test_the_link_says_tables_images_tab_and_choices_whether_or_not_they_are_the_defaults() -> None:
    page = opened(view="Confusion")
    assert address(page) == {
        "view": ["Confusion"],
        "tables": list(NAMES),
        "split": ["Test"],
        "cells": ["Counts"],
        "model": ["alpha"],
        "true": ["COVID-19"],
        "called": ["Normal"],
        "rate": ["Recall"],
    }


def test_it_follows_what_is_chosen_and_only_in_the_open_tab() -> None:
    page = opened(view="Confusion", tables=["gamma", "beta"])
    shown(page.selectbox(key="model").set_value("gamma").run())
    assert address(page)["model"] == ["gamma"]
    assert address(page)["tables"] == ["gamma", "beta"]
    assert set(address(opened(view="Leaderboard", model="gamma"))) == {"view", "tables", "split"}


def test_whoever_opens_it_sees_the_same_though_another_model_has_come_since(weights: Path) -> None:
    before = opened(view="Confusion")
    shown(before.selectbox(key="called").set_value("Lung_Opacity").run())
    link = address(before)
    write_predictions(weights / "another" / "predictions.csv", table_of(index_of(), 4.0, 9))
    tiny_card("another").write(weights / "another" / "card.json")
    after = opened(**{name: values if len(values) > 1 else values[0] for name, values in link.items()})
    assert address(after) == link
    assert table(after, "file") == table(before, "file")


def test_a_table_that_is_not_here_is_named_until_others_are_chosen() -> None:
    page = opened(tables=["alpha", "elsewhere"])
    assert "The link asks for elsewhere, of which there is no table here." in text(page)
    shown(page.multiselect(key="tables").set_value(["alpha", "beta"]).run())
    assert "elsewhere" not in text(page)


def test_no_table_chosen_is_a_view_of_its_own() -> None:
    page = opened()
    shown(page.multiselect(key="tables").set_value([]).run())
    assert address(page)["tables"] == [""]
