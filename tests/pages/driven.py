"""The application in Streamlit's own test driver."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from streamlit.testing.v1 import AppTest

APP: Final = Path(__file__).resolve().parents[2] / "streamlit_app.py"

_WORDS: Final = ("markdown", "caption", "error", "warning", "info", "success", "subheader", "code", "toast")


def opened_at(page: str, *, timeout: float = 60, **address: str | list[str]) -> AppTest:
    """The application at `pages/PAGE.py`, with what an address says behind its question mark."""
    app = AppTest.from_file(str(APP), default_timeout=timeout).run().switch_page(f"pages/{page}.py")
    for name, value in address.items():
        app.query_params[name] = value
    return shown(app.run())


def shown(app: AppTest) -> AppTest:
    """The page, which must not have failed."""
    assert not app.exception
    return app


def text(app: AppTest) -> str:
    """All that it says in words."""
    return " ".join(str(element.value) for kind in _WORDS for element in app.get(kind))
