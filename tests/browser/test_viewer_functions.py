"""The viewer's pure functions, run where they live and compared with OpenCV."""

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from pages.components.viewer.bundle import library

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def call(page: "Page", modules: tuple[str, ...], expression: str, argument: object = None) -> object:
    """Evaluate an expression of `lib` and `given` with some of the viewer's modules, in a page of its own."""
    code = """async ([source, expression, given]) => {
        const lib = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
        return new Function("lib", "given", `return ${expression}`)(lib, given);
    }"""
    return page.evaluate(code, [library(*modules), expression, argument])


@pytest.mark.parametrize("size", [(7, 7, 350, 300), (14, 14, 33, 45), (3, 5, 4, 4), (1, 1, 9, 9)])
def test_interpolation_is_opencvs(browser_page: "Page", size: tuple[int, int, int, int]) -> None:
    height, width, rows, columns = size
    values = np.random.default_rng(0).random((height, width), dtype=np.float32)
    given = {"map": {"values": values.ravel().tolist(), "width": width, "height": height}, "size": [columns, rows]}
    result = call(
        browser_page,
        ("colormaps.js", "evidence.js"),
        "Array.from(lib.upsample(given.map, ...given.size).values)",
        given,
    )
    expected = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(np.array(result).reshape(rows, columns), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["inferno", "viridis", "magma", "jet"])
def test_colour_maps_are_the_ones_they_are_named_for(browser_page: "Page", name: str) -> None:
    table = np.array(call(browser_page, ("colormaps.js",), "Array.from(lib.colorTable(given))", name))
    ours = table.reshape(256, 3)
    code = getattr(cv2, f"COLORMAP_{name.upper()}")
    theirs = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], code)[:, 0, ::-1].astype(int)
    assert np.abs(ours - theirs).max() <= 7
    lightness = cv2.cvtColor(ours[None].astype(np.uint8), cv2.COLOR_RGB2LAB)[0, :, 0].astype(int)
    grows = bool((np.diff(lightness) >= -1).all())
    assert grows == (name != "jet"), "more evidence must look lighter all the way, except in jet"


def test_contours_of_a_cone_are_circles(browser_page: "Page") -> None:
    y, x = np.mgrid[:80, :80] + 0.5
    cone = 1 - np.hypot(x - 40, y - 40) / 40
    given = {"values": cone.ravel().tolist(), "width": 80, "height": 80}
    segments = call(browser_page, ("colormaps.js", "evidence.js"), "lib.contourSegments(given, 0.5)", given)
    ends = np.array(segments).reshape(-1, 2)
    np.testing.assert_allclose(np.hypot(*(ends - 0.5).T), 0.25, atol=0.002)


def test_zoom_keeps_a_point_and_stops_in_time(browser_page: "Page") -> None:
    expression = """(() => {
        const [image, pane] = [{ width: 3000, height: 2500 }, { left: 400, top: 0, width: 400, height: 600 }];
        let view = lib.fitView(image, pane);
        const point = { x: 530, y: 210 };
        const before = lib.toImage(view, pane, point);
        for (const factor of [1.3, 2.1, 0.9]) view = lib.zoomAt(view, image, pane, point, factor);
        const after = lib.toImage(view, pane, point);
        const ends = [1e9, 1e-9].map((factor) => lib.zoomAt(view, image, pane, point, factor).scale);
        return [before.x - after.x, before.y - after.y, ...ends];
    })()"""
    dx, dy, most, least = call(browser_page, ("geometry.js",), expression)
    assert (dx, dy) == pytest.approx((0, 0), abs=1e-6)
    assert most == 32
    assert least == pytest.approx(400 / 3000 / 4)
