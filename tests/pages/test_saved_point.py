"""Saving an operating point from the explorer, and triage that follows it in the same running application."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lungassist.classes import spoken
from lungassist.evaluation.predictions import write_predictions
from lungassist.models.card import Card
from tests.evaluation.made import index_of, table_of
from tests.pages.driven import APP, opened_at, shown, text
from tests.tiny import save_tiny_model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model on the shelf with its own table."""
    folder = tmp_path / "weights" / "tiny"
    write_predictions(folder / "predictions.csv", table_of(index_of()))
    save_tiny_model(folder)
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(folder.parent))
    monkeypatch.setenv("LUNGASSIST_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LUNGASSIST_MODEL", raising=False)
    return folder


def explorer(**address: str) -> AppTest:
    return opened_at("comparison", **{"view": "Operating point", **address})


def words(folder: Path) -> str:
    return Card.read(folder / "card.json").operating_point.words


def test_a_point_is_saved_after_it_was_explained_and_can_be_taken_back(folder: Path) -> None:
    page = explorer()
    assert "Triage judges tiny by:** highest probability" in text(page)
    assert "Everybody who triages with tiny" in text(page)
    threshold = page.select_slider(key="threshold").value
    shown(page.button(key="threshold_save").click().run())
    card = Card.read(folder / "card.json")
    assert card.operating_point.points["sick"].threshold == threshold
    assert card.operating_point.points["sick"].target == 0.99
    assert f"Triage judges tiny by:** {card.operating_point.words}" in text(page)
    assert "Saved. Triage uses it from now on." in text(page)
    assert page.metric[0].value == str(card.operating_point.points["sick"].outcome.missed)
    shown(page.button(key="threshold_undo").click().run())
    assert words(folder) == "highest probability"
    assert "Triage judges tiny by:** highest probability" in text(page)


def test_the_saved_threshold_is_marked_in_the_plot(folder: Path) -> None:
    page = explorer()
    assert "triage 0." not in str(page.get("plotly_chart")[0].proto)
    shown(page.button(key="threshold_save").click().run())
    saved = Card.read(folder / "card.json").operating_point.points["sick"].threshold
    assert f"triage {saved:.5f}" in str(page.get("plotly_chart")[0].proto)


def test_one_moved_by_hand_says_that_its_figures_flatter_and_is_saved_as_such(folder: Path) -> None:
    page = explorer()
    options = page.select_slider(key="threshold").options
    shown(page.select_slider(key="threshold").set_value(float(options[120])).run())
    assert "its figures flatter. Those of" in text(page)
    shown(page.button(key="threshold_save").click().run())
    point = Card.read(folder / "card.json").operating_point.points["sick"]
    assert (point.target, point.split) == (None, "test")
    assert f"{point.threshold:.5f}" == options[120]
    assert "(set by hand)" in words(folder)


def test_a_second_question_joins_and_the_highest_probability_is_a_click_away(folder: Path) -> None:
    page = explorer()
    shown(page.button(key="threshold_save").click().run())
    first = words(folder)
    shown(page.segmented_control(key="sought").set_value("contagious").run())
    shown(page.button(key="threshold_save").click().run())
    assert words(folder).startswith(f"{first}; suspected contagious from")
    shown(page.button(key="threshold_reset").click().run())
    assert words(folder) == "highest probability"


def test_only_the_models_own_table_can_be_saved_and_the_page_says_why(folder: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "home" / "evaluations" / "theirs.csv"
    write_predictions(theirs, table_of(index_of(), skill=3))
    page = explorer(of="theirs")
    assert "cannot be saved. Only the table that belongs to a model in weights/" in text(page)
    assert "threshold_save" not in {button.key for button in page.button}


def test_a_model_that_was_exchanged_meanwhile_gets_no_point(folder: Path, tmp_path: Path) -> None:
    page = explorer()
    before = Card.read(folder / "card.json")
    other = tmp_path / "new" / "tiny"
    shutil.copytree(folder, other)
    save_tiny_model(other, seed=3)
    shutil.rmtree(folder)
    other.rename(folder)
    # The button that is on the screen belongs to the earlier weights; the page is drawn anew with what is there now.
    shown(page.button(key="threshold_save").click().run())
    now = Card.read(folder / "card.json")
    assert now.weights_sha256 != before.weights_sha256
    assert now.operating_point.words == "highest probability"
    assert "meanwhile" in text(page)


def test_what_cannot_be_written_is_told_on_the_page(folder: Path) -> None:
    page = explorer()
    (folder.parent / ".promotions.lock").unlink(missing_ok=True)
    (folder.parent / ".promotions.lock").mkdir()
    shown(page.button(key="threshold_save").click().run())
    assert "make it writable" in text(page)
    assert words(folder) == "highest probability"


def test_triage_that_is_open_follows_the_new_point_and_back_without_a_restart(folder: Path) -> None:
    triage = AppTest.from_file(str(APP), default_timeout=60).run()
    triage.button[0].click().run()
    before = triage.dataframe[0].value["finding"].tolist()
    assert "Operating point: highest probability." in text(triage)
    page = explorer()
    options = page.select_slider(key="threshold").options
    # As far to the side as turns over what the model says now.
    is_normal = spoken("Normal") in before
    shown(page.select_slider(key="threshold").set_value(float(options[0 if is_normal else -1])).run())
    shown(page.button(key="threshold_save").click().run())
    shown(triage.run())
    after = triage.dataframe[0].value
    assert [name == "Normal" for name in after["finding"]] != [name == "Normal" for name in before]
    assert f"Operating point: {words(folder)}" in text(triage)
    assert after["flags"].str.contains("by operating point").any()
    assert "highest probability would say" in text(triage)
    shown(page.button(key="threshold_undo").click().run())
    shown(triage.run())
    assert triage.dataframe[0].value["finding"].tolist() == before
