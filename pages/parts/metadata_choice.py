"""Which table goes with a folder of images."""

from __future__ import annotations

from pathlib import Path

from streamlit.delta_generator import DeltaGenerator

from lungassist.experiments.folders import metadata_files, names_images
from lungassist.experiments.split_files import is_split_file
from pages.parts import session


def choose_metadata(place: DeltaGenerator, folder: Path, *, key: str, none: str, help: str) -> Path | None:
    """Show the choice, with the first table that names the folder's images chosen; None where none is.

    Args:
        place: where it is shown.
        folder: of the images.
        key: of the widget, to which the folder is added: another folder, another choice.
        none: what is said of having no table.
        help: what a table is for, after where one is looked for.
    """
    tables = [path for path in metadata_files(folder, session.settings()) if not is_split_file(path)]
    fitting = bool(tables) and bool(names_images(tables[0], folder))  # those that name its images come first
    text = place.selectbox(
        "Metadata (optional)",
        ["", *map(str, tables)],
        index=1 if fitting else 0,
        format_func=lambda text: Path(text).name if text else none,
        key=f"{key} {folder}",
        persist_state="session",
        help=f"A CSV in the folder or beside it with a column `file`, and {help}",
    )
    return Path(text) if text else None
