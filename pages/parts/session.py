"""What outlives a rerun: loaded models for everybody, the worklist for one browser session."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import streamlit as st

from lungassist.device import choose_device
from lungassist.imaging import Study, expand_upload
from lungassist.imaging.clutter import is_clutter
from lungassist.jobs import is_held
from lungassist.models.weights import ShelfEntry, choose_model, read_records, read_shelf
from lungassist.phantom import phantom_png
from lungassist.predict import Classifier
from lungassist.settings import Settings
from lungassist.worklist import Worklist

#: The one that torch calls `cuda`.
_TRIAGE_GPU = "gpu:0"

#: Keys of the session: the visit to the page that the uploaders belong to, the uploads that were in the list when it
#: began, and how often the list was cleared.
_VISIT, _KEPT, _CLEARED = "visit of the uploaders", "uploads kept", "times cleared"

PHANTOMS = (("Normal", 3), ("COVID", 5), ("Lung_Opacity", 7), ("Viral Pneumonia", 11))


def settings() -> Settings:
    """The installation's settings."""
    return Settings.from_environment()


def shelf() -> list[ShelfEntry]:
    """The models in `weights/`, read anew so that a promoted one is offered at once."""
    return read_shelf(settings().weights_dir)


def records() -> list[ShelfEntry]:
    """The models that were trained and judged, but are not here."""
    return read_records(settings().weights_dir)


def default_model() -> str:
    """The model that triage starts with: the one that the installation names, if it is usable.

    Raises:
        UsageError, WeightsError: there is no usable model at all, or weights/DEFAULT names none.
    """
    named = settings().default_model
    is_usable = any(entry.card and entry.name == named for entry in shelf())
    return choose_model(settings().weights_dir, named if is_usable else None)


def classifier(name: str) -> Classifier:
    """A loaded model, shared by all sessions; a retrained one of the same name is loaded afresh."""
    folder = settings().weights_dir / name
    return _classifier(str(folder), (folder / "card.json").stat().st_mtime_ns, device())


def device() -> str:
    """What triage computes on: the GPU if there is one, unless a job holds it."""
    wanted = choose_device("auto").type
    return "cpu" if wanted == "cuda" and is_held(_TRIAGE_GPU, settings()) else wanted


@st.cache_resource(show_spinner="Loading the model…", max_entries=6)
def _classifier(folder: str, changed: int, on: str) -> Classifier:
    del changed  # it is part of the key
    return Classifier.load(Path(folder), choose_device(on))


def worklist() -> Worklist:
    """This browser session's studies."""
    if "worklist" not in st.session_state:
        st.session_state["worklist"] = Worklist()
    found: Worklist = st.session_state["worklist"]
    return found


def take_uploads(uploads: list[st.runtime.uploaded_file_manager.UploadedFile]) -> int:
    """Bring the worklist in step with the uploaders; what is in it already stays as it is.

    A file that is removed from its uploader leaves the list. Streamlit empties every uploader when its page is left,
    which is no removal: what the list holds when the page is opened again stays until the list is cleared.

    Returns:
        How many studies stay whose uploader is empty.
    """
    here = worklist()
    present = {upload.file_id for upload in uploads}
    visit = st.session_state.get("visit", 0)
    if st.session_state.get(_VISIT) != visit:
        st.session_state[_VISIT], st.session_state[_KEPT] = visit, uploaded_groups()
    kept = st.session_state[_KEPT]
    here.drop(uploaded_groups() - present - kept)
    known = here.groups()
    for upload in uploads:
        path = PurePosixPath(upload.name)
        if len(path.parts) > 1 and is_clutter(path.name):
            continue  # a folder brings along what nobody chose
        if upload.file_id not in known:
            here.add(upload.file_id, expand_upload(upload.name, upload.getvalue(), settings()))
    return sum(here.group_of(entry) in kept - present for entry in here.entries)


def uploaded_groups() -> set[str]:
    """The uploads that are in the worklist; phantoms are none."""
    return {group for group in worklist().groups() if not group.startswith("phantom")}


def clear_worklist() -> None:
    """Take every study out, phantoms too, and empty the uploaders, which would bring theirs back."""
    here = worklist()
    here.drop(here.groups())
    st.session_state[_KEPT] = set()
    st.session_state["phantoms"] = False
    st.session_state[_CLEARED] = st.session_state.get(_CLEARED, 0) + 1


def uploader_key(name: str) -> str:
    """The key of an uploader; another one, so that it is empty, each time that the list was cleared."""
    cleared = st.session_state.get(_CLEARED, 0)
    return f"{name} {cleared}" if cleared else name


def take_phantoms() -> None:
    """Put four synthetic phantoms, one a class, into the worklist."""
    for kind, seed in PHANTOMS:
        name = f"SYNTHETIC {kind} phantom.png"
        study = Study(name, lambda kind=kind, seed=seed: phantom_png(kind, seed))  # type: ignore[misc]
        worklist().add(f"phantom {kind}", [study], synthetic=True)


def drop_phantoms() -> None:
    """Take them out again."""
    here = worklist()
    here.drop(group for group in here.groups() if group.startswith("phantom"))
