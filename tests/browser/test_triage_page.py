"""The triage page as a reader uses it: a real browser, a real upload, the heat map seen, the results taken away."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from viewer_driver import NEXT_FRAMES, Picture, decode, is_grey

from lungassist.phantom import phantom_dicom, phantom_png
from tests.tiny import save_tiny_model

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser

APP = Path(__file__).resolve().parents[2] / "streamlit_app.py"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    weights = tmp_path_factory.mktemp("weights")
    save_tiny_model(weights / "tiny")
    save_tiny_model(weights / "other", seed=1)
    return weights


@pytest.fixture
def triage(shelf: Path, serve: Callable[..., str], browser_page: Page) -> Page:
    """The page with the welcome on it."""
    browser_page.goto(serve(APP, {"LUNGASSIST_WEIGHTS": str(shelf)}))
    browser_page.get_by_role("button", name="Load synthetic phantoms").wait_for(timeout=60_000)
    return browser_page


def upload(page: Page, *files: tuple[str, bytes]) -> None:
    payloads = [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files]
    page.set_input_files("input[type=file]", payloads)


def saved(page: Page, button: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button).click()
    return Path(waiting.value.path()).read_bytes()


def test_an_upload_is_classified_shown_and_taken_away(triage: Page) -> None:
    upload(triage, ("chest.png", phantom_png("COVID", 5, 512)))
    triage.locator(".viewer[data-decoded='1']").wait_for(timeout=60_000)
    overlay = np.asarray(Image.open(io.BytesIO(saved(triage, "Overlay (PNG)"))))
    assert overlay.shape[1:] == (512, 3)
    assert overlay[512:].min() < 100, "a line below the picture says what it is"
    result = json.loads(saved(triage, "Result (JSON)"))
    assert result["file"] == "chest.png"
    assert result["model"] in ("tiny", "other")
    assert sum(result["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    rows = saved(triage, "Batch (CSV)").decode().splitlines()
    assert len(rows) == 2
    assert rows[1].startswith(f"chest.png,{result['sha256']}")
    assert triage.outside == []


def test_the_heat_map_is_seen_and_can_be_switched_off(triage: Page) -> None:
    upload(triage, ("chest", phantom_dicom("Viral Pneumonia", 11)))
    canvas = triage.locator(".viewer canvas")
    triage.locator(".viewer[data-decoded='1']").wait_for(timeout=60_000)
    assert not is_grey(painted(canvas))
    canvas.focus()
    triage.keyboard.press("h")
    assert is_grey(painted(canvas))


def painted(canvas: Locator) -> Picture:
    canvas.page.evaluate(NEXT_FRAMES)
    address: str = canvas.evaluate("canvas => canvas.toDataURL('image/png')")
    return decode(base64.b64decode(address.split(",")[1]))


def test_a_batch_with_bad_files_goes_through_and_shows_no_traceback(triage: Page) -> None:
    upload(triage, ("a.png", phantom_png("Normal", 1, 256)), ("broken.png", b"\x89PNG\r\n\x1a\nno"), ("t.txt", b"hi"))
    triage.locator("canvas").first.wait_for(timeout=60_000)
    rows = saved(triage, "Batch (CSV)").decode()
    assert rows.count("\n") == 4
    assert "broken.png" in rows
    assert "Traceback" not in triage.content()


def test_two_models_side_by_side(triage: Page) -> None:
    upload(triage, ("chest.png", phantom_png("COVID", 5, 256)))
    triage.locator("canvas").first.wait_for(timeout=60_000)
    triage.get_by_role("combobox", name="Compare with").click()
    triage.keyboard.press("Enter")
    triage.get_by_text("The same study through several models").wait_for()
    triage.get_by_alt_text("Heat map of").nth(1).wait_for()


def select_row(page: Page, row: int) -> None:
    """Click the circle before a row of the list, as a reader does."""
    grid = page.get_by_test_id("stDataFrame").first.locator("canvas").first
    grid.scroll_into_view_if_needed()
    box = grid.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 17, box["y"] + 36 + 35 * row + 17)


def film_of(page: Page) -> str:
    """The study's name that stands beside the film, once a rerun has come to its end."""
    page.wait_for_timeout(500)
    page.locator("[data-test-script-state=notRunning]").wait_for()
    return page.get_by_test_id("stText").first.inner_text()


def test_a_study_stays_selected_whatever_moves_it_to_another_row(triage: Page) -> None:
    names = [f"{kind}_*a*.png" for kind in ("COVID", "Normal", "Lung_Opacity")]
    upload(triage, *((name, phantom_png(name.split("_*")[0], 5, 256)) for name in names))
    triage.locator(".viewer[data-decoded='1']").wait_for(timeout=60_000)
    triage.get_by_role("radio", name="As uploaded").click()
    select_row(triage, 2)
    triage.locator(".viewer[data-decoded='2']").wait_for()
    assert film_of(triage) == names[2], "the name is no Markdown"
    for change in ("Most urgent first", "As uploaded"):
        triage.get_by_role("radio", name=change).click()
        assert film_of(triage) == names[2]
    upload(triage, ("one more.png", phantom_png("Viral Pneumonia", 2, 256)))
    triage.get_by_text("one more.png").first.wait_for()
    assert film_of(triage) == names[2]
    triage.get_by_role("button", name=f"Remove {names[0]}").click()
    triage.get_by_role("button", name=f"Remove {names[0]}").wait_for(state="detached")
    assert film_of(triage) == names[2]
    triage.get_by_role("combobox", name="Model").click()
    triage.get_by_role("option", name="other").click()
    triage.get_by_text("Model other 1.0").wait_for()
    assert film_of(triage) == names[2]
    result = json.loads(saved(triage, "Result (JSON)"))
    assert (result["file"], result["model"]) == (names[2], "other")
    triage.get_by_role("button", name=f"Remove {names[2]}").click()
    triage.get_by_role("button", name=f"Remove {names[2]}").wait_for(state="detached")
    assert film_of(triage) == names[1], "the first of those that are left"


