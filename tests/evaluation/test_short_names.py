"""Names where there is little room: as long as they may be, and never two alike."""

from __future__ import annotations

import pytest

from lungassist.evaluation.short_names import short_names

MODELS = ["efficientnet_lite0", "efficientnet_lite2", "efficientnet_lite2-chest", "resnet18"]
FOLDER = "COVID-19_Radiography_Dataset"


def test_names_for_which_there_is_room_stay_whole() -> None:
    assert short_names(MODELS, 26) == {name: name for name in MODELS}


def test_the_folder_of_one_evaluation_goes_before_what_tells_its_models_apart() -> None:
    short = short_names([f"{name} ({FOLDER})" for name in MODELS], 26)
    assert list(short.values()) == MODELS


def test_names_of_shelf_and_evaluation_stay_different_and_short() -> None:
    names = [*MODELS, *(f"{name} ({FOLDER})" for name in MODELS)]
    short = short_names(names, 26)
    assert len(set(short.values())) == len(names)
    assert all(short[name] == name for name in MODELS)
    assert max(map(len, short.values())) == 26


@pytest.mark.parametrize("letters", ["ab", "abc"])
def test_names_that_differ_in_the_middle_alone_are_cut_less(letters: str) -> None:
    names = [f"{'x' * 40}{letter}{'y' * 40}" for letter in letters]
    short = short_names(names, 26)
    assert len(set(short.values())) == len(names)
    assert all(letter in short[name] for name, letter in zip(names, letters, strict=True))


def test_a_name_alone_loses_its_middle() -> None:
    (short,) = short_names([f"resnet18 ({FOLDER})"], 26).values()
    assert len(short) == 26
    assert short.startswith("resnet18 (") and short.endswith("Dataset)")


def test_a_name_that_is_no_more_than_what_all_end_in_is_not_lost() -> None:
    names = [f"{'a' * 30} b", f"{'c' * 30} b", " b"]
    assert set(short_names(names, 26).values()) >= {" b"}
    assert all(short_names(names, 26).values())
