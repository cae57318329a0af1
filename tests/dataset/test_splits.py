"""Train, validation and test: a patient is in one of them only, and every class in each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lungassist.dataset import SPLITS, split_by_patient, split_hash
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


def test_the_hash_is_of_the_assignment_not_of_its_order() -> None:
    files, splits = ["a.png", "b.png", "c.png"], ["train", "test", "train"]
    assert split_hash(files, splits) == split_hash(files[::-1], splits[::-1])
    assert split_hash(files, splits) != split_hash(files, ["train", "train", "test"])
    assert split_hash(files, splits) != split_hash(["a.png", "b.png", "d.png"], splits)
    with pytest.raises(ValueError, match="shorter"):
        split_hash(files, splits[:2])
