"""A pickle that nobody should open."""

from __future__ import annotations

import os
from pathlib import Path


class Harmful:
    """Unpickled, it writes a file: the mark that code was executed."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch '{self.mark}'",)
