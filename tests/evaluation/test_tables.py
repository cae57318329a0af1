"""Tables made elsewhere are read, or refused with a message that names the row and says what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lungassist.classes import CLASSES, COVID, VIRAL_PNEUMONIA
from lungassist.errors import PredictionsError
from lungassist.evaluation.predictions import PREFIX, arrays_of
from lungassist.evaluation.tables import read_predictions, read_tables

from .made import index_of, table_of, written

ROOT = Path(__file__).parents[2]
P = [f"{PREFIX}{name}" for name in CLASSES]
Change = Callable[[pd.DataFrame], pd.DataFrame]


def changed(column: str, value: object, row: int = 3) -> Change:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.astype({column: object})
        table.loc[row, column] = value
        return table

    return change


def repeated_first_row(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table, table.iloc[:1]])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.iloc[:0], ("no rows", "one an image")),
        (lambda t: t.drop(columns="file"), ("'file' is missing", "found: label")),
        (lambda t: t.drop(columns="label"), ("'label' is missing",)),
        (lambda t: t.drop(columns=P), ("0 columns", "at least two classes")),
        (lambda t: t.drop(columns=P[1:]), ("1 columns",)),
        (lambda t: t.drop(columns=P[3:]), ("'Viral Pneumonia'", "no probability", f"add the column {P[3]}")),
        (changed("label", "Flu"), ("'Flu'", "COVID, Lung_Opacity, Normal, Viral Pneumonia")),
        (changed("label", ""), ("the label ''",)),
        (changed("split", "holdout"), ("'holdout'", "train, validation, test")),
        (changed("file", ""), ("name no file",)),
        (repeated_first_row, ("more than once", "column model")),
        (changed(P[0], "high"), ("'high'", "a number in [0, 1]")),
        (changed(P[0], ""), (P[0], "''")),
        (changed(P[0], "inf"), ("'inf'",)),
        (changed(P[0], "0.9999"), ("do not sum to 1", "1 images")),
        (lambda t: t.assign(**{name: np.log(t[name] + 1e-3) for name in P}), ("logits", "softmax")),
        (lambda t: t.assign(**{name: 100 * t[name] for name in P}), ("percent", "Divide")),
        (lambda t: t[t["label"] == COVID], ("all", "of the class COVID")),
        (lambda t: t.assign(**{f"{PREFIX}covid-19": t[P[0]]}), ("the same class, COVID",)),
        (lambda t: t.assign(split="unused"), ("no row of the splits",)),
    ],
)
def test_a_table_that_cannot_be_used_says_why(change: Change, said: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "broken.csv"
    change(table_of(index_of(60))).to_csv(path, index=False)
    with pytest.raises(PredictionsError) as caught:
        read_predictions(path)
    assert str(path) in str(caught.value)
    for part in said:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("absent.csv", None, "does not exist"),
        ("nothing.csv", b"", "is empty"),
        ("nothing.parquet", b"PAR1 but not really", "cannot be read"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "cannot be read"),
    ],
)
def test_a_file_that_is_no_table_says_so(name: str, data: bytes | None, said: str, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(PredictionsError, match=said):
        read_predictions(tmp_path / name)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    table = table_of(index_of())
    found = read_predictions(written(tmp_path, "mine", table))
    labels, probabilities = arrays_of(table, CLASSES)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.probabilities, probabilities)
    assert (found.name, found.version, found.classes) == ("mine", "", CLASSES)
    assert found.properties == ("source",)
    assert found.of_split("test").table["file"].tolist() == table["file"][table["split"] == "test"].tolist()


def test_parquet_gives_the_same_as_csv(tmp_path: Path) -> None:
    table = table_of(index_of(80)).assign(age=range(80))
    table.to_parquet(tmp_path / "a.parquet")
    table.to_csv(tmp_path / "a.csv", index=False)
    one, other = (read_predictions(tmp_path / f"a.{kind}") for kind in ("parquet", "csv"))
    pd.testing.assert_frame_equal(one.table, other.table)


def test_a_table_from_elsewhere_needs_only_files_labels_and_probabilities(tmp_path: Path) -> None:
    table = table_of(index_of(60)).drop(columns=["patient_id", "source", "split"])
    spelled = {COVID: "covid-19", VIRAL_PNEUMONIA: "viral"}
    table = table.rename(columns={f"{PREFIX}{label}": f"{PREFIX}{other}" for label, other in spelled.items()})
    table["label"] = table["label"].replace(spelled)
    found = read_predictions(written(tmp_path, "foreign", table))
    assert found.classes == CLASSES
    assert set(found.table["label"]) == set(CLASSES)
    assert found.splits == ("test",)
    assert any("split" in note for note in found.notes)
    assert any("covid-19" in note and COVID in note for note in found.notes)


def test_classes_of_another_data_set_will_do(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("file,label,probability_b,probability_a\n1,a,0.2,0.8\n2,b,0.7,0.3\n")
    found = read_predictions(tmp_path / "a.csv")
    assert found.classes == ("a", "b")
    np.testing.assert_array_equal(found.probabilities, [[0.8, 0.2], [0.3, 0.7]])


def test_a_class_without_images_is_told_and_no_reason_to_refuse(tmp_path: Path) -> None:
    table = table_of(index_of(80)).query("label != 'COVID'")
    assert "No image is of the class COVID" in read_predictions(written(tmp_path, "a", table)).notes[0]


def test_a_table_of_several_models_is_taken_apart(tmp_path: Path) -> None:
    index = index_of(60)
    both = pd.concat([table_of(index, seed=1).assign(model="one"), table_of(index, seed=2).assign(model="two")])
    path = written(tmp_path, "both", both)
    assert [table.name for table in read_tables([path])] == ["one", "two"]
    with pytest.raises(PredictionsError, match=r"2 models \(one, two\)"):
        read_predictions(path)


def test_no_two_tables_of_a_comparison_share_a_name(tmp_path: Path) -> None:
    index = index_of(60)
    paths = [
        written(tmp_path, f"{i}", table_of(index, seed=i).assign(model="net", version=version))
        for i, version in enumerate(("1.0", "2.0", "2.0"))
    ]
    assert [table.name for table in read_tables(paths)] == ["net 1.0", "net 2.0", "net 2.0 (2)"]
    assert [table.name for table in read_tables(paths[1:])] == ["net", "net (2)"]


def test_tables_of_different_classes_are_refused_by_name(tmp_path: Path) -> None:
    table = table_of(index_of(60))
    paths = [written(tmp_path, "four", table)]
    three = table.query("label != 'Viral Pneumonia'").drop(columns=P[3]).assign(**{f"{PREFIX}Flu": 0.0})
    three[P[0]] = 1 - three[P[1]] - three[P[2]]
    paths.append(written(tmp_path, "three", three))
    with pytest.raises(PredictionsError, match="three cannot be compared with four") as caught:
        read_tables(paths)
    assert "lacks Viral Pneumonia" in str(caught.value)
    assert "has Flu besides" in str(caught.value)


def test_no_table_at_all_says_how_to_make_one() -> None:
    with pytest.raises(PredictionsError, match="evaluate"):
        read_tables([])


def test_the_bundled_models_table_is_read_with_its_card(tmp_path: Path) -> None:
    found = read_predictions(ROOT / "weights" / "resnet18" / "predictions.csv")
    assert (found.name, len(found)) == ("resnet18", 9970)
    assert found.card is not None
    assert found.version == found.card.full_version
    # A damaged card is no reason not to read the table.
    shutil.copy(ROOT / "weights" / "resnet18" / "predictions.csv", tmp_path / "predictions.csv")
    (tmp_path / "card.json").write_text("[]")
    assert read_predictions(tmp_path / "predictions.csv").card is None
