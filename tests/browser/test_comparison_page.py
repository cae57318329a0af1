"""The comparison page as a person uses it: click a cell, move the threshold, send a colleague the link, add a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.predictions import write_predictions
from lungassist.evaluation.tables import read_tables
from tests.evaluation.made import index_of, table_of, written
from tests.tiny import save_tiny_model

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

APP = Path(__file__).resolve().parents[2] / "streamlit_app.py"
SKILLS = {"alpha": 3.0, "beta": 1.0}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Two models with tables, of which one can be asked too."""
    save_tiny_model(tmp_path / "weights" / "alpha")
    for seed, (name, skill) in enumerate(SKILLS.items()):
        write_predictions(tmp_path / "weights" / name / "predictions.csv", table_of(index_of(), skill, seed))
    return tmp_path / "weights"


@pytest.fixture
def url(weights: Path, serve: Callable[..., str]) -> str:
    home = weights.parent / "home"
    environment = {"LUNGASSIST_HOME": str(home), "LUNGASSIST_WEIGHTS": str(weights), "LUNGASSIST_MODEL": ""}
    return f"{serve(APP, environment, fresh=True)}/comparison"


def reference(weights: Path) -> Comparison:
    return Comparison.of(read_tables([weights / name / "predictions.csv" for name in SKILLS]))


def click_cell(page: Page, model: int, cell: int) -> None:
    """Click a cell of a model's matrix; cells are counted row by row."""
    page.locator(".bars").nth(model).locator(".point").nth(cell).click(force=True)


def test_a_click_on_a_cell_shows_its_images_and_the_link_shows_them_to_a_colleague(
    url: str, weights: Path, open_page: Callable[..., Page]
) -> None:
    page = open_page()
    page.goto(f"{url}?view=Confusion")
    page.get_by_text("images called").wait_for(timeout=60_000)
    click_cell(page, model=1, cell=6)
    count = len(reference(weights).cell("beta", "Lung_Opacity", "Normal"))
    said = f"{count} Lung opacity images called Normal by beta"
    page.get_by_text(said).wait_for()
    page.wait_for_url(lambda address: parse_qs(urlsplit(address).query).get("model") == ["beta"])
    colleague = open_page()
    colleague.goto(page.url)
    colleague.get_by_text(said).wait_for(timeout=60_000)
    assert page.outside == colleague.outside == []


def test_a_higher_threshold_misses_more_and_the_link_keeps_it(
    url: str, weights: Path, open_page: Callable[..., Page]
) -> None:
    page = open_page()
    page.goto(f"{url}?view=Operating+point&of=beta")
    slider = page.get_by_role("slider")
    slider.wait_for(timeout=60_000)
    missed = page.get_by_test_id("stMetric").filter(has_text="Missed").get_by_test_id("stMetricValue")
    before = int(missed.inner_text())
    assert before == reference(weights).operating_point("beta").outcome.missed
    slider.focus()
    for _ in range(40):
        slider.press("ArrowRight")
    page.get_by_text("Moved by hand").wait_for()
    page.wait_for_url(lambda address: "threshold=" in address)
    threshold = float(parse_qs(urlsplit(page.url).query)["threshold"][0])
    after = reference(weights).judged("beta", "sick", threshold - 5e-6).missed
    assert after > before
    colleague = open_page()
    colleague.goto(page.url)
    shown = colleague.get_by_test_id("stMetric").filter(has_text="Missed").get_by_text(str(after), exact=True)
    shown.wait_for(timeout=60_000)


def test_a_table_from_elsewhere_joins_the_others(url: str, tmp_path: Path, browser_page: Page) -> None:
    theirs = written(tmp_path, "theirs", table_of(index_of(), 2.0, 7))
    browser_page.goto(url)
    browser_page.get_by_role("button", name="Add").click(timeout=60_000)
    browser_page.set_input_files("input[type=file]", theirs)
    added = browser_page.get_by_test_id("stPopoverBody")
    added.get_by_role("button", name="Remove theirs", exact=True).wait_for()
    browser_page.keyboard.press("Escape")
    browser_page.get_by_test_id("stMultiSelect").get_by_text("theirs", exact=True).wait_for()
    browser_page.get_by_role("tab", name="Head to head").click()
    browser_page.get_by_text("All 3 pairs").wait_for()
