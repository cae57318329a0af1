"""Train, validation and test: a patient is in one of them only, and every class in each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lungassist.dataset import (
    SPLITS,
    assign_splits,
    read_split,
    split_at_random,
    split_by_patient,
    split_hash,
    write_split,
)
from lungassist.errors import DatasetError

SHARES = (0.8, 0.1, 0.1)


def hospital(seed: int, images: int = 3000) -> pd.DataFrame:
    """Images of three classes; most patients have a few, some of several classes, and some have no id."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(["COVID", "Lung_Opacity", "Normal"], images, p=[0.2, 0.3, 0.5])
    patients = [f"p{number}" if number < 1400 else "" for number in rng.integers(0, 2000, images)]
    return pd.DataFrame({"label": labels, "patient": patients})


def split_of(frame: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    return frame.assign(split=split_by_patient(frame["label"].tolist(), frame["patient"].tolist(), seed=seed))


@pytest.mark.parametrize("seed", range(4))
def test_no_patient_is_in_two_splits(seed: int) -> None:
    known = split_of(hospital(seed), seed).query("patient != ''")
    assert known.groupby("patient")["split"].nunique().max() == 1


@pytest.mark.parametrize("seed", range(4))
def test_the_shares_are_kept_as_a_whole_and_in_every_class(seed: int) -> None:
    split = split_of(hospital(seed), seed)
    for share, name in zip(SHARES, SPLITS, strict=True):
        assert (split["split"] == name).mean() == pytest.approx(share, abs=0.01)
        # Patients with images of several classes are dealt by one of them.
        for _, rows in split.groupby("label"):
            assert (rows["split"] == name).mean() == pytest.approx(share, abs=0.03)


def test_without_patients_every_class_is_split_to_the_image() -> None:
    labels = ["a"] * 1000 + ["b"] * 333 + ["c"] * 10
    split = pd.DataFrame({"label": labels, "split": split_by_patient(labels, [""] * len(labels))})
    counts = split.groupby(["label", "split"]).size().unstack()
    assert counts.loc["a", list(SPLITS)].tolist() == [800, 100, 100]
    assert counts.loc["c", list(SPLITS)].tolist() == [8, 1, 1]
    assert counts.loc["b", "train"] == pytest.approx(333 * 0.8, abs=2)


def test_large_patients_do_not_upset_the_shares() -> None:
    patients = [f"p{i}" for i in range(40) for _ in range(1 + 5 * (i % 4))]
    labels = ["a"] * len(patients)
    split = split_by_patient(labels, patients)
    assert (split == "train").mean() == pytest.approx(0.8, abs=0.06)
    assert {"validation", "test"} <= set(split)


def test_the_same_seed_gives_the_same_split_and_another_another() -> None:
    frame = hospital(1)
    assert (split_of(frame, 5)["split"] == split_of(frame, 5)["split"]).all()
    assert (split_of(frame, 5)["split"] != split_of(frame, 6)["split"]).any()


def test_the_smallest_data_set_has_every_class_in_every_split() -> None:
    labels = ["a"] * 3 + ["b"] * 3
    split = split_by_patient(labels, [""] * 6)
    assert sorted(split[:3]) == sorted(split[3:]) == sorted(SPLITS)


def test_too_few_patients_are_told() -> None:
    with pytest.raises(DatasetError, match=r"'b' has images of 2 patient\(s\)"):
        split_by_patient(["a"] * 9 + ["b"] * 9, [""] * 9 + ["p1"] * 5 + ["p2"] * 4)


@pytest.mark.parametrize("theirs", [["0"] * 4, ["0", "0", "1", "1"]])
def test_a_class_that_shares_all_its_patients_and_misses_a_split_is_told(theirs: list[str]) -> None:
    """No patient is dealt for it, so that it falls where the other class's patients happen to fall."""
    labels, patients = ["a"] * 12 + ["b"] * 4, [str(i) for i in range(12)] + theirs
    shared = len(set(theirs))
    told = rf"no image of the class 'b' falls into (train|validation|test): {shared} of its {shared} patient\(s\)"
    with pytest.raises(DatasetError, match=told):
        split_by_patient(labels, patients)


def test_the_hash_is_of_the_assignment_not_of_its_order() -> None:
    files, splits = ["a.png", "b.png", "c.png"], ["train", "test", "train"]
    assert split_hash(files, splits) == split_hash(files[::-1], splits[::-1])
    assert split_hash(files, splits) != split_hash(files, ["train", "train", "test"])
    assert split_hash(files, splits) != split_hash(["a.png", "b.png", "d.png"], splits)
    with pytest.raises(ValueError, match="shorter"):
        split_hash(files, splits[:2])


def test_the_papers_split_of_the_whole_database() -> None:
    splits = split_at_random(21_165, seed=1)
    assert [int((splits == name).sum()) for name in SPLITS] == [16_932, 2_117, 2_116]
    assert (splits == split_at_random(21_165, seed=1)).all()
    assert (splits != split_at_random(21_165, seed=2)).any()
    # At random: the first images are no more often in one split than the last.
    assert (splits[:10_000] == "train").mean() == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("count", range(30))
def test_every_image_is_dealt_whatever_their_number(count: int) -> None:
    splits = split_at_random(count)
    assert len(splits) == count
    for name, share in zip(SPLITS, SHARES, strict=True):
        assert abs((splits == name).sum() - share * count) < 1


@pytest.mark.parametrize("method", ["patient", "random"])
@pytest.mark.parametrize("seed", range(3))
def test_groups_stay_in_one_split_and_patients_too(method: str, seed: int) -> None:
    frame = hospital(seed).rename(columns={"patient": "patient_id"})
    rng = np.random.default_rng(seed)
    # Groups that hold images with and without a patient, of several classes, and a good many of nobody's.
    together = np.where(rng.random(len(frame)) < 0.2, rng.integers(0, 200, len(frame)), -1)
    frame = frame.assign(split=assign_splits(frame, method=method, seed=seed, together=together), group=together)
    assert frame.query("group >= 0").groupby("group")["split"].nunique().max() == 1
    for share, name in zip(SHARES, SPLITS, strict=True):
        assert (frame["split"] == name).mean() == pytest.approx(share, abs=0.03)
    if method == "patient":
        assert frame.query("patient_id != ''").groupby("patient_id")["split"].nunique().max() == 1
    else:
        assert [int((frame["split"] == name).sum()) for name in SPLITS] == [2400, 300, 300]


def test_groups_of_one_change_nothing() -> None:
    frame = hospital(1).rename(columns={"patient": "patient_id"})
    for method in ("patient", "random"):
        plain = assign_splits(frame, method=method)
        assert (assign_splits(frame, method=method, together=np.arange(len(frame))) == plain).all()
        assert (assign_splits(frame, method=method, together=np.full(len(frame), -1)) == plain).all()
    assert (assign_splits(frame) == split_by_patient(frame["label"].tolist(), frame["patient_id"].tolist())).all()


def test_a_group_larger_than_any_split_has_room_for_still_stays_together() -> None:
    splits = split_at_random(10, together=[1] * 9 + [-1])
    assert len(set(splits[:9])) == 1
    assert set(splits) <= set(SPLITS)


def test_a_random_split_without_a_class_is_refused() -> None:
    frame = pd.DataFrame({"label": ["a"] * 100 + ["b"] * 2, "patient_id": ""})
    with pytest.raises(DatasetError, match=r"no image of the class 'b' falls into \w+; the data set has 2"):
        assign_splits(frame, method="random")
    with pytest.raises(DatasetError, match="one of patient, random, not 'source'"):
        assign_splits(frame, method="source")


def table_of_splits() -> pd.DataFrame:
    labels = ["a", "a", "NA", "a"]
    files = ["a/1.png", "a/2.png", "NA/1.png", "a/3.png"]
    return pd.DataFrame(
        {"file": files, "label": labels, "split": [*SPLITS, "unreadable"], "patient_id": ["", "007", "NA", ""]}
    )


def test_a_split_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path, table = tmp_path / "split.csv", table_of_splits()
    write_split(path, table)
    pd.testing.assert_frame_equal(read_split(path), table, check_dtype=False)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("file,label\na,b\n", "missing: split"),
        ("file,label,split\na,b,holdout\n", "found 'holdout'"),
        ("file,label,split\na,b,train\na,b,test\n", "names 'a' more than once"),
        ("", "cannot be read as a split file"),
        ('file,label,split\n\xff\xfe,"', "cannot be read as a split file"),
    ],
)
def test_a_file_that_is_no_split_is_refused(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "split.csv").write_text(text, encoding="latin-1")
    with pytest.raises(DatasetError, match=word):
        read_split(tmp_path / "split.csv")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_split(tmp_path / "nowhere.csv")


@pytest.mark.xrays
def test_the_bundled_models_split_is_the_dealt_one_with_leaks_moved_into_training(xrays: Path) -> None:
    folder = Path(__file__).parents[2] / "weights" / "resnet18"
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    table = pd.read_csv(xrays / "cxr4-metadata.csv", dtype=str, keep_default_na=False)
    table = table.sort_values("file", ignore_index=True)
    dealt = assign_splits(table)
    kept = table["file"].map(read_split(folder / "predictions.csv").set_index("file")["split"]).to_numpy(str)
    assert split_hash(table["file"].tolist(), kept.tolist()) == card["split"]["sha256"]
    # What `train.mend_split` moved; that nothing leaks any more is its own tests' to say.
    moved = dealt != kept
    assert 0 < moved.sum() < 100
    assert set(kept[moved]) == {"train"}
