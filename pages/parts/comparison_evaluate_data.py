"""Which images to evaluate on, and what their folder holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from lungassist.classes import spoken
from lungassist.dataset import DatasetIndex, index_folder
from lungassist.errors import LungAssistError
from lungassist.experiments.folders import below_root, chosen_folder, data_folders
from lungassist.experiments.split_files import split_files
from pages.parts import session
from pages.parts.metadata_choice import choose_metadata

_FOLDER = "evaluate_folder"


@dataclass(frozen=True, slots=True)
class Images:
    """A folder of labelled images, and what goes with it."""

    folder: Path
    metadata: Path | None
    split_file: Path | None
    index: DatasetIndex


def choose_folder() -> str:
    """Show the choice of a folder; '' where there is none yet."""
    roots = session.settings().data_roots
    folders = _folders(tuple(map(str, roots)))
    typed = st.session_state.get(_FOLDER)
    text: str | None = st.selectbox(
        "Folder of images",
        folders if typed is None or typed in folders else [*folders, typed],
        index=0 if folders else None,
        format_func=lambda path: below_root(path, roots),
        accept_new_options=True,
        placeholder="Path of a folder below the roots",
        key=_FOLDER,
        persist_state="session",
        help="With a folder of images per class in it, `CLASS/images/*` or `CLASS/*`. Choose, or type a path below "
        + ", ".join(f"`{root}`" for root in roots)
        + " (LUNGASSIST_DATA_ROOTS).",
    )
    return text or ""


def choose_images(text: str) -> Images | None:
    """Show what goes with a folder; None where nothing was chosen that can be evaluated on."""
    if not text:
        st.caption(":material/folder_open: Choose a folder with images, or type the path of one.")
        return None
    try:
        folder = chosen_folder(text, session.settings())
        metadata, split_file = _files(folder)
        return Images(folder, metadata, split_file, _index(str(folder), str(metadata) if metadata else None))
    except LungAssistError as error:
        st.error(str(error), icon=":material/folder_off:")
        return None


def _files(folder: Path) -> tuple[Path | None, Path | None]:
    settings = session.settings()
    splits = split_files(folder, settings)
    left, right = st.columns(2)
    metadata = choose_metadata(
        left,
        folder,
        key="evaluate_metadata",
        none="None",
        help="`patient_id`, `source` or whatever the accuracy is to be looked at by.",
    )
    split = right.selectbox(
        "Split (optional)",
        ["", *map(str, splits)],
        format_func=lambda text: "/".join(Path(text).parts[-2:]) if text else "The model's own, else all test",
        key=f"evaluate_split {folder}",
        persist_state="session",
        help="A CSV with `file`, `label` and `split` in the folder or beside it, or the split of a run on this folder. "
        "Images that it does not name are left out. Without one, images that a model was trained with keep their "
        "split, and all others are test.",
    )
    return metadata, Path(split) if split else None


def show_content(images: Images) -> None:
    """Images a class, and how the folders were understood."""
    counts = images.index.table["label"].value_counts()
    classes = " · ".join(f"{spoken(label)} {counts[label]:,}" for label in images.index.classes)
    st.markdown(f"**{len(images.index.table):,} images**: {classes}")
    for note in images.index.notes:
        st.caption(f":material/info: {note}")


@st.cache_data(ttl=15, show_spinner=False)
def _folders(roots: tuple[str, ...]) -> list[str]:
    del roots  # they say whose folders these are
    return [str(path) for path in data_folders(session.settings())]


@st.cache_resource(ttl=15, max_entries=8, show_spinner="Listing the images…")
def _index(folder: str, metadata: str | None) -> DatasetIndex:
    return index_folder(Path(folder), Path(metadata) if metadata else None)
