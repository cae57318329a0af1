"""Data: which folder, what is in it, how it splits, and what to know about it before training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from lungassist.classes import spoken
from lungassist.dataset import DatasetIndex, index_folder, public_sentence
from lungassist.errors import DatasetError, LungAssistError
from lungassist.experiments.folders import below_root, chosen_folder, data_folders
from lungassist.experiments.overview import class_table, contact_sheet, some_of, split_counts
from lungassist.experiments.reading import Wanted
from pages.parts import session
from pages.parts import training_state as state
from pages.parts.metadata_choice import choose_metadata
from pages.parts.training_audit import begin_reading, show_audit, show_caches
from pages.parts.training_fields import field

_SAMPLES = 6


@dataclass(frozen=True, slots=True)
class Data:
    """What was chosen: a folder that holds a data set, and its images by (class, split)."""

    folder: Path
    metadata: Path | None
    index: DatasetIndex
    splits: dict[tuple[str, str], int]

    def images(self, split: str) -> int:
        """Of a split."""
        return sum(count for (_, name), count in self.splits.items() if name == split)


def choose_data() -> Data | None:
    """Show the choice and what was chosen; None where there is nothing that can be trained on."""
    st.subheader("Data", anchor=False)
    folders = _folders(state.roots())
    if not folders and not st.session_state.get("training_folder"):
        _how_to_get_data()
    chosen = _choose_folder(folders)
    if chosen is None:
        return None
    folder, metadata = chosen
    try:
        index = _index(str(folder), str(metadata) if metadata else None)
    except LungAssistError as error:
        st.error(str(error), icon=":material/folder_off:")
        return None
    return _look(Data(folder, metadata, index, {}))


def _choose_folder(folders: list[str]) -> tuple[Path, Path | None] | None:
    left, right = st.columns(2)
    typed = st.session_state.get("training_folder")
    text = left.selectbox(
        "Folder",
        folders if typed is None or typed in folders else [*folders, typed],
        index=0 if folders else None,
        format_func=_below_root,
        accept_new_options=True,
        placeholder="Path of a folder below the roots",
        key="training_folder",
        persist_state="session",
        help="With a folder of images per class in it: `CLASS/images/*` as the public database has, or `CLASS/*`. "
        "Choose, or type a path below " + ", ".join(f"`{root}`" for root in state.roots()) + ".",
    )
    if not text:
        return None
    try:
        folder = chosen_folder(text, session.settings())
    except LungAssistError as error:
        st.error(str(error), icon=":material/folder_off:")
        return None
    metadata = choose_metadata(
        right,
        folder,
        key="training_metadata",
        none="None: every image is its own patient",
        help="`patient_id`, `source` or more. With patient ids a patient's images are kept in one split.",
    )
    return folder, metadata


def _look(data: Data) -> Data:
    index = data.index
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        method = field("split")
        seed = field("split_seed")
        together = field("duplicates_together")
    wanted = Wanted(
        data.folder,
        data.metadata,
        size=st.session_state["recipe_size"],
        enhancement=st.session_state["recipe_enhancement"],
        split=method,
        seed=seed,
        duplicates_together=together,
    )
    table, notes = st.container(), st.container()
    reading = begin_reading(wanted, len(index.table))
    audit = reading.result if reading else None
    try:
        splits = dict(split_counts(index, method, seed))
    except LungAssistError as error:
        st.error(str(error), icon=":material/call_split:")
        splits = {}
    if reading is not None and isinstance(reading.error, DatasetError):
        splits = {}  # a run would end of the same; the audit's place says of what
    if audit is not None:
        splits = {(label, name): n for name, row in audit.per_split.items() for label, n in row.items()}
    _table(index, splits, table)
    _notes(index, notes)
    with st.expander("Sample images", icon=":material/photo_library:"):
        _samples(index)
    show_audit(reading, wanted, len(index.table))
    show_caches()
    return Data(data.folder, data.metadata, index, splits)


def _table(index: DatasetIndex, splits: dict[tuple[str, str], int], place: st.delta_generator.DeltaGenerator) -> None:
    rows = class_table(index, splits)
    rows["class"] = rows["class"].map(spoken)
    place.dataframe(
        rows,
        hide_index=True,
        column_config={
            "class": st.column_config.TextColumn("Class", width="medium"),
            "images": st.column_config.NumberColumn("Images", format="localized"),
            "public": st.column_config.NumberColumn(
                "In the public database", format="localized", help="The complete COVID-19 Radiography Database."
            ),
            "train": st.column_config.NumberColumn("Train", format="localized"),
            "validation": st.column_config.NumberColumn("Validation", format="localized"),
            "test": st.column_config.NumberColumn("Test", format="localized"),
        },
        alt="Images a class, in the public database, and in each split",
    )


def _notes(index: DatasetIndex, place: st.delta_generator.DeltaGenerator) -> None:
    read_as = ", ".join(f"`{folder}` as {spoken(label)}" for folder, label in index.taken_for.items())
    first = public_sentence(index).partition(". ")[0].rstrip(".")  # the table says the rest
    place.caption(f"{first}. Folders were read: {read_as}.")
    for note in index.notes:
        place.caption(f":material/info: {note}")


def _samples(index: DatasetIndex) -> None:
    for label in index.classes:
        files = some_of(index, label, _SAMPLES)
        st.caption(spoken(label))
        st.image(_sheet(str(index.root), tuple(files)), width="stretch", alt=f"{len(files)} images of {spoken(label)}")


@st.cache_data(max_entries=64, ttl="1h", show_spinner=False)
def _sheet(root: str, files: tuple[str, ...]) -> bytes:
    return contact_sheet(Path(root), list(files), session.settings(), across=_SAMPLES)


@st.cache_data(ttl=15, show_spinner=False)
def _folders(roots: tuple[str, ...]) -> list[str]:
    del roots  # they say whose folders these are
    return [str(path) for path in data_folders(session.settings())]


@st.cache_resource(ttl=60, max_entries=8, show_spinner="Listing the images…")
def _index(folder: str, metadata: str | None) -> DatasetIndex:
    return index_folder(Path(folder), Path(metadata) if metadata else None)


def _below_root(text: str) -> str:
    """A path as short as it is still clear."""
    return below_root(text, session.settings().data_roots)


def _how_to_get_data() -> None:
    st.info(
        "There is no data set yet below " + ", ".join(f"`{root}`" for root in state.roots()) + ". Unpack one there, "
        "such as the public COVID-19 Radiography Database: a folder per class with images in it. To train on folders "
        "elsewhere, start the app with `LUNGASSIST_DATA_ROOTS` naming them.",
        icon=":material/folder_open:",
    )
