"""Heat maps in a real Chromium: classes, colours, opacity, and what is not painted."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from viewer_app import SCALE, fake_chest, heat_maps
from viewer_driver import Driver, is_grey

from lungassist.overlay import overlay

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("index", [0, 1, 3])
def test_the_screen_agrees_with_the_file_that_a_report_gets(viewer: Driver, index: int) -> None:
    viewer.keys(str(index + 1))
    grey = np.rint(fake_chest(600, 500) * 255).astype(np.uint8)
    expected = overlay(grey, heat_maps()[index], SCALE, colour_map="inferno", opacity=0.5)
    difference = np.abs(viewer.saved()[1][:600].astype(int) - expected)
    assert difference.mean() < 0.5
    assert np.percentile(difference, 99.9) <= 5


def test_a_class_is_switched_by_key_and_by_click_without_a_run(viewer: Driver) -> None:
    first = viewer.snapshot()
    viewer.keys("2")
    second = viewer.snapshot()
    assert (first != second).any()
    assert viewer.part("painted") == "Evidence for Lung opacity"
    button = viewer.page.get_by_role("button", name="COVID-19, probability 93%")
    button.click()
    np.testing.assert_array_equal(viewer.snapshot(), first)
    assert button.get_attribute("aria-pressed") == "true"
    assert viewer.runs == 1


def test_the_legend_says_how_exact_a_place_is(viewer: Driver) -> None:
    assert "exact to about one cell of 7 × 7" in viewer.part("note")


def test_a_class_without_evidence_paints_nothing_and_says_so(viewer: Driver) -> None:
    viewer.keys("3", "c")
    assert is_grey(viewer.snapshot())
    assert viewer.part("title") == "No evidence for Normal: nothing is painted"
    assert viewer.part("painted") == "No evidence for Normal"


def test_a_map_that_is_the_same_for_every_class_is_evidence_for_none(show_viewer: Callable[..., Driver]) -> None:
    viewer = show_viewer("blind=1")
    words = "Strongest activations (the same for every class)"
    assert viewer.part("painted") == viewer.part("title") == words
    assert "spoke for the class" not in viewer.part("note")
    viewer.page.locator("[data-part=live]", has_text=f"{words}; COVID-19, probability").wait_for(state="attached")
    name, _ = viewer.saved()
    assert name == "lungassist-activations.png"


def test_no_evidence_is_transparent_in_jet_too(viewer: Driver) -> None:
    viewer.page.get_by_label("Colour map").select_option("jet")
    picture = viewer.saved()[1][:600]
    nothing = cv2.resize(heat_maps()[0], (500, 600)) == 0
    expected = np.rint(fake_chest(600, 500) * 255).astype(int)
    # One grid step of the browser's interpolation around the spot may carry a trace of it.
    nothing = cv2.erode(nothing.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    assert np.abs(picture[nothing].astype(int) - expected[nothing][:, None]).max() == 0
    assert not is_grey(picture)


def test_opacity_follows_the_slider_and_the_keys(viewer: Driver) -> None:
    viewer.page.get_by_label("Opacity of the heat map").fill("0")
    assert is_grey(viewer.snapshot())
    viewer.keys("]")
    assert not is_grey(viewer.snapshot())
    assert viewer.part("opacityValue") == "10 %"


def test_contours_draw_lines_without_the_colours(viewer: Driver) -> None:
    viewer.keys("h")
    bare = viewer.snapshot()
    viewer.keys("c")
    changed = (viewer.snapshot() != bare).any(axis=2).mean()
    assert 0.002 < changed < 0.1


def test_a_model_without_heat_maps_leaves_the_film(show_viewer: Callable[..., Driver]) -> None:
    viewer = show_viewer("maps=0")
    assert is_grey(viewer.snapshot())
    assert viewer.part("title") == "No heat map for this study"
    assert not viewer.page.get_by_role("button", name="Contours").is_visible()
    assert not viewer.page.get_by_label("Colour map").is_visible()
