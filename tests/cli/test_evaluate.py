"""`evaluate` writes tables that `compare` reads, and says in its exit status whether every image could be used."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from lungassist.classes import CLASSES
from lungassist.cli.main import main
from lungassist.dataset import write_split
from lungassist.models.weights import CARD_FILE
from tests.drawn import write_films

from .conftest import objects


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LUNGASSIST_HOME", str(tmp_path / "home"))
    return write_films(tmp_path / "data", dict.fromkeys(CLASSES, 3))


def run(*arguments: object) -> int:
    return main(["evaluate", *map(str, arguments), "--workers", "1", "--batch-size", "4"])


def test_a_table_a_model_that_compare_takes(
    shelf: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "run" / "model"
    shutil.copytree(shelf / "tiny", other)
    card = (other / CARD_FILE).read_text().replace('"name": "tiny"', '"name": "other"')
    (other / CARD_FILE).write_text(card)
    out = tmp_path / "out"
    assert run("--model", "tiny", other, "--data", data, "--out", out, "--json") == 0
    lines = objects(capsys.readouterr().out)
    assert [(line["model"], line["images"], line["unreadable"]) for line in lines] == [
        ("tiny", 12, {}),
        ("other", 12, {}),
    ]
    assert [Path(line["table"]) for line in lines] == [out / "tiny.csv", out / "other.csv"]
    assert main(["compare", *(line["table"] for line in lines), "--json", "--resamples", "20"]) == 0
    (result,) = objects(capsys.readouterr().out)
    assert [row["model"] for row in result["leaderboard"]] == ["tiny", "other"]
    assert result["tests"]["pairs"][0]["p"] == 1


def test_an_image_that_cannot_be_read_is_status_1_and_the_rest_is_used(
    shelf: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "COVID" / "images" / "COVID-9.png").write_text("no picture")
    assert run("--data", data, "--out", tmp_path / "out") == 1
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if line.startswith("tiny"))
    assert row.split()[2:4] == ["12", "1"]
    assert run("--data", data, "--out", tmp_path / "out") == 1
    assert "Was there already." in capsys.readouterr().out


def test_split_metadata_and_only(shelf: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [f"{label}/images/{label}-{i}.png" for label in CLASSES for i in (1, 2, 3)]
    split = pd.DataFrame(
        {"file": files, "label": [f.split("/")[0] for f in files], "split": ["train", "test", "test"] * 4}
    )
    write_split(tmp_path / "split.csv", split)
    pd.DataFrame({"file": files, "scanner": "X"}).to_csv(tmp_path / "meta.csv", index=False)
    options = ("--split", tmp_path / "split.csv", "--metadata", tmp_path / "meta.csv", "--only", "test")
    assert run("--data", data, "--out", tmp_path / "out", *options) == 0
    table = pd.read_csv(tmp_path / "out" / "tiny.csv")
    assert (len(table), set(table["split"]), set(table["scanner"])) == (8, {"test"}, {"X"})


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--model", "absent"), 2, "'absent'"),
        (("--model", "tiny", "tiny"), 2, "the same table"),
        (("--split", "nowhere.csv"), 1, "nowhere.csv"),
        (("--metadata", "nowhere.csv"), 1, "nowhere.csv"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    options: tuple[str, ...],
    status: int,
    said: str,
    shelf: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--data", data, "--out", tmp_path / "out", *options) == status
    shown = capsys.readouterr()
    assert said in shown.err
    assert (shown.out, len(shown.err.splitlines())) == ("", 1)


def test_a_folder_that_is_none(shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--data", tmp_path / "absent", "--out", tmp_path / "out") == 1
    assert "is not a folder" in capsys.readouterr().err
