"""Which CSVs of a folder say how its images are split."""

from __future__ import annotations

import csv
from pathlib import Path

from lungassist.errors import LungAssistError
from lungassist.experiments.folders import metadata_files
from lungassist.settings import Settings
from lungassist.training.run import RunDirectory


def split_files(folder: Path, settings: Settings) -> list[Path]:
    """CSVs with `file`, `label` and `split` in the folder or beside it, then the splits of runs on this folder."""
    here = [path for path in metadata_files(folder, settings) if is_split_file(path)]
    runs = sorted(settings.runs_dir.glob("[!.]*/split.csv"), reverse=True)
    return [*here, *(path for path in runs if _data_of(path.parent) == folder.resolve())]


def is_split_file(path: Path) -> bool:
    """Whether a CSV has the columns of a split file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return {"file", "label", "split"} <= set(next(csv.reader(file), []))
    except (OSError, ValueError, csv.Error):
        return False


def _data_of(run: Path) -> Path | None:
    try:
        return RunDirectory(run).config().data.resolve()
    except (LungAssistError, OSError):
        return None
