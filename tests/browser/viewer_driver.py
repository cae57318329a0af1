"""A reader at the viewer of `viewer_app.py`: hands on mouse and keys, eyes on the canvas."""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

NEXT_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"

Picture = NDArray[np.uint8]


def decode(png: bytes) -> Picture:
    """Return `(H, W, 3)` RGB."""
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1], dtype=np.uint8)


class Driver:
    """A reader at the viewer of `viewer_app.py`."""

    def __init__(self, page: "Page", url: str) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(url)
        self.await_decoded(1)

    def await_decoded(self, times: int) -> None:
        self.root.and_(self.page.locator(f"[data-decoded='{times}']")).wait_for()
        self.settle()

    def settle(self) -> None:
        self.page.evaluate(NEXT_FRAMES)

    @property
    def root(self) -> "Locator":
        return self.page.locator(".viewer")

    @property
    def canvas(self) -> "Locator":
        return self.page.locator(".viewer canvas")

    @property
    def runs(self) -> int:
        text = self.page.get_by_text(re.compile(r"^runs: \d+$")).inner_text()
        return int(text.split()[-1])

    @property
    def window(self) -> str:
        return self.part("window")

    def part(self, name: str) -> str:
        return self.page.locator(f".viewer [data-part={name}]").inner_text()

    def snapshot(self) -> Picture:
        self.settle()
        address: str = self.canvas.evaluate("canvas => canvas.toDataURL('image/png')")
        return decode(base64.b64decode(address.split(",")[1]))

    def keys(self, *names: str) -> None:
        self.canvas.focus()
        for name in names:
            self.page.keyboard.press(name)
        self.settle()

    def drag(self, dx: float, dy: float, button: str = "left", start: tuple[float, float] = (0.5, 0.5)) -> None:
        box = self.canvas.bounding_box()
        assert box is not None
        x, y = box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"]
        self.page.mouse.move(x, y)
        self.page.mouse.down(button=button)
        self.page.mouse.move(x + dx / 2, y + dy / 2)
        self.page.mouse.move(x + dx, y + dy)
        self.page.mouse.up(button=button)
        self.settle()

    def wheel(self, x: float, y: float, delta: float) -> None:
        box = self.canvas.bounding_box()
        assert box is not None
        self.page.mouse.move(box["x"] + x, box["y"] + y)
        self.page.mouse.wheel(0, delta)
        self.page.wait_for_timeout(100)
        self.settle()

    def rerun(self, act: Callable[[], None]) -> None:
        before = self.runs
        act()
        self.page.get_by_text(f"runs: {before + 1}", exact=True).wait_for()
        self.page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
        self.page.wait_for_timeout(300)
        self.settle()

    def choose(self, option: str) -> None:
        self.rerun(lambda: self.page.get_by_test_id("stSidebar").get_by_text(option, exact=True).click())

    def saved(self) -> tuple[str, Picture]:
        with self.page.expect_download() as waiting:
            self.page.get_by_role("button", name="Save view").click()
        return waiting.value.suggested_filename, decode(Path(waiting.value.path()).read_bytes())


def extent(picture: Picture) -> tuple[int, int]:
    """Return the width and height of the box around everything that is not black."""
    rows, columns = np.nonzero(picture.max(axis=2) > 40)
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def is_grey(picture: Picture) -> bool:
    return bool((picture.max(axis=2) == picture.min(axis=2)).all())


def edge_column(picture: Picture) -> int:
    """Return where the step of the `step` study lies on the middle row."""
    row = picture[picture.shape[0] // 2, :, 0].astype(int)
    inside = np.nonzero(row > 40)[0]
    return int(inside[0] + np.argmax(np.abs(np.diff(row[inside[0] : inside[-1]]))))
