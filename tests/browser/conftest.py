"""A served Streamlit script and a real browser to look at it, for every test in this folder."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from viewer_driver import Driver

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

ROOT = Path(__file__).resolve().parents[2]

#: Seconds until a server must answer: a cold start on a busy machine imports for a while.
START_LIMIT = 90.0

Serve = Callable[..., str]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _start(script: Path, port: int, env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    options = {
        "server.headless": "true",
        "server.address": "127.0.0.1",
        "server.port": str(port),
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    # Streamlit puts the script's own folder on the path, not the repository.
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(script), *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, **env},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _await_health(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline and server.poll() is None:
        if _is_healthy(url):
            return
        time.sleep(0.2)
    pytest.fail(f"The server did not answer at {url}:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Return `serve(script, env=None, *, fresh=False) -> url`; the same script and environment share a server.

    `fresh` starts another server even so, for tests that leave something behind.
    """
    servers: list[subprocess.Popen[bytes]] = []
    urls: dict[tuple[Path, tuple[tuple[str, str], ...]], str] = {}

    def start(script: Path | str, env: Mapping[str, str] | None = None, *, fresh: bool = False) -> str:
        name = (Path(script).resolve(), tuple(sorted((env or {}).items())))
        if name in urls and not fresh:
            return urls[name]
        port, log = _free_port(), tmp_path_factory.mktemp("server") / "log.txt"
        server = _start(name[0], port, env or {}, log)
        servers.append(server)
        urls[name] = f"http://127.0.0.1:{port}"
        _await_health(urls[name], server, log)
        return urls[name]

    yield start
    for server in servers:
        server.terminate()
    for server in servers:
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    """A headless Chromium of the operating system, or a skip that says why not."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("Chromium is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: "Browser") -> Iterator[Callable[..., "Page"]]:
    """Return `open_page(**options) -> page` in a context of its own; options are those of `Browser.new_context`.

    Pages reach loopback only. What they wanted elsewhere is in `page.outside`, and a test may insist on none.
    """
    contexts: list[BrowserContext] = []

    def new(**options: object) -> "Page":
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 1000}, **options})
        contexts.append(context)
        page = context.new_page()
        page.outside = []
        page.set_default_timeout(20_000)
        page.route(lambda url: not _is_local(url), lambda route: _refuse(page, route))
        return page

    yield new
    for context in contexts:
        context.close()


@pytest.fixture
def browser_page(open_page: Callable[..., "Page"]) -> "Page":
    """A page of 1280 x 1000 in the light theme."""
    return open_page()


def _is_local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"data", "blob"} or parts.hostname in {"127.0.0.1", "localhost"}


def _refuse(page: "Page", route: "Route") -> None:
    page.outside.append(route.request.url)
    route.abort()


@pytest.fixture
def show_viewer(open_page: Callable[..., "Page"], serve: Serve) -> Callable[..., Driver]:
    """Return `show_viewer(query, **context options) -> Driver` for the page of `viewer_app.py`."""
    url = serve(Path(__file__).with_name("viewer_app.py"))
    return lambda query="", **options: Driver(open_page(**options), f"{url}/?{query}")


@pytest.fixture
def viewer(show_viewer: Callable[..., Driver]) -> Driver:
    """The chest of 600 x 500 at 8 bits."""
    return show_viewer()
