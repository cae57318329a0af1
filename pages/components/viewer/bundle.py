"""Joins the viewer's JavaScript modules into the one script that Streamlit loads."""

import re
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent

#: In the order of their imports. The last one has the default export.
MODULES: Final = (
    "colormaps.js",
    "geometry.js",
    "pixels.js",
    "evidence.js",
    "payload.js",
    "memory.js",
    "drawing.js",
    "saving.js",
    "panel.js",
    "controls.js",
    "gestures.js",
    "viewer.js",
)

_IMPORT = re.compile(r"^import\s[^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def read_asset(name: str) -> str:
    """Return one of the viewer's files as text."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def script() -> str:
    """Return all modules as one: imports dropped, and no export but the default one.

    The files stay real ES modules, so that an editor follows them and a test can load one alone. In the
    browser a component's script has no address of its own, and so could not import its neighbours.
    """
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", read_asset(name))) for name in MODULES)


def library(*names: str) -> str:
    """Return the named modules joined with their exports kept, for tests of pure functions in a browser."""
    return "\n".join(_IMPORT.sub("", read_asset(name)) for name in names)
