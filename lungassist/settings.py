"""What an installation may set, read from the environment once and passed on as one frozen record."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lungassist.errors import UsageError

_ROOT = Path(__file__).resolve().parent.parent


#: Above all that a machine holds, and below what a number in memory holds.
_MANY: Final = 10**15


def _number(name: str, default: int, smallest: int, largest: int = _MANY) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        value = smallest - 1
    if not smallest <= value <= largest:
        raise UsageError(f"{name} must be a whole number from {smallest:,} to {largest:,}; it is {text[:40]!r}.")
    return value


def _folder(name: str, text: str) -> Path:
    """The folder that the variable `name` means: a shell leaves `~` as it is after a colon and within quotes."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"{name}: {text!r} begins with the home of a user who is not known here. Write the whole path."
        ) from error


def _home() -> Path:
    if named := os.environ.get("LUNGASSIST_HOME"):
        return _folder("LUNGASSIST_HOME", named).resolve()
    return _folder("LUNGASSIST_HOME", os.environ.get("XDG_DATA_HOME") or "~/.local/share") / "lungassist"


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits and places.

    `default_model` triages unless another one is asked for, and `second_model`, where there is one, reads after it.
    `max_pixels` bounds the pixels an image may declare, `max_file_bytes` the bytes of a file or ZIP member,
    `max_archive_bytes` and `max_archive_members` what a ZIP may unpack to. `home` is the user's data folder: training
    runs, prepared images and, unless `database_url` names another, the database of jobs. Training data is chosen from
    below `data_roots` only.
    """

    weights_dir: Path
    default_model: str | None
    second_model: str | None
    max_pixels: int
    max_file_bytes: int
    max_archive_bytes: int
    max_archive_members: int
    batch_size: int
    home: Path
    data_roots: tuple[Path, ...]
    database_url: str

    @property
    def runs_dir(self) -> Path:
        """Where training runs go, a folder each."""
        return self.home / "runs"

    @property
    def evaluations_dir(self) -> Path:
        """Where tables of predictions go that an evaluation or a person made, a folder each."""
        return self.home / "evaluations"

    @property
    def cache_dir(self) -> Path:
        """Where prepared images lie, so that none is decoded twice."""
        return self.home / "cache"

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read `LUNGASSIST_*`; an unset variable keeps its default.

        Raises:
            UsageError: a number is not a whole number, too small or too large; a folder is in the home of nobody.
        """
        home = _home()
        named = os.environ.get("LUNGASSIST_DATA_ROOTS", "").split(os.pathsep)
        roots = [_folder("LUNGASSIST_DATA_ROOTS", root) for root in named if root]
        weights = os.environ.get("LUNGASSIST_WEIGHTS")
        return cls(
            weights_dir=_folder("LUNGASSIST_WEIGHTS", weights) if weights else _ROOT / "weights",
            default_model=os.environ.get("LUNGASSIST_MODEL") or None,
            second_model=os.environ.get("LUNGASSIST_SECOND_MODEL") or None,
            max_pixels=_number("LUNGASSIST_MAX_PIXELS", 100_000_000, 4096),
            max_file_bytes=_number("LUNGASSIST_MAX_FILE_BYTES", 400_000_000, 1024, 10**10),
            max_archive_bytes=_number("LUNGASSIST_MAX_ARCHIVE_BYTES", 4_000_000_000, 1024),
            max_archive_members=_number("LUNGASSIST_MAX_ARCHIVE_MEMBERS", 5000, 1),
            batch_size=_number("LUNGASSIST_BATCH_SIZE", 8, 1, 10**6),
            home=home,
            data_roots=tuple(roots) or (home / "datasets",),
            database_url=os.environ.get("LUNGASSIST_DATABASE_URL") or f"sqlite:///{home / 'lungassist.db'}",
        )
