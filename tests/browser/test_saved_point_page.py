"""An operating point from the explorer to a study: move, save, see triage follow and say so, take it back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lungassist.evaluation.predictions import write_predictions
from lungassist.models.card import Card
from tests.evaluation.made import index_of, table_of
from tests.tiny import save_tiny_model

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

APP = Path(__file__).resolve().parents[2] / "streamlit_app.py"
DECIDED = "By the operating point: the highest probability would say"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model on the shelf with its own table."""
    folder = tmp_path / "weights" / "tiny"
    write_predictions(folder / "predictions.csv", table_of(index_of()))
    save_tiny_model(folder)
    return folder


def test_triage_follows_a_point_that_is_saved_and_taken_back_elsewhere(
    folder: Path, serve: Callable[..., str], open_page: Callable[..., Page]
) -> None:
    home = folder.parents[1] / "home"
    environment = {"LUNGASSIST_HOME": str(home), "LUNGASSIST_WEIGHTS": str(folder.parent), "LUNGASSIST_MODEL": ""}
    url = serve(APP, environment, fresh=True)
    triage = open_page()
    triage.goto(url)
    triage.get_by_role("button", name="Load synthetic phantoms").click(timeout=60_000)
    triage.get_by_text("Operating point: highest probability.").wait_for(timeout=60_000)
    finding = triage.get_by_role("heading", level=3).first
    before = finding.inner_text()

    explorer = open_page()
    explorer.goto(f"{url}/comparison?view=Operating+point")
    slider = explorer.get_by_role("slider")
    slider.wait_for(timeout=60_000)
    slider.focus()
    # To the end that turns the finding over.
    slider.press("Home" if before == "Normal" else "End")
    explorer.get_by_text("Moved by hand").wait_for()
    explorer.get_by_role("button", name="Save this point").click()
    explorer.get_by_text("Everybody who triages with tiny").wait_for()
    explorer.get_by_role("button", name="Save for everybody").click()
    explorer.get_by_text("Saved. Triage uses it from now on.").wait_for()
    words = Card.read(folder / "card.json").operating_point.words
    assert words.startswith("called Normal only below")

    triage.get_by_text("As uploaded").click()
    decided = triage.get_by_test_id("stAlert").filter(has_text=DECIDED)
    decided.wait_for()
    assert (finding.inner_text() == "Normal") != (before == "Normal")
    # It stands in the alert and in the line below the report.
    triage.get_by_text(f"Operating point: {words}").first.wait_for()

    explorer.get_by_role("button", name="Take it back").click()
    explorer.get_by_text("Taken back.").wait_for()
    triage.get_by_text("Most urgent first").click()
    triage.get_by_text("Operating point: highest probability.").wait_for()
    # The list is drawn before the finding is.
    triage.get_by_role("heading", level=3, name=before).first.wait_for()
    decided.wait_for(state="hidden")
    assert triage.outside == explorer.outside == []
