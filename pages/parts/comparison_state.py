"""What the parts of the comparison page share: the tables there are, the comparison of the chosen, keys, pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import streamlit as st

from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.tables import Predictions
from lungassist.experiments.comparing import Source, compare, find_tables, image_folder, tables_of
from lungassist.experiments.pictures import Seen, seen_by, thumbnail_png
from pages.parts import session

#: Keys of widgets, and so the parameters of the page's address.
VIEW, TABLES, SPLIT, COMMON = "view", "tables", "split", "common"

#: What a link to a view has to say: parameter of the address -> how its value is written there.
Pinned = Mapping[str, Callable[[Any], str]]
PINNED: Final[Pinned] = {VIEW: str, TABLES: str, SPLIT: str.capitalize, COMMON: lambda on: str(on).lower()}

#: Split a comparison begins with, where there are such images.
TEST: Final = "test"


def sources() -> tuple[Source, ...]:
    """The tables there are."""
    return find_tables(session.settings())


@st.cache_resource(show_spinner=False, max_entries=64)
def _read(digest: str, name: str, path: Path, _source: Source) -> tuple[Predictions, ...]:
    del digest, name, path  # they are the key
    return tables_of(_source)


def read(source: Source) -> tuple[Predictions, ...]:
    """A source's tables, read once for everybody as long as its bytes stay the same.

    Raises:
        PredictionsError: they break the schema.
    """
    return _read(source.digest, source.name, source.path, source)


@st.cache_resource(show_spinner="Comparing…", max_entries=8)
def _compare(
    keys: tuple[tuple[str, str, Path], ...], split: str, common: bool, _sources: list[Source]
) -> tuple[Comparison | None, tuple[str, ...]]:
    del keys  # they say which it is
    comparison, problems = compare([table for source in _sources for table in read(source)], split)
    return (comparison.on_common_images() if comparison is not None and common else comparison), problems


def comparison_of(chosen: list[Source], split: str, *, common: bool) -> tuple[Comparison | None, tuple[str, ...]]:
    """The comparison, shared by all sessions, with whatever was computed of it; and sentences on what was left out.

    Raises:
        PredictionsError: no image is common to all.
    """
    return _compare(tuple((source.digest, source.name, source.path) for source in chosen), split, common, chosen)


@st.cache_data(show_spinner=False, ttl=60)
def folder_of(files: tuple[str, ...], roots: tuple[str, ...]) -> Path | None:
    """Where the files of a table are below the roots; looked up anew every minute."""
    del roots  # they are part of the key
    return image_folder(files, session.settings())


def images_folder(comparison: Comparison, model: str) -> Path | None:
    """Where the images of a model's table are, if they are on this machine below the configured roots."""
    files = tuple(comparison.images_of(model).table["file"].head(3))
    return folder_of(files, tuple(map(str, session.settings().data_roots)))


@st.cache_data(show_spinner=False, max_entries=512)
def thumbnail(path: Path) -> bytes:
    """A small picture; see `thumbnail_png`."""
    return thumbnail_png(path, session.settings())


@st.cache_data(show_spinner="Looking…", max_entries=64)
def seen(path: Path, model: str, digest: str) -> Seen:
    """What a model of the shelf sees in an image."""
    del digest  # a retrained model has another
    return seen_by(session.classifier(model), path, session.settings())
