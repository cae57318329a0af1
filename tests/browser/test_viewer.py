"""The film in a real Chromium: what windowing, zooming and panning do, judged by the pixels that come out."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from viewer_app import fake_chest
from viewer_driver import Driver, edge_column, extent, is_grey

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("ratio", [1, 2])
def test_the_film_keeps_its_aspect_and_uses_every_device_pixel(show_viewer: Callable[..., Driver], ratio: int) -> None:
    viewer = show_viewer("study=step&rows=300&columns=200", device_scale_factor=ratio)
    viewer.keys("h")
    picture = viewer.snapshot()
    width, height = extent(picture)
    assert height == pytest.approx(picture.shape[0], abs=2)
    assert width == pytest.approx(height * 200 / 300, abs=2)
    box = viewer.canvas.bounding_box()
    assert box is not None and picture.shape[1] == pytest.approx(box["width"] * ratio, abs=2)


def test_a_saved_view_without_overlay_holds_every_sample_unchanged(viewer: Driver) -> None:
    viewer.keys("h")
    name, picture = viewer.saved()
    expected = np.rint(fake_chest(600, 500) * 255).astype(np.uint8)
    np.testing.assert_array_equal(picture[:600], np.repeat(expected[..., None], 3, axis=2))
    assert name == "lungassist-covid.png"
    assert picture.shape[0] > 610 and (picture[602] == 255).all(), "the caption bar is missing"
    assert (picture[600:] < 128).any(), "the caption bar is empty"


def test_sixteen_bits_stay_apart_where_eight_would_merge_them(show_viewer: Callable[..., Driver]) -> None:
    viewer = show_viewer("study=step&bits=16")
    viewer.keys("h")
    assert len(np.unique(viewer.saved()[1][:600])) == 1
    viewer.keys(*["Shift+ArrowLeft"] * 120)
    picture = viewer.saved()[1][:600, :, 0]
    assert (picture[:, :250] == 191).all()
    assert (picture[:, 250:] == 255).all()


def test_a_large_film_is_drawn_from_its_smaller_copies_at_the_right_place(show_viewer: Callable[..., Driver]) -> None:
    viewer = show_viewer("rows=1801&columns=1501")
    viewer.keys("h")
    picture = viewer.snapshot()[..., 0].astype(float)
    height = picture.shape[0]
    width = round(height * 1501 / 1801)
    left = (picture.shape[1] - width) // 2
    expected = cv2.resize(fake_chest(1801, 1501) * 255, (width, height), interpolation=cv2.INTER_AREA)
    assert np.abs(picture[4:-4, left + 4 : left + width - 4] - expected[4:-4, 4:-4]).mean() < 1.5


def test_a_drag_windows_in_the_browser_alone(viewer: Driver) -> None:
    viewer.keys("h")
    before = viewer.snapshot()
    viewer.drag(-150, -60)
    after = viewer.snapshot()
    assert viewer.window != "W 100 % · L 50 %"
    assert after.std() > 1.2 * before.std(), "a narrower window has more contrast"
    assert viewer.runs == 1


def test_up_brightens_and_down_darkens(viewer: Driver) -> None:
    viewer.keys("h")
    before = viewer.snapshot().mean()
    viewer.drag(0, -100)
    assert viewer.snapshot().mean() > before + 5
    viewer.drag(0, 200)
    assert viewer.snapshot().mean() < before - 5


def test_invert_turns_every_grey_around(viewer: Driver) -> None:
    viewer.keys("h")
    before = viewer.saved()[1][:600]
    viewer.keys("i")
    np.testing.assert_array_equal(viewer.saved()[1][:600], 255 - before)
    assert viewer.part("inverted") == "inverted"


def test_a_double_click_fits_and_leaves_the_window_alone(viewer: Driver) -> None:
    viewer.keys("h")
    before = viewer.snapshot()
    viewer.keys("+", "+")
    viewer.canvas.dblclick()
    np.testing.assert_array_equal(viewer.snapshot(), before)


@pytest.fixture
def step_viewer(show_viewer: Callable[..., Driver]) -> Driver:
    """A film with one visible vertical edge in its middle, and no overlay."""
    viewer = show_viewer("study=step")
    viewer.keys("h", *["Shift+ArrowLeft"] * 50)
    return viewer


def test_the_wheel_zooms_at_the_pointer(step_viewer: Driver) -> None:
    edge = edge_column(step_viewer.snapshot())
    step_viewer.wheel(edge + 1, 100, -700)
    assert extent(step_viewer.snapshot())[0] > 780, "it did not zoom in"
    assert edge_column(step_viewer.snapshot()) == pytest.approx(edge, abs=2)
    step_viewer.drag(120, 0, button="right")
    step_viewer.wheel(edge + 121, 300, 300)
    assert edge_column(step_viewer.snapshot()) == pytest.approx(edge + 120, abs=2)


@pytest.mark.parametrize("how", ["right", "middle", "Shift", "Space"])
def test_there_are_four_ways_to_pan(step_viewer: Driver, how: str) -> None:
    edge, window = edge_column(step_viewer.snapshot()), step_viewer.window
    if how in {"right", "middle"}:
        step_viewer.drag(70, 0, button=how)
    else:
        step_viewer.page.keyboard.down(how)
        step_viewer.drag(70, 0)
        step_viewer.page.keyboard.up(how)
    assert edge_column(step_viewer.snapshot()) == pytest.approx(edge + 70, abs=1)
    assert step_viewer.window == window


def test_one_to_one_shows_samples_as_they_are(viewer: Driver) -> None:
    viewer.keys("h", "a")
    assert viewer.part("zoom") == "Zoom 100 %"
    picture = viewer.snapshot()[..., 0]
    expected = np.rint(fake_chest(600, 500) * 255).astype(np.uint8)
    found = cv2.matchTemplate(picture, expected[200:260, 200:260], cv2.TM_SQDIFF)
    assert found.min() < 1


def test_two_fingers_zoom(show_viewer: Callable[..., Driver]) -> None:
    viewer = show_viewer("study=step", has_touch=True)
    box = viewer.canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = viewer.page.context.new_cdp_session(viewer.page)

    def fingers(kind: str, *distances: float) -> None:
        points = [{"x": x + distance, "y": y, "id": index} for index, distance in enumerate(distances)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    before = extent(viewer.snapshot())[0]
    fingers("touchStart", -50, 50)
    fingers("touchMove", -60, 60)
    fingers("touchMove", -75, 75)
    fingers("touchEnd")
    assert extent(viewer.snapshot())[0] == pytest.approx(1.5 * before, rel=0.05)
    assert viewer.window == "W 100 % · L 50 %"


def test_side_by_side_moves_together(viewer: Driver) -> None:
    viewer.keys("s")
    viewer.wheel(150, 200, -300)
    viewer.drag(40, 30, button="right", start=(0.75, 0.5))
    viewer.drag(-80, 20, start=(0.75, 0.5))
    picture = viewer.snapshot()
    half = picture.shape[1] // 2
    left, right = picture[:, : half - 2], picture[:, -half:][:, : half - 2]
    assert is_grey(left) and not is_grey(right)
    viewer.keys("h")
    picture = viewer.snapshot()
    left, right = picture[:, 2 : half - 2], picture[:, -half:][:, 2 : half - 2]
    # The halves may lie on different fractions of a sample, so that a grey may round the other way.
    assert np.abs(left.astype(int) - right).max() <= 1
    assert (left != right).mean() < 0.001
    assert left.std() > 20


def test_reset_undoes_window_zoom_and_inversion(viewer: Driver) -> None:
    before = viewer.snapshot()
    viewer.keys("i", "+", "+", "ArrowLeft", "Shift+ArrowRight", "Shift+ArrowUp")
    assert (viewer.snapshot() != before).any()
    viewer.keys("r")
    np.testing.assert_array_equal(viewer.snapshot(), before)
