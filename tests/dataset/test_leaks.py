"""A mended split: families go into training whole, everything else stays where it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lungassist.classes import CLASSES
from lungassist.dataset import index_folder, read_split, without_leaks
from lungassist.evaluation.predictions import figures_of, write_predictions
from lungassist.files import sha256_of
from lungassist.models.card import Card
from lungassist.models.weights import verify
from tests.drawn import write_films
from tests.evaluation.made import table_of
from tests.tiny import save_tiny_model
from train.mend_split import main

TRAIN, VALIDATION, TEST = "train", "validation", "test"


@pytest.mark.parametrize(
    ("splits", "patients", "groups", "expected"),
    [
        pytest.param([TRAIN, TEST], ["", ""], [0, 0], [TRAIN, TRAIN], id="a film on both sides"),
        pytest.param([TEST, TEST], ["", ""], [0, 0], [TEST, TEST], id="a film on one side"),
        pytest.param([VALIDATION, TEST], ["", ""], [0, 0], [TRAIN, TRAIN], id="neither side is training"),
        pytest.param([TRAIN, TEST], ["p", "p"], [-1, -1], [TRAIN, TRAIN], id="a patient on both sides"),
        pytest.param([TRAIN, TEST], ["", ""], [-1, -1], [TRAIN, TEST], id="unknown patients are not one"),
        pytest.param(
            [TRAIN, TEST, TEST, TEST], ["", "p", "p", ""], [0, 0, -1, -1], [TRAIN, TRAIN, TRAIN, TEST], id="a chain"
        ),
        pytest.param(["unused", TEST], ["", ""], [0, 0], ["unused", TEST], id="what is unused links nothing"),
        pytest.param(
            [TRAIN, "unreadable", TEST], ["p", "p", "p"], [-1] * 3, [TRAIN, "unreadable", TRAIN], id="unreadable stays"
        ),
        pytest.param([], [], [], [], id="nothing"),
    ],
)
def test_families_that_are_spread_go_into_training(
    splits: list[str], patients: list[str], groups: list[int], expected: list[str]
) -> None:
    assert without_leaks(splits, patients, groups).tolist() == expected


def test_against_a_search_of_the_graph() -> None:
    rng = np.random.default_rng(3)
    count = 200
    splits = rng.choice([TRAIN, VALIDATION, TEST], count)
    patients = [f"p{i}" if i < 60 else "" for i in rng.integers(0, 120, count)]
    groups = np.where(rng.random(count) < 0.3, rng.integers(0, 25, count), -1)
    family = np.arange(count)
    for _ in range(count):  # by hand: until nothing changes, all that are linked take the lowest number
        for a in range(count):
            for b in range(count):
                if (patients[a] and patients[a] == patients[b]) or (groups[a] >= 0 and groups[a] == groups[b]):
                    family[a] = family[b] = min(family[a], family[b])
        if all(len({*family[[i for i in range(count) if patients[i] == p]]}) == 1 for p in {*patients} - {""}):
            break
    expected = [TRAIN if len({*splits[family == family[i]]}) > 1 else splits[i] for i in range(count)]
    assert without_leaks(splits, patients, groups).tolist() == expected
    assert (np.asarray(expected) != splits).any()


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="each of 2"):
        without_leaks([TRAIN, TEST], [""], [-1, -1])


def test_the_command_moves_a_copied_film_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LUNGASSIST_HOME", str(tmp_path / "home"))
    folder = tmp_path / "films"
    write_films(folder, dict.fromkeys(CLASSES, 3))
    copied = next(iter(sorted((folder / "COVID").rglob("*.png"))))
    (copied.parent / "copy.png").write_bytes(copied.read_bytes())
    original, copy = (str(path.relative_to(folder)) for path in (copied, copied.parent / "copy.png"))
    files = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.png"))]
    words = {file: (TRAIN, VALIDATION, TEST)[place % 3] for place, file in enumerate(files)} | {
        original: TEST,
        copy: VALIDATION,
    }
    given, out = tmp_path / "given.csv", tmp_path / "mended.csv"
    given.write_text("file,label,split\n" + "".join(f"{f},{f.split('/')[0]},{w}\n" for f, w in words.items()))
    assert main(["--data", str(folder), "--split", str(given), "--out", str(out)]) == 0
    mended = read_split(out).set_index("file")["split"]
    assert (mended[original], mended[copy]) == (TRAIN, TRAIN)
    assert {file for file, word in words.items() if mended[file] != word} == {original, copy}
    tests = sum(word == TEST for word in words.values())
    assert f"test: {tests} images, now {tests - 1}" in capsys.readouterr().out


def test_the_command_says_what_is_wrong_with_a_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_films(tmp_path / "films", dict.fromkeys(CLASSES, 1))
    (tmp_path / "given.csv").write_text("file,label\n")
    status = main(
        ["--data", str(tmp_path / "films"), "--split", str(tmp_path / "given.csv"), "--out", str(tmp_path / "out.csv")]
    )
    assert status == 1
    assert "missing: split" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_a_model_is_mended_with_its_card_and_keeps_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNGASSIST_HOME", str(tmp_path / "home"))
    data, folder = write_films(tmp_path / "films", dict.fromkeys(CLASSES, 4)), tmp_path / "weights" / "tiny"
    first, twin = data / "COVID" / "images" / "COVID-1.png", data / "COVID" / "images" / "COVID-9.png"
    twin.write_bytes(first.read_bytes())
    index = index_folder(data).table
    words = [TRAIN, TEST, VALIDATION, TEST]
    splits = [TEST if f.endswith("-9.png") else words[int(f[-5]) - 1] for f in index["file"]]
    save_tiny_model(folder)
    path = folder / "predictions.csv"
    write_predictions(path, table_of(index.assign(split=splits)))
    before = Card.read(folder / "card.json")
    replace(before, predictions_sha256=sha256_of(path)).write(folder / "card.json")
    assert main(["--data", str(data), "--model", str(folder)]) == 0
    card, table = verify(folder), pd.read_csv(path)
    moved = table["split"].to_numpy() != np.asarray(splits)
    assert table["file"][moved].tolist() == ["COVID/images/COVID-9.png"]
    assert card.weights_sha256 == before.weights_sha256
    assert card.figures["test"] == figures_of(table[table["split"] == TEST], CLASSES)
    assert card.split["counts"]["test"]["COVID"] == 2
    assert "count as train" in card.split["method"]
    again = card.split["method"]
    assert main(["--data", str(data), "--model", str(folder)]) == 0
    assert Card.read(folder / "card.json").split["method"] == again, "said once"


@pytest.mark.parametrize("given", [[], ["--split", "a.csv"], ["--model", "m", "--split", "a.csv", "--out", "b.csv"]])
def test_the_command_wants_one_thing_to_mend(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--data", "d", *given])
    assert "--model alone" in capsys.readouterr().err
