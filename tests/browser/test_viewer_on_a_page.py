"""The viewer among other things: reruns, other studies, the keyboard, themes and widths."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from viewer_driver import Driver, extent

pytestmark = pytest.mark.browser


def test_keys_work_with_the_keyboard_alone_and_never_reach_the_page(viewer: Driver) -> None:
    viewer.page.get_by_role("button", name="Keys and gestures").focus()
    viewer.page.keyboard.press("Tab")
    viewer.page.keyboard.press("r")
    viewer.page.keyboard.press("c")
    viewer.page.keyboard.press("2")
    viewer.page.wait_for_timeout(500)
    assert viewer.runs == 1, "R reached the page, which reruns"
    assert viewer.page.get_by_role("dialog").count() == 0, "C reached the page, which offers to clear caches"
    assert viewer.part("painted") == "Evidence for Lung opacity"
    outline = viewer.page.locator(".viewer .stage").evaluate("stage => getComputedStyle(stage).outlineStyle")
    assert outline == "solid"


def test_typing_elsewhere_never_moves_the_film(viewer: Driver) -> None:
    before = viewer.snapshot()
    viewer.page.get_by_label("Notes").fill("")
    viewer.page.get_by_label("Notes").press_sequentially("his 2 r+")
    np.testing.assert_array_equal(viewer.snapshot(), before)


def test_state_outlasts_a_rerun_of_the_same_study(viewer: Driver) -> None:
    viewer.keys("2", "+", "+", "i", "Shift+ArrowLeft", "]", "m")
    before = viewer.snapshot()
    viewer.choose("Rerun")
    np.testing.assert_array_equal(viewer.snapshot(), before)
    assert viewer.root.get_attribute("data-decoded") == "1", "the image was decoded again"


def test_state_outlasts_a_visit_elsewhere(viewer: Driver) -> None:
    viewer.keys("2", "+", "i", "s")
    before = viewer.snapshot()
    viewer.choose("Viewer on the page")
    viewer.root.wait_for(state="detached")
    viewer.choose("Viewer on the page")
    viewer.await_decoded(1)
    np.testing.assert_array_equal(viewer.snapshot(), before)
    viewer.keys("s")
    assert (viewer.snapshot() != before).any(), "the controls are dead"
    assert viewer.errors == []


def test_a_new_study_starts_afresh_but_keeps_the_habits(viewer: Driver) -> None:
    viewer.keys("2", "+", "i", "Shift+ArrowLeft", "]", "m")
    viewer.choose("step")
    viewer.await_decoded(2)
    assert viewer.window == "W 100 % · L 50 %"
    assert viewer.part("painted") == "Evidence for COVID-19"
    assert viewer.part("opacityValue") == "60 %"
    assert viewer.page.get_by_label("Colour map").input_value() == "viridis"
    assert extent(viewer.snapshot())[1] == pytest.approx(viewer.snapshot().shape[0], abs=2)


def test_another_model_repaints_and_leaves_the_view(viewer: Driver) -> None:
    viewer.keys("+", "2")
    before, zoom = viewer.snapshot(), viewer.part("zoom")
    viewer.choose("0.5")
    assert (viewer.snapshot() != before).any()
    assert viewer.part("zoom") == zoom
    assert viewer.part("painted") == "Evidence for Lung opacity"
    assert viewer.root.get_attribute("data-decoded") == "1"


def test_the_caller_may_name_another_class(viewer: Driver) -> None:
    viewer.keys("2")
    viewer.choose("Viral Pneumonia")
    assert viewer.part("painted") == "Evidence for Viral pneumonia"


@pytest.mark.parametrize("width", [600, 900, 1600])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_overflows_and_the_film_stays_on_black(
    show_viewer: Callable[..., Driver], width: int, theme: str
) -> None:
    viewer = show_viewer("", viewport={"width": width, "height": 1000}, color_scheme=theme)
    viewer.keys("s")
    box = viewer.root.bounding_box()
    assert box is not None
    for button in viewer.page.locator(".viewer button:visible, .viewer select").all():
        edge = button.bounding_box()
        assert edge is not None and edge["x"] >= box["x"] - 1
        assert edge["x"] + edge["width"] <= box["x"] + box["width"] + 1
        assert button.evaluate("button => button.scrollWidth <= button.clientWidth + 1"), button.inner_text()
    assert viewer.snapshot()[2, 2].max() == 0


def test_the_film_follows_the_width_of_its_column(viewer: Driver) -> None:
    before = viewer.snapshot().shape[1]
    viewer.page.set_viewport_size({"width": 900, "height": 1000})
    viewer.page.wait_for_timeout(600)
    after = viewer.snapshot()
    assert after.shape[1] < before - 100
    box = viewer.canvas.bounding_box()
    assert box is not None and after.shape[1] == pytest.approx(box["width"], abs=1)


def test_the_scale_bar_is_as_long_as_it_says(show_viewer: Callable[..., Driver]) -> None:
    viewer = show_viewer("rows=700&columns=700")
    match = re.fullmatch(r"(\d+) cm at detector", viewer.part("rulerLabel"))
    assert match is not None
    zoom = float(viewer.part("zoom").split()[1]) / 100
    length = viewer.page.locator(".ruler").evaluate("bar => bar.offsetWidth")
    assert length == pytest.approx(int(match[1]) * 10 / (350 / 700) * zoom, rel=0.02)
    unknown = show_viewer("spacing=0")
    assert not unknown.page.locator(".ruler").is_visible()


def test_every_control_has_a_name_and_the_state_is_spoken(viewer: Driver) -> None:
    viewer.keys("2", "i")
    viewer.page.wait_for_timeout(900)
    assert viewer.part("live").startswith("Evidence for Lung opacity; probability 4%; window width 100 %")
    unnamed = [
        button.inner_text()
        for button in viewer.page.locator(".viewer :is(button, input, select, canvas)").all()
        if not (button.get_attribute("aria-label") or button.inner_text().strip())
    ]
    assert unnamed == []


def test_the_list_of_keys_opens_and_closes_by_keys(viewer: Driver) -> None:
    keys = viewer.page.get_by_role("region", name="Keys and gestures")
    viewer.keys("?")
    assert keys.is_visible()
    viewer.keys("Escape")
    assert not keys.is_visible()


def test_a_reader_who_wants_no_motion_gets_none(show_viewer: Callable[..., Driver]) -> None:
    viewer = show_viewer("", reduced_motion="reduce")
    button = viewer.page.get_by_role("button", name="Zoom in")
    assert button.evaluate("button => getComputedStyle(button).transitionDuration") == "0s"


def test_full_screen_fills_the_screen(viewer: Driver) -> None:
    before = viewer.snapshot().shape
    viewer.page.get_by_role("button", name="Full screen").click()
    viewer.page.wait_for_timeout(500)
    assert viewer.root.evaluate("root => root.matches(':fullscreen')")
    assert viewer.snapshot().shape[0] > before[0]


def test_the_page_asks_nothing_of_the_outside(viewer: Driver) -> None:
    viewer.page.wait_for_timeout(500)
    assert viewer.page.outside == []
    assert viewer.errors == []
