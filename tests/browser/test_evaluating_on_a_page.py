"""Evaluating from the comparison page as a person does: launch, watch it finish, see the table and the lungs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lungassist.classes import CLASSES
from lungassist.phantom import phantom_png
from lungassist.settings import Settings
from tests.browser.own_places import environment_of, own_places
from tests.tiny import save_tiny_model

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

APP = Path(__file__).resolve().parents[2] / "streamlit_app.py"

#: Milliseconds. A job runs niced, and the machine may be busy with something else.
PATIENCE = 300_000
PAUSE = 120_000


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Settings]:
    """A home, a shelf with one model and a folder of phantoms; what still runs at the end is stopped."""
    save_tiny_model(tmp_path / "weights" / "tiny")
    for label in CLASSES:
        folder = tmp_path / "root" / "phantoms" / label
        folder.mkdir(parents=True)
        for seed in range(4):
            (folder / f"{label}-{seed}.png").write_bytes(phantom_png(label, seed, 128))
    with own_places(tmp_path) as settings:
        yield settings


def test_launched_watched_and_in_the_comparison_without_a_reload(
    places: Settings, serve: Callable[..., str], browser_page: Page
) -> None:
    environment = environment_of(places)
    page = browser_page
    page.set_default_timeout(PAUSE)
    page.goto(f"{serve(APP, environment, fresh=True)}/comparison?view=Evaluate")
    page.get_by_text("16 images").wait_for()
    page.evaluate("window.notReloaded = true")
    page.get_by_text("Measure how much of the evidence").click()
    page.get_by_role("textbox", name="Name").fill("ward")
    page.get_by_role("textbox", name="Name").press("Enter")
    page.get_by_role("button", name="Evaluate", exact=True).click()
    card = page.locator(".st-key-evaluation_1")
    card.get_by_text("ward", exact=True).wait_for()
    card.get_by_role("button", name="Cancel").wait_for()
    # Not the badge: its icon is text of the same element.
    card.get_by_role("button", name="Compare only these").wait_for(timeout=PATIENCE)
    page.get_by_test_id("stMultiSelect").get_by_text("tiny (ward)", exact=True).wait_for()
    page.get_by_text("is evaluated on this folder already").wait_for()
    card.get_by_role("button", name="Compare only these").click()
    page.get_by_text("Choice of the paper's rule").wait_for()
    page.get_by_role("tab", name="Shortcut audit").click()
    page.get_by_text("Evidence inside the lungs, test images").wait_for()
    page.get_by_text(re.compile("Lungs found automatically")).wait_for()
    page.get_by_role("tab", name="Evaluate").click()
    card.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete for good").click()
    card.wait_for(state="detached")
    page.get_by_test_id("stMultiSelect").get_by_text("tiny (ward)", exact=True).wait_for(state="detached")
    assert page.evaluate("window.notReloaded")
    assert not (places.evaluations_dir / "ward").exists()
    assert page.outside == []
