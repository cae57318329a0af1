"""The audit of a data set: read in the background, with a bar and a way to stop; then shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from lungassist.classes import spoken
from lungassist.dataset import list_caches, remove_cache
from lungassist.errors import DatasetError, LungAssistError
from lungassist.experiments.reading import Reading, Wanted
from lungassist.experiments.wording import duration, size
from pages.parts import session
from pages.parts import training_state as state

#: So few images are read without being asked: it takes seconds.
_FEW = 1500

#: Seconds that the page waits for a reading that it began: of what is in the cache, or of a few images.
_PATIENCE = 0.5


def begin_reading(wanted: Wanted, images: int) -> Reading | None:
    """The reading of a folder; begun if it is a matter of seconds, None where a person has to ask for it."""
    reading = state.readings().get(wanted)
    if reading is None and (images <= _FEW or _is_cached(wanted, images)):
        reading = state.readings().start(wanted, session.settings())
        reading.wait(_PATIENCE)
    return reading


def show_audit(reading: Reading | None, wanted: Wanted, images: int) -> None:
    """Show what is known of the images, how far the reading is, or a button that begins it."""
    words, needs_attention = _summary(reading)
    with st.expander(f"Audit: {words}", icon=":material/fact_check:", expanded=needs_attention):
        if reading is not None and reading.is_active:
            st.fragment(_follow, run_every=1.0)(wanted)
        else:
            _ended(reading, wanted, images)


def _summary(reading: Reading | None) -> tuple[str, bool]:
    """What the audit says in a few words, and whether a person should look."""
    if reading is None:
        return "duplicates, shortcuts, unreadable files", True
    if reading.is_active:
        return "reading the images", True
    if reading.result is None:
        return "not finished", True
    count = len(reading.result.findings)
    return {0: "nothing stands out", 1: "one thing to know"}.get(count, f"{count} things to know"), count > 0


def _is_cached(wanted: Wanted, images: int) -> bool:
    return any(
        entry.side == wanted.size and entry.enhancement == wanted.enhancement and entry.images >= images
        for entry in list_caches(session.settings())
    )


def _follow(wanted: Wanted) -> None:
    reading = state.readings().get(wanted)
    if reading is None or not reading.is_active:
        st.rerun()
    left = f" · {duration(reading.seconds_left)} left" if reading.seconds_left else ""
    words = f"Reading images · {reading.done:,} of {reading.total:,}{left}" if reading.total else "Reading images"
    bar, button = st.columns([4, 1], vertical_alignment="center")
    bar.progress(reading.done / reading.total if reading.total else 0.0, words)
    button.button("Stop", on_click=reading.stop, icon=":material/stop:", key="training_stop_reading", width="stretch")


def _ended(reading: Reading | None, wanted: Wanted, images: int) -> None:
    if reading is not None and reading.result is not None:
        audit_report(reading.result.to_json())
        return
    if reading is not None and reading.error is not None:
        st.error(str(reading.error), icon=":material/error:")
        if wanted.duplicates_together and isinstance(reading.error, DatasetError):
            st.caption("While duplicates are kept in one split, images that look alike count as one patient's.")
    st.caption(
        f"Reads all {images:,} images once, looks for duplicates inside and across the splits, for what gives the "
        "class away, and for files that cannot be used. A run needs the same prepared images, so nothing is read twice."
    )
    stopped = reading is not None and reading.done and reading.error is None
    words = "Go on reading" if stopped else "Read and audit"
    if st.button(words, icon=":material/fact_check:", key="training_read"):
        state.readings().start(wanted, session.settings())
        st.rerun()


def audit_report(audit: Mapping[str, Any]) -> None:
    """An audit, as `Audit.to_json` wrote it."""
    findings = audit.get("findings", ())
    for finding in findings:
        st.warning(finding, icon=":material/warning:")
    if not findings:
        st.caption(":material/check: Nothing stands out.")
    exact, near = audit.get("exact", {}), audit.get("near", {})
    facts = {
        "Readable": f"{audit.get('readable', 0):,} of {audit.get('images', 0):,}",
        "Exact duplicates": _groups(exact),
        "Near duplicates": _groups(near),
        "Largest to smallest class": f"{audit.get('imbalance', float('nan')):.1f} : 1",
    }
    with st.container(horizontal=True, gap="large"):
        for name, value in facts.items():
            st.markdown(f":small[{name}]  \n**{value}**", width="content")
    shortcuts = [_shortcut(name, audit.get(name)) for name in ("source", "size")]
    st.caption(" ".join([*filter(None, shortcuts), _sizes(audit)]))
    _examples(exact, near)
    if unreadable := audit.get("unreadable"):
        st.caption("Files that cannot be read")
        st.dataframe(pd.DataFrame(unreadable.items(), columns=["File", "Reason"]), hide_index=True, height=150)


def _groups(found: Mapping[str, Any]) -> str:
    count = found.get("groups", 0)
    return f"{count:,} {'group' if count == 1 else 'groups'}" if count else "none"


def _shortcut(name: str, found: Mapping[str, Any] | None) -> str:
    what = {"source": "the source", "size": "the native size"}[name]
    if not found:
        return f"Whether {what} gives the class away cannot be told." if name == "source" else ""
    if found["accuracy"] <= found["majority"]:
        return f"{what[0].upper()}{what[1:]} does not give the class away."
    return (
        f"From {what} alone the class is guessed right for {found['accuracy']:.0%} "
        f"(always the largest class: {found['majority']:.0%})."
    )


def _sizes(audit: Mapping[str, Any]) -> str:
    sizes = [f"{row['width']} × {row['height']} ({row['images']:,})" for row in audit.get("sizes", ())[:3]]
    others = sum(row["images"] for row in audit.get("sizes", ())[3:]) + audit.get("other_sizes", 0)
    return "Native sizes: " + ", ".join(sizes) + (f", others ({others:,})." if others else ".")


def _examples(exact: Mapping[str, Any], near: Mapping[str, Any]) -> None:
    rows = [
        {"Kind": kind, "Files": " · ".join(files)}
        for kind, found in (("exact", exact), ("near", near))
        for files in found.get("examples", ())
    ]
    if rows:
        st.caption("Duplicates, those with different labels or in different splits first")
        st.dataframe(pd.DataFrame(rows), hide_index=True, height=min(38 + 35 * len(rows), 180))


def show_caches() -> None:
    """How much disk prepared images take, and a button to be rid of each."""
    entries = [entry for entry in list_caches(session.settings()) if entry.size_bytes]
    if not entries:
        return
    total = size(sum(entry.size_bytes for entry in entries))
    with st.popover(f"Prepared images take {total}", icon=":material/hard_drive:", type="tertiary"):
        st.caption("Removing them loses nothing but time: they are read and prepared again when they are needed.")
        for entry in entries:
            enhanced = "" if entry.enhancement == "none" else f", {spoken(entry.enhancement)}"
            words = f"Remove {entry.images:,} at {entry.side} px{enhanced} ({size(entry.size_bytes)})"
            if st.button(words, icon=":material/delete:", key=f"training_cache {entry.path.name}"):
                try:
                    remove_cache(entry)
                except LungAssistError as error:
                    st.error(str(error), icon=":material/error:")
                else:
                    state.readings().forget()
                    st.rerun()