def test_a_keyboard_goes_through_the_list_and_the_table_agrees(triage: Page) -> None:
    upload(triage, *((f"{kind}.png", phantom_png(kind, 5, 256)) for kind in ("COVID", "Normal", "Lung_Opacity")))
    triage.locator(".viewer[data-decoded='1']").wait_for(timeout=60_000)
    triage.get_by_role("radio", name="As uploaded").click()
    assert film_of(triage) in ("COVID.png", "Normal.png", "Lung_Opacity.png")
    select_row(triage, 0)
    film_of(triage)
    triage.get_by_role("button", name="Next").focus()
    triage.keyboard.press("Enter")
    assert film_of(triage) == "Normal.png"
    triage.locator("[role=row][aria-selected=true]", has_text="Normal.png").wait_for(state="attached")
    triage.get_by_role("combobox", name="Study").focus()
    triage.keyboard.type("Lung")
    triage.get_by_role("option", name="3. Lung_Opacity.png").wait_for()
    triage.keyboard.press("Enter")
    assert film_of(triage) == "Lung_Opacity.png"
    triage.locator("[role=row][aria-selected=true]", has_text="Lung_Opacity.png").wait_for(state="attached")
    select_row(triage, 0)
    assert film_of(triage) == "COVID.png"
    assert triage.get_by_role("combobox", name="Study").input_value() == "1. COVID.png"
    assert triage.get_by_role("heading", level=1).inner_text() == "Triage"


def test_the_list_itself_offers_no_download_without_model_and_version(triage: Page) -> None:
    upload(triage, ("chest.png", phantom_png("COVID", 5, 256)))
    triage.locator(".viewer[data-decoded='1']").wait_for(timeout=60_000)
    triage.get_by_test_id("stDataFrame").hover()
    triage.get_by_role("button", name="Search").wait_for()
    assert not triage.get_by_role("button", name="Download as CSV").is_visible()


@pytest.mark.parametrize(("height", "rows"), [(720, 5), (1000, 8)])
def test_a_higher_window_shows_more_of_the_list(
    shelf: Path, serve: Callable[..., str], open_page: Callable[..., Page], height: int, rows: int
) -> None:
    page = open_page(viewport={"width": 1280, "height": height})
    page.goto(serve(APP, {"LUNGASSIST_WEIGHTS": str(shelf)}))
    page.get_by_role("button", name="Load synthetic phantoms").wait_for(timeout=60_000)
    upload(page, *((f"{number}.png", phantom_png("Normal", number, 128)) for number in range(12)))
    page.locator(".viewer[data-decoded='1']").wait_for(timeout=60_000)
    box = page.get_by_test_id("stDataFrame").bounding_box()
    assert box is not None
    assert int((box["height"] - 36) // 35) == rows


def test_studies_that_a_stem_would_not_tell_apart_are_saved_under_different_names(triage: Page) -> None:
    names = ("1.2.840.10008.1.1", "1.2.840.10008.1.2")
    upload(triage, *((name, phantom_dicom("COVID", seed)) for seed, name in enumerate(names)))
    triage.locator(".viewer[data-decoded='1']").wait_for(timeout=60_000)
    kept = []
    for step in ("", "Next"):
        if step:
            triage.get_by_role("button", name=step).click()
            triage.locator(".viewer[data-decoded='2']").wait_for()
            film_of(triage)
        for button in ("Overlay (PNG)", "Result (JSON)"):
            with triage.expect_download() as waiting:
                triage.get_by_role("button", name=button).click()
            kept.append(waiting.value.suggested_filename)
    assert len(set(kept)) == 4, kept
    assert all(name.startswith("1_2_840_10008_1_") for name in kept)


#: Contrast of an element's text with what lies behind it, WCAG 2.2; colours may be mixed by opacity.
CONTRAST = """element => {
    const rgb = text => text.match(/[0-9.]+/g).map(Number);
    const light = parts => parts.slice(0, 3).map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const style = getComputedStyle(element);
    let behind = element, share = 1;
    for (let each = element; each; each = each.parentElement) share *= Number(getComputedStyle(each).opacity);
    while (rgb(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
    const back = rgb(getComputedStyle(behind).backgroundColor);
    const own = rgb(element instanceof SVGElement ? style.fill : style.color);
    const alpha = share * (own[3] ?? 1);
    const [a, b] = [light(own.slice(0, 3).map((v, i) => v * alpha + back[i] * (1 - alpha))), light(back)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_small_print_and_bars_have_contrast_enough_to_be_read(
    shelf: Path, serve: Callable[..., str], open_page: Callable[..., Page], scheme: str
) -> None:
    page = open_page(color_scheme=scheme)
    page.goto(serve(APP, {"LUNGASSIST_WEIGHTS": str(shelf)}))
    page.get_by_role("button", name="Load synthetic phantoms").click()
    page.locator(".ytick text").first.wait_for(timeout=60_000)
    film_of(page)
    for what, least in (("[data-testid=stCaptionContainer] p", 5), (".ytick text", 4), (".bartext", 4)):
        found = page.locator(what)
        assert found.count() >= least
        assert min(found.nth(n).evaluate(CONTRAST) for n in range(found.count())) >= 4.5, what
