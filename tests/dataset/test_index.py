"""The labelled images of a folder, however it is laid out and spelled."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from lungassist.classes import CLASSES, COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA
from lungassist.dataset import DatasetIndex, compare_with_public, public_sentence
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
        ("Lung_Opacities", LUNG_OPACITY),
        ("COVID-19 Pneumonia", COVID),
        ("NORMAL", NORMAL),
        ("No finding", NORMAL),
        ("viral_pneumonia", VIRAL_PNEUMONIA),
        ("Viral Pneumonia", VIRAL_PNEUMONIA),
        ("Pneumonia-Viral", VIRAL_PNEUMONIA),
        ("Tuberculosis", "Tuberculosis"),
        ("Non-COVID", "Non-COVID"),
        ("Bacterial Pneumonia", "Bacterial Pneumonia"),
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
    assert list(table["patient_id"]) == ["", "007", ""]
    assert list(table["age"]) == ["", "", "31"]
    assert list(table["source"]) == ["", "", ""]


def test_a_table_of_predictions_as_metadata_brings_no_predictions(tmp_path: Path) -> None:
    """A run's own table would have probabilities of classes that its model does not know, and could not be read."""
    write_films(tmp_path / "data", {COVID: 1, NORMAL: 1})
    metadata = tmp_path / "predictions.csv"
    metadata.write_text(
        "file,label,split,patient_id,model,version,probability_Other,age\n"
        "COVID/images/COVID-1.png,COVID,test,p,old,1.0,0.5,31\n"
        "Normal/images/Normal-1.png,Normal,test,q,old,1.0,0.5,32\n"
    )
    index = index_folder(tmp_path / "data", metadata)
    assert list(index.table) == ["file", "label", "patient_id", "age", "source"]
    assert index.notes == (
        "predictions.csv: passed over split, model, version, probability_Other, which a table of predictions has of "
        "its own.",
    )


def test_a_word_for_an_unknown_patient_is_no_patient(tmp_path: Path) -> None:
    """As one patient, all of them would be kept in one split."""
    write_films(tmp_path / "data", {COVID: 4, NORMAL: 3})
    ids = ("NA", " unknown ", "7", "Nancy", "nan", "N/A", "")
    files = index_folder(tmp_path / "data").table["file"]
    metadata = tmp_path / "metadata.csv"
    metadata.write_text("file,patient_id\n" + "".join(f"{f},{id}\n" for f, id in zip(files, ids, strict=True)))
    index = index_folder(tmp_path / "data", metadata)
    assert list(index.table["patient_id"]) == ["", "", "7", "Nancy", "", "", ""]
    assert index.notes == (
        "4 images have the patient ' unknown ', 'N/A', 'NA', 'nan': taken for unknown, each its own patient.",
    )


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("name,patient_id\na,1\n", "column 'file'"),
        ("name;patient_id\na;1\n", r"commas between the columns; .* 'name;patient_id'"),
        ("File,FILE\na,1\n", "column 'file'"),
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


@pytest.mark.parametrize("head", ["file;patient_id", "File\tPatient_ID", '"FILE";"PATIENT_ID"', " File ,patient_id"])
def test_metadata_as_spreadsheets_write_it(tmp_path: Path, head: str) -> None:
    write_films(tmp_path / "data", {COVID: 1, NORMAL: 1})
    metadata = tmp_path / "metadata.csv"
    between = next(sign for sign in ";\t," if sign in head)
    second = "q" if between == "," else "q, r"
    rows = (head, f"COVID/images/COVID-1.png{between}p", f"Normal/images/Normal-1.png{between}{second}")
    metadata.write_text("\r\n".join(rows))
    table = index_folder(tmp_path / "data", metadata).table
    assert list(table["patient_id"]) == ["p", second]
    assert list(table) == ["file", "label", "patient_id", "source"]


