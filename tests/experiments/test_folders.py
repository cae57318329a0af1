"""Which folders may be trained on, and which metadata lies with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lungassist.errors import DatasetError
from lungassist.experiments.folders import chosen_folder, data_folders, metadata_files
from lungassist.settings import Settings
from tests.drawn import write_films

TWO = {"COVID": 2, "Normal": 2}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a data set `ward/2024`, and a data set `secret` outside of it."""
    write_films(tmp_path / "root" / "ward" / "2024", TWO)
    write_films(tmp_path / "secret", TWO)
    return tmp_path / "root"


@pytest.fixture
def settings(root: Path) -> Settings:
    return replace(Settings.from_environment(), data_roots=(root,))


def test_data_sets_are_found_below_the_roots(root: Path, settings: Settings) -> None:
    write_films(root / "plain", TWO, inner=".")
    write_films(root / "one class", {"COVID": 3})
    (root / "empty").mkdir()
    assert data_folders(settings) == [root / "plain", root / "ward" / "2024"]


def test_a_root_that_is_not_there_has_none(tmp_path: Path, settings: Settings) -> None:
    assert data_folders(replace(settings, data_roots=(tmp_path / "gone",))) == []


def test_a_link_out_of_the_roots_is_not_followed(root: Path, settings: Settings, tmp_path: Path) -> None:
    (root / "leak").symlink_to(tmp_path / "secret")
    (root / "loop").symlink_to(root)
    assert data_folders(settings) == [root / "ward" / "2024"]


def test_a_folder_is_chosen_by_its_path_or_by_that_below_a_root(root: Path, settings: Settings) -> None:
    assert chosen_folder("ward/2024", settings) == root / "ward" / "2024"
    assert chosen_folder(f" {root}/ward/2024 ", settings) == root / "ward" / "2024"
    assert chosen_folder(str(root), settings) == root


@pytest.mark.parametrize("named", ["../secret", "ward/../../secret", "{outside}", "leak", "/etc", "/"])
def test_what_leads_outside_is_refused_and_the_way_in_is_named(
    named: str, root: Path, settings: Settings, tmp_path: Path
) -> None:
    (root / "leak").symlink_to(tmp_path / "secret")
    with pytest.raises(DatasetError, match="outside of the folders") as refusal:
        chosen_folder(named.format(outside=tmp_path / "secret"), settings)
    assert str(root) in str(refusal.value) and "LUNGASSIST_DATA_ROOTS" in str(refusal.value)


def test_a_folder_beside_a_root_of_the_same_beginning_is_outside(root: Path, settings: Settings) -> None:
    write_films(root.with_name("root2"), TWO)
    with pytest.raises(DatasetError, match="outside"):
        chosen_folder(str(root.with_name("root2")), settings)


@pytest.mark.parametrize("named", ["", "  ", "ward/2025", "ward/2024/COVID/images/COVID-1.png", "a\0b"])
def test_what_is_no_folder_is_refused(named: str, settings: Settings) -> None:
    with pytest.raises(DatasetError):
        chosen_folder(named, settings)


def test_metadata_is_found_inside_and_beside_that_which_names_images_first(root: Path, settings: Settings) -> None:
    folder = root / "ward" / "2024"
    (folder / "a.csv").write_text("file,source\nnowhere.png,x\n")
    (folder / "other.csv").write_text("name,age\nx,3\n")
    (folder / "binary.csv").write_bytes(b"\xff\xfe\x00file")
    (root / "ward" / "z.csv").write_text("﻿file,patient_id\nCOVID/images/COVID-1.png,7\n", encoding="utf-8")
    assert metadata_files(folder, settings) == [root / "ward" / "z.csv", folder / "a.csv"]
    (folder / "sheet.csv").write_text("File;Patient_ID\nCOVID/images/COVID-1.png;7\n")
    assert folder / "sheet.csv" in metadata_files(folder, settings)[:2], "as spreadsheets write it"


def test_metadata_outside_of_the_roots_is_not_looked_for(root: Path, settings: Settings) -> None:
    (root.parent / "beside.csv").write_text("file\nward\n")
    assert metadata_files(root, settings) == []
