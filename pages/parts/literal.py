"""Names and sentences that hold names, such as those of tables from elsewhere, shown as they are written."""

from __future__ import annotations

import re
from typing import Final

#: What Streamlit's Markdown takes for more than a character: emphasis, code, links, formulas, HTML, icons, colours.
_MEANT: Final = re.compile(r"([\\`*_\[\]<>$~:#|])")


def literal(text: str) -> str:
    """Markdown that shows `text` itself."""
    return _MEANT.sub(r"\\\1", text)
