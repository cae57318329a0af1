"""The labelled images of a folder, however it is laid out and spelled."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lungassist.classes import CLASSES, COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA
from lungassist.dataset.index import class_named, index_folder
from lungassist.errors import DatasetError
from tests.drawn import film, png, write_films


def files_of(root: Path, metadata: Path | None = None) -> list[str]:
    return list(index_folder(root, metadata).table["file"])


def test_the_databases_layout_with_masks_and_tables_beside(films: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(films, tmp_path / "films"))
    for label in CLASSES:
        (root / label / "masks").mkdir()
        (root / label / "masks" / f"{label}-1.png").write_bytes(png(film(label, 1)))
        (root / f"{label}.metadata.xlsx").write_bytes(b"PK")
    (root / "README.md.txt").write_text("about")
    index = index_folder(root)
    assert index.classes == CLASSES
    assert dict(index.table["label"].value_counts()) == dict.fromkeys(CLASSES, 10)
    assert index.taken_for == {label: label for label in CLASSES}
    assert index.table["file"].is_monotonic_increasing
    assert all("/images/" in file and (root / file).is_file() for file in index.table["file"])
    assert set(index.table["patient_id"]) == set(index.table["source"]) == {""}


def test_a_folder_per_class_without_images_below_it(tmp_path: Path) -> None:
    write_films(tmp_path, {COVID: 2, NORMAL: 1}, inner=".")
    assert files_of(tmp_path) == ["COVID/COVID-1.png", "COVID/COVID-2.png", "Normal/Normal-1.png"]


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("covid-19", COVID),
        ("COVID19", COVID),
        ("lung opacity", LUNG_OPACITY),
        ("Lung-Opacity", LUNG_OPACITY),
        ("NORMAL", NORMAL),
        ("viral_pneumonia", VIRAL_PNEUMONIA),
        ("Viral Pneumonia", VIRAL_PNEUMONIA),
        ("Tuberculosis", "Tuberculosis"),
    ],
)
def test_spellings(folder: str, label: str) -> None:
    assert class_named(folder) == label


def test_which_folder_was_taken_for_which_class_is_told(tmp_path: Path) -> None:
    for name, label in (("covid-19", COVID), ("Covid", COVID), ("healthy", NORMAL), ("Other_Thing", NORMAL)):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.png").write_bytes(png(film(label, 1)))
    index = index_folder(tmp_path)
    assert index.taken_for == {"Covid": COVID, "Other_Thing": "Other_Thing", "covid-19": COVID, "healthy": NORMAL}
    assert index.classes == (COVID, NORMAL, "Other_Thing")


def test_what_is_no_image_or_hidden_is_passed_over(tmp_path: Path) -> None:
    write_films(tmp_path, {COVID: 1, NORMAL: 1})
    for name in (".hidden.png", "notes.txt", "Thumbs.db", "scan.PNG", "scan.jpeg", "scan.dcm"):
        (tmp_path / COVID / "images" / name).write_bytes(b"x")
    (tmp_path / COVID / "images" / "folder.png").mkdir()
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x.png").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    names = [Path(file).name for file in files_of(tmp_path)]
    assert names == ["COVID-1.png", "scan.PNG", "scan.dcm", "scan.jpeg", "Normal-1.png"]


def test_one_class_or_none_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"at least two classes.*found: none"):
        index_folder(tmp_path)
    write_films(tmp_path, {COVID: 3})
    with pytest.raises(DatasetError, match="found: COVID"):
        index_folder(tmp_path)
    (tmp_path / "covid 19").mkdir()
    (tmp_path / "covid 19" / "a.png").write_bytes(b"x")
    with pytest.raises(DatasetError, match="found: COVID, covid 19"):
        index_folder(tmp_path)
    with pytest.raises(DatasetError, match="is not a folder"):
        index_folder(tmp_path / "nowhere")


def test_metadata_is_joined_by_file_and_never_relabels(tmp_path: Path) -> None:
    write_films(tmp_path / "data", {COVID: 2, NORMAL: 1})
    metadata = tmp_path / "metadata.csv"
    metadata.write_text(
        "file,patient_id,label,age\n"
        "Normal/images/Normal-1.png,NA,COVID,31\n"
        "COVID/images/COVID-2.png,007,Normal,\n"
        "COVID/images/gone.png,9,COVID,5\n"
    )
    table = index_folder(tmp_path / "data", metadata).table
    assert list(table["label"]) == [COVID, COVID, NORMAL]
    assert list(table["patient_id"]) == ["", "007", "NA"]
    assert list(table["age"]) == ["", "", "31"]
    assert list(table["source"]) == ["", "", ""]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("name,patient_id\na,1\n", "column 'file'"),
        ("file\nCOVID/images/COVID-1.png\nCOVID/images/COVID-1.png\n", "stands once"),
        ("file,patient_id\nCOVID\\images\\COVID-1.png,1\n", r"names none of the images.*COVID/images/COVID-1\.png"),
        ("file,patient_id\n", "names none of the images"),
        ("", "cannot be read"),
    ],
)
def test_metadata_that_would_lose_the_patients_is_refused(tmp_path: Path, text: str, word: str) -> None:
    write_films(tmp_path / "data", {COVID: 1, NORMAL: 1})
    metadata = tmp_path / "metadata.csv"
    metadata.write_text(text)
    with pytest.raises(DatasetError, match=word):
        index_folder(tmp_path / "data", metadata)


def test_metadata_that_is_not_there(films: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        index_folder(films, tmp_path / "nowhere.csv")
