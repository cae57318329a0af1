"""The training page as a person uses it: launched, the app restarted meanwhile, done, promoted, triaged with."""

from __future__ import annotations

import itertools
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
import pytest

from lungassist.jobs import JobBoard
from lungassist.phantom import phantom_png
from lungassist.settings import Settings
from tests.browser.own_places import environment_of, own_places
from tests.tiny import save_tiny_model

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

APP = Path(__file__).resolve().parents[2] / "streamlit_app.py"

#: Milliseconds. A job runs niced, and the machine may be busy with something else.
PATIENCE = 600_000
#: For the page itself, on a machine whose cores are busy with the job and with everything else.
PAUSE = 120_000

_A_CLASS = 24


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Settings]:
    """A home, a root for data and a shelf of their own; what still runs at the end is stopped."""
    save_tiny_model(tmp_path / "weights" / "tiny")
    with own_places(tmp_path) as settings:
        yield settings


def launch_quick(page: Page, url: str, epochs: int) -> None:
    """Choose the preset and launch it; at the end the run is on the page."""
    page.set_default_timeout(PAUSE)
    page.goto(f"{url}/training")
    page.get_by_role("combobox", name="Preset").click()
    page.get_by_role("option", name="Quick", exact=True).click()
    field = page.get_by_role("spinbutton", name="Epochs")
    field.fill(str(epochs))
    field.press("Enter")
    page.get_by_text(f"{'1 epoch' if epochs == 1 else f'{epochs} epochs'} of").wait_for()
    page.get_by_role("button", name="Launch", exact=True).click()
    page.get_by_role("heading", name="1 · quick").wait_for()
    assert urlsplit(page.url).query == "job=1"


def promote_and_triage(page: Page, name: str, study: bytes) -> None:
    """Promote the run that is on the page, and triage a study with its model."""
    page.get_by_role("textbox", name="Name in weights/").fill(name)
    page.get_by_role("button", name="Promote", exact=True).click()
    page.get_by_text(f"In weights/ as {name}").wait_for()
    page.get_by_role("link", name="Triage").click()
    page.get_by_role("combobox", name="Model").wait_for()
    page.get_by_role("combobox", name="Model").click()
    page.get_by_role("option", name=name).click()
    page.set_input_files("input[type=file]", [{"name": "chest", "mimeType": "image/png", "buffer": study}])
    page.locator(".viewer[data-decoded='1']").wait_for()
    page.get_by_text(f"Model {name} 1.0").first.wait_for()


def kill(url: str) -> None:
    """End the server behind a URL as a crash would."""
    port = str(urlsplit(url).port)
    # What other tests started and ended may still be on the list; it has no command line any more.
    alive = (child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE)
    (server,) = (child for child in alive if port in child.cmdline())
    server.kill()
    server.wait()


def done(page: Page) -> None:
    """Wait until the run on the page is done."""
    page.get_by_role("button", name="Promote", exact=True).wait_for(timeout=PATIENCE)


def test_a_run_outlives_the_app_is_promoted_and_triaged_with(
    places: Settings, films: Path, serve: Callable[..., str], browser_page: Page
) -> None:
    shutil.copytree(films, places.data_roots[0] / "films")
    first = serve(APP, environment_of(places), fresh=True)
    launch_quick(browser_page, first, epochs=20)
    browser_page.get_by_text(re.compile(r"Epoch \d+ of 20")).first.wait_for(timeout=PATIENCE)
    kill(first)
    (job,) = JobBoard.open(places).jobs()
    assert job.state == "running"
    assert job.pid is not None and psutil.pid_exists(job.pid)
    second = serve(APP, environment_of(places), fresh=True)
    browser_page.goto(f"{second}/training?job=1")
    browser_page.get_by_role("heading", name="1 · quick").wait_for()
    browser_page.get_by_text("no medical device", exact=True).wait_for()
    done(browser_page)
    browser_page.get_by_text("Over-fitting gap after epoch 20").wait_for()
    promote_and_triage(browser_page, "from-films", phantom_png("Normal", 3, 256))
    assert browser_page.outside == []


@pytest.mark.xrays
def test_quick_on_real_x_rays(places: Settings, xrays: Path, serve: Callable[..., str], browser_page: Page) -> None:
    folder = places.data_roots[0] / "database"
    image = unpack(xrays / "cxr4-0.tar", folder)
    url = serve(APP, environment_of(places), fresh=True)
    launch_quick(browser_page, url, epochs=1)
    done(browser_page)
    promote_and_triage(browser_page, "from-x-rays", image.read_bytes())


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack the first images of every class; returns one of them."""
    if not archive.is_file():
        pytest.skip(f"there is no {archive}")
    with tarfile.open(archive) as tar:
        members = sorted((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.name.split("/")[-3])
        for _, of_class in itertools.groupby(members, key=lambda m: m.name.split("/")[-3]):
            for member in itertools.islice(of_class, _A_CLASS):
                place = folder.joinpath(*member.name.split("/")[-3:])
                place.parent.mkdir(parents=True, exist_ok=True)
                data = tar.extractfile(member)
                assert data is not None
                place.write_bytes(data.read())
    return place