def test_metadata_that_is_not_there(films: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        index_folder(films, tmp_path / "nowhere.csv")


def write_workbook(path: Path, rows: list[tuple[object, ...]], heads: tuple[str, ...] | None = None) -> None:
    book = openpyxl.Workbook()
    book.active.append(heads or ("FILE NAME", "FORMAT", "SIZE", "URL"))
    for row in rows:
        book.active.append(row)
    book.save(path)


def test_the_databases_workbooks_say_where_images_come_from(tmp_path: Path) -> None:
    write_films(tmp_path, {COVID: 2, NORMAL: 2, VIRAL_PNEUMONIA: 1})
    covid = [(f"COVID-{number}", "PNG", "256*256", url) for number, url in ((1, "https://a"), (2, "https://b"))]
    write_workbook(tmp_path / "COVID.metadata.xlsx", covid)
    write_workbook(tmp_path / "Normal.metadata.xlsx", [("NORMAL-1", "PNG", "256*256", "https://c"), (None,) * 4])
    write_workbook(tmp_path / "Viral Pneumonia.metadata.xlsx", [("Viral Pneumonia-1", "PNG", "256*256", "https://d")])
    index = index_folder(tmp_path)
    # NORMAL-1 is Normal-1.png; COVID-1 in one class is not Normal-1 in another.
    assert list(index.table["source"]) == ["https://a", "https://b", "https://c", "", "https://d"]
    assert index.notes == ("The workbooks beside the folders do not name 1 of 5 images.",)


def test_a_metadata_csv_comes_before_the_workbooks(tmp_path: Path) -> None:
    root = write_films(tmp_path / "data", {COVID: 1, NORMAL: 1})
    write_workbook(root / "COVID.metadata.xlsx", [("COVID-1", "PNG", "256*256", "https://a")])
    metadata = tmp_path / "metadata.csv"
    metadata.write_text("file,source,patient_id\nCOVID/images/COVID-1.png,mine,p\nCOVID/images/gone.png,mine,q\n")
    index = index_folder(root, metadata)
    assert list(index.table["source"]) == ["mine", ""]
    assert index.notes == (
        "metadata.csv names 1 files that are not there.",
        "metadata.csv does not name 1 of 2 images.",
    )
    metadata.write_text("file,patient_id\nCOVID/images/COVID-1.png,p\nNormal/images/Normal-1.png,q\n")
    assert list(index_folder(root, metadata).table["source"]) == ["https://a", ""]


@pytest.mark.parametrize("trouble", ["no zip", "cut", "no columns", "empty", "other names", "no openpyxl"])
def test_a_workbook_that_is_of_no_use_is_told_and_not_fatal(
    tmp_path: Path, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_films(tmp_path, {COVID: 1, NORMAL: 1})
    path = tmp_path / "COVID.metadata.xlsx"
    heads = ("NAME", "LINK") if trouble == "no columns" else None
    write_workbook(path, [("other", "PNG", "1", "https://a")], heads)
    match trouble:
        case "no zip":
            path.write_text("no workbook")
        case "cut":
            path.write_bytes(path.read_bytes()[:2000])
        case "empty":
            path.write_bytes(b"")
        case "no openpyxl":
            monkeypatch.setitem(sys.modules, "openpyxl", None)
    index = index_folder(tmp_path)
    assert list(index.table["source"]) == ["", ""]
    words = {"other names": "name none of the images", "no openpyxl": "needs the package openpyxl"}
    assert words.get(trouble, "COVID.metadata.xlsx cannot be read") in index.notes[0]


def test_the_folder_that_a_download_unpacks_to_is_stepped_into(tmp_path: Path) -> None:
    inner = write_films(tmp_path / "COVID-19_Radiography_Dataset", {COVID: 1, NORMAL: 1})
    (tmp_path / "__MACOSX" / "COVID").mkdir(parents=True)
    index = index_folder(tmp_path)
    assert index.root == inner
    assert list(index.table["file"]) == ["COVID/images/COVID-1.png", "Normal/images/Normal-1.png"]


def test_notes_say_what_was_taken_for_what_and_what_was_passed_over(tmp_path: Path) -> None:
    for name, label in (("covid-19", COVID), ("Normal", NORMAL)):
        (tmp_path / name / "Images").mkdir(parents=True)
        (tmp_path / name / "Images" / "1.jpg").write_bytes(png(film(label, 1)))
    (tmp_path / "Normal" / "Images" / "list.txt").write_text("1")
    (tmp_path / "docs").mkdir()
    assert index_folder(tmp_path).notes == (
        "1 files in Normal are no images by their names and were passed over.",
        "The folder covid-19 was taken for the class COVID.",
        "The folder docs has no images and was passed over.",
    )


def test_images_in_neither_layout_are_counted(tmp_path: Path) -> None:
    write_films(tmp_path, {COVID: 2, NORMAL: 2})
    for place in ("COVID/1.png", "COVID/2.png", "Normal/images/more/3.png", "Normal/masks/4.png"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(png(film(NORMAL, 1)))
    index = index_folder(tmp_path)
    assert len(index.table) == 4
    assert index.notes == (
        "2 images are not directly in COVID/images, such as COVID/1.png, and were left out: move them there to use "
        "them.",
        "1 images are not directly in Normal/images, such as Normal/images/more/3.png, and were left out: move them "
        "there to use them.",
    )


def test_a_folder_a_patient_is_told_of_where_it_leaves_nothing(tmp_path: Path) -> None:
    for place in ("A/one", "A/two", "B/three"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "1.png").write_bytes(png(film(NORMAL, 1)))
    with pytest.raises(
        DatasetError, match=r"found: none\. 2 images are not directly in A, such as A/one/1\.png, and were left out"
    ):
        index_folder(tmp_path)


def test_names_that_are_no_text_are_passed_over(tmp_path: Path) -> None:
    write_films(tmp_path, {COVID: 1, NORMAL: 1})
    odd = os.fsencode(tmp_path / COVID / "images") + b"/\xff.png"
    try:
        Path(os.fsdecode(odd)).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system has names of text only")
    index = index_folder(tmp_path)
    assert len(index.table) == 2
    assert index.notes == ("1 files in COVID are no images by their names and were passed over.",)


def database(tmp_path: Path, counts: dict[str, int]) -> DatasetIndex:
    rows = [(f"{label}/{number}.png", label) for label, count in counts.items() for number in range(count)]
    return DatasetIndex(tmp_path, pd.DataFrame(rows, columns=["file", "label"]), {})


def test_how_the_counts_compare_with_the_public_database(tmp_path: Path) -> None:
    whole = {COVID: 3616, LUNG_OPACITY: 6012, NORMAL: 10192, VIRAL_PNEUMONIA: 1345}
    assert public_sentence(database(tmp_path, whole)) == (
        "By its counts this is the complete COVID-19 Radiography Database: 21,165 images."
    )
    part = database(tmp_path, {COVID: 5, NORMAL: 10193, "Tuberculosis": 7})
    assert compare_with_public(part).to_numpy().tolist() == [
        [COVID, 5, 3616],
        [LUNG_OPACITY, 0, 6012],
        [NORMAL, 10193, 10192],
        ["Tuberculosis", 7, 0],
        [VIRAL_PNEUMONIA, 0, 1345],
    ]
    sentence = public_sentence(part)
    assert "10,205 images; the complete" in sentence
    assert "COVID 5 of 3,616" in sentence
    assert "more of Normal than it has" in sentence
    assert "does not have the classes Tuberculosis" in sentence
    assert "not the classes" in public_sentence(database(tmp_path, {"cat": 3, "dog": 4}))
