"""Which tables of predictions there are to compare: of models on the shelf, of runs, of evaluations, and added ones."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Final

from lungassist.errors import PredictionsError
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.table_file import PARQUET
from lungassist.evaluation.tables import Predictions, read_tables
from lungassist.experiments.folders import data_folders
from lungassist.files import sha256_of, write_atomically
from lungassist.models.weights import PREDICTIONS_FILE, RECORDS
from lungassist.settings import Settings
from lungassist.training.progress import read_status

SHELF, RECORD, RUN, EVALUATION, ADDED = "shelf", "record", "run", "evaluation", "added"

#: Of what may be added.
SUFFIXES: Final = frozenset({".csv", *PARQUET})

#: Files of a table that are looked for in a folder before it counts as that of its images.
_SAMPLE: Final = 5
#: A run's folder begins with when it was made.
_STAMP: Final = re.compile(r"^\d{8}-\d{4,6}-")
_NAMED: Final = re.compile(r"[^\w.-]+")
#: Characters of a table's name; file systems take 255 bytes.
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Source:
    """A file with the predictions of one model or more.

    Attributes:
        name: what it is called on the page and in its address; no two sources share one.
        kind: `SHELF`, `RECORD` (evaluated, but without its weights), `RUN`, `EVALUATION` or `ADDED`.
        path: of the file.
        digest: SHA-256 of its bytes.
        run: the folder of the run that it is of, for its curves; None where that is not known.
    """

    name: str
    kind: str
    path: Path
    digest: str
    run: Path | None = None


def find_tables(settings: Settings) -> tuple[Source, ...]:
    """All tables, the shelf's first; a run whose very table is on the shelf lends that its curves."""
    found: dict[str, Source] = {}
    for kind, path in _places(settings):
        digest = _digest_of(path)
        run = path.parent.parent if kind == RUN else None
        if digest in found:
            if found[digest].run is None:
                found[digest] = replace(found[digest], run=run)
        elif digest:
            found[digest] = Source(_name(kind, path), kind, path, digest, run)
    return _named_apart(list(found.values()))


def compare(tables: Sequence[Predictions], split: str) -> tuple[Comparison | None, tuple[str, ...]]:
    """Put side by side what can stand so, and say of the others why they cannot.

    Args:
        tables: of one source or several.
        split: whose images are compared.

    Returns:
        The comparison of the tables that have the first one's classes and images of the split, None where there is
        none; and sentences on those left out.
    """
    problems: list[str] = []
    fitting: list[Predictions] = []
    for table in tables:
        try:
            Comparison.of([*fitting[:1], table], split=split)
        except PredictionsError as error:
            problems.append(str(error))
        else:
            fitting.append(table)
    return (Comparison.of(fitting, split=split) if fitting else None), tuple(problems)


def tables_of(source: Source) -> tuple[Predictions, ...]:
    """The models of a source; where it has only one, that is called as the source.

    Raises:
        PredictionsError: see `read_predictions`.
    """
    tables = read_tables([source.path])
    if len(tables) == 1:
        return (replace(tables[0], name=source.name),)
    return tuple(replace(table, name=f"{table.name} · {source.name}") for table in tables)


def add_table(name: str, data: bytes, settings: Settings) -> str:
    """Keep a table that was made elsewhere, so that everybody finds it; returns its name.

    Raises:
        PredictionsError: it breaks the schema of tables, or a table of that name was added before.
    """
    path = Path(name.replace("\\", "/"))
    stem, suffix = _NAMED.sub("-", path.stem)[:_LONGEST].strip("-.") or "table", path.suffix.lower()
    if suffix not in SUFFIXES:
        raise PredictionsError(f"{name} is no table: {', '.join(sorted(SUFFIXES))} were expected.")
    place = _added_folder(settings) / f"{stem}{suffix}"
    if place.exists() and sha256_of(place) != _digest_of_bytes(data):
        raise PredictionsError(f"There is another table named {stem}. Remove that one first, or rename the file.")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / place.name
        file.write_bytes(data)
        try:
            read_tables([file])
        except PredictionsError as error:
            raise PredictionsError(str(error).replace(f"{folder}/", "")) from error
    write_atomically(place, lambda temporary: temporary.write_bytes(data))
    return stem


def remove_table(source: Source) -> None:
    """Remove one that was added.

    Raises:
        PredictionsError: it was not added but made here.
    """
    if source.kind != ADDED:
        raise PredictionsError(f"{source.name} was made here; only tables that were added can be removed.")
    source.path.unlink(missing_ok=True)


def image_folder(files: Sequence[str], settings: Settings) -> Path | None:
    """The folder below the configured roots that the files of a table are in; None where there is none."""
    wanted = list(islice(files, _SAMPLE))
    folders = [*data_folders(settings), *settings.data_roots]
    return next((folder for folder in folders if wanted and all(image_path(folder, file) for file in wanted)), None)


def image_path(folder: Path, file: str) -> Path | None:
    """Where an image of a table is; None where it is not, or the table's name for it leads out of the folder."""
    try:
        path = (folder / file).resolve()
        return path if path.is_relative_to(folder.resolve()) and path.is_file() else None
    except (OSError, ValueError):
        return None


def _places(settings: Settings) -> Iterator[tuple[str, Path]]:
    yield from ((SHELF, path) for path in sorted(settings.weights_dir.glob(f"[!.]*/{PREDICTIONS_FILE}")))
    records = settings.weights_dir / RECORDS
    yield from ((RECORD, path) for path in sorted(records.glob(f"[!.]*/{PREDICTIONS_FILE}")))
    runs = sorted(settings.runs_dir.glob(f"[!.]*/model/{PREDICTIONS_FILE}"))
    yield from ((RUN, path) for path in runs if _is_done(path.parents[1]))
    added = _added_folder(settings)
    evaluations = (path for path in sorted(added.parent.rglob("*")) if path.suffix.lower() in SUFFIXES)
    for path in evaluations:
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(added.parent).parts):
            yield (ADDED if path.parent == added else EVALUATION), path


def _is_done(run: Path) -> bool:
    status = read_status(run)
    return status is not None and status.state == "done"


def _added_folder(settings: Settings) -> Path:
    return settings.evaluations_dir / "added"


def _name(kind: str, path: Path) -> str:
    if kind in {SHELF, RECORD}:
        return path.parent.name
    if kind == RUN:
        return f"{_STAMP.sub('', path.parents[1].name)} (run)"
    return path.stem if kind == ADDED or path.parent.name == "evaluations" else f"{path.stem} ({path.parent.name})"


def _named_apart(sources: list[Source]) -> tuple[Source, ...]:
    taken: dict[str, int] = {}
    result = []
    for source in sources:
        number = taken[source.name] = taken.get(source.name, 0) + 1
        result.append(source if number == 1 else replace(source, name=f"{source.name} {number}"))
    return tuple(result)


def _digest_of(path: Path) -> str:
    """Of a file's bytes; '' where it cannot be read."""
    try:
        status = path.stat()
        return _digest(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return ""


@lru_cache(maxsize=1024)
def _digest(path: Path, _changed: int, _size: int) -> str:
    return sha256_of(path)


def _digest_of_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
