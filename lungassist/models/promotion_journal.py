"""The history of a shelf's promotions: what was put there, what it replaced, how far it came."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from lungassist.errors import WeightsError
from lungassist.files import write_json

JOURNAL_FILE: Final = ".promotions.json"
_FORMAT: Final = 1

BEGUN: Final = "begun"
DONE: Final = "done"
UNDOING: Final = "undoing"
UNDONE: Final = "undone"


@dataclass(frozen=True, slots=True)
class Promotion:
    """One promotion.

    Attributes:
        name, version, weights_sha256: of the model; name and version together are never used twice.
        source: the folder that it was copied from.
        when: ISO 8601, UTC.
        replaced: the folder below `weights/.previous` that holds what had the name before; None if nothing had.
        default_before, default_after: content of `weights/DEFAULT`; None where there was no such file.
        state: begun, done, undoing (being taken back) or undone (taken back).
        taken_back: the folder below `weights/.previous` where the model is after it was taken back.
    """

    name: str
    version: str
    weights_sha256: str
    source: str
    when: str
    replaced: str | None
    default_before: str | None
    default_after: str | None
    state: str
    taken_back: str | None = None

    @property
    def is_undone(self) -> bool:
        """Whether it was taken back."""
        return self.state in (UNDOING, UNDONE)


def read_journal(weights_dir: Path) -> list[Promotion]:
    """All promotions, the oldest first; none where there is no history.

    Raises:
        WeightsError: the history cannot be read.
    """
    path = weights_dir / JOURNAL_FILE
    known = {entry.name for entry in fields(Promotion)}
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != _FORMAT:
            raise ValueError(f"format {values['format']} is of another version of LungAssist")
        return [Promotion(**{key: entry[key] for key in known}) for entry in values["promotions"]]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(
            f"The history of promotions in {path} cannot be read ({error}). Move the file away to begin a new one; "
            "replaced models are in .previous beside it."
        ) from error


def write_journal(weights_dir: Path, history: list[Promotion]) -> None:
    """Write all promotions, atomically."""
    write_json(weights_dir / JOURNAL_FILE, {"format": _FORMAT, "promotions": [asdict(entry) for entry in history]})
