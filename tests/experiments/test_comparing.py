"""Which tables the comparison page finds, what may be added, and where their images are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lungassist.errors import PredictionsError
from lungassist.evaluation.predictions import write_predictions
from lungassist.experiments.comparing import (
    ADDED,
    EVALUATION,
    RECORD,
    RUN,
    SHELF,
    Source,
    add_table,
    compare,
    find_tables,
    image_folder,
    image_path,
    remove_table,
    tables_of,
)
from lungassist.settings import Settings
from tests.evaluation.made import index_of, table_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = replace(
        Settings.from_environment(),
        home=tmp_path / "home",
        weights_dir=tmp_path / "weights",
        data_roots=(tmp_path / "root",),
    )
    put(found.weights_dir / "good", skill=3)
    return found


def put(folder: Path, name: str = "predictions", **how: float) -> Path:
    path = folder / f"{name}.csv"
    write_predictions(path, table_of(index_of(), **how))  # type: ignore[arg-type]
    return path


def run_of(settings: Settings, name: str, state: str = "done", **how: float) -> Path:
    run = settings.runs_dir / name
    put(run / "model", **how)
    (run / "status.json").write_text(json.dumps({"state": state, "epoch": 2, "epochs": 2}))
    return run


def named(settings: Settings) -> dict[str, Source]:
    return {source.name: source for source in find_tables(settings)}


def test_tables_of_the_shelf_of_finished_runs_and_of_evaluations_are_found(settings: Settings) -> None:
    run = run_of(settings, "20261123-103000-quick", skill=1)
    run_of(settings, "20261123-113000-half", state="running", skill=2)
    put(settings.home / "evaluations" / "hospital", "resnet18", seed=5)
    put(settings.home / "evaluations" / "hospital" / ".partial", "resnet50", seed=6)
    put(settings.weights_dir / ".replaced", seed=7)
    put(settings.weights_dir / "records" / "vgg19_bn", seed=8)
    found = named(settings)
    assert {name: source.kind for name, source in found.items()} == {
        "good": SHELF,
        "vgg19_bn": RECORD,
        "quick (run)": RUN,
        "resnet18 (hospital)": EVALUATION,
    }
    assert found["quick (run)"].run == run


def test_a_promoted_run_stands_once_and_lends_the_model_its_curves(settings: Settings) -> None:
    run = run_of(settings, "20261123-103000-quick", skill=3)
    (source,) = find_tables(settings)
    assert (source.name, source.kind, source.run) == ("good", SHELF, run)


def test_two_runs_of_one_name_are_told_apart(settings: Settings) -> None:
    run_of(settings, "20261123-103000-quick", seed=8)
    run_of(settings, "20261124-103000-quick", seed=9)
    assert list(named(settings)) == ["good", "quick (run)", "quick (run) 2"]


def test_a_table_that_changed_has_another_digest(settings: Settings) -> None:
    before = named(settings)["good"].digest
    put(settings.weights_dir / "good", skill=1)
    assert named(settings)["good"].digest != before


def test_a_table_from_elsewhere_is_added_compared_and_removed(settings: Settings, tmp_path: Path) -> None:
    data = put(tmp_path, "theirs", seed=4).read_bytes()
    assert add_table("../My model.csv", data, settings) == "My-model"
    added = named(settings)["My-model"]
    assert added.kind == ADDED
    comparison, problems = compare([*tables_of(named(settings)["good"]), *tables_of(added)], "test")
    assert comparison is not None and comparison.models == ("good", "My-model") and not problems
    remove_table(added)
    assert list(named(settings)) == ["good"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("notes.txt", b"file,label", "notes.txt is no table: .csv, .parquet, .pq were expected."),
        ("bad.csv", b"file,label\na,COVID\n", "^bad.csv has 0 columns probability_CLASS"),
        ("empty.csv", b"", "^empty.csv is empty"),
    ],
)
def test_what_is_no_table_is_refused_and_not_kept(settings: Settings, name: str, data: bytes, message: str) -> None:
    with pytest.raises(PredictionsError, match=message):
        add_table(name, data, settings)
    assert list(named(settings)) == ["good"]


def test_another_table_of_the_same_name_does_not_replace_the_first(settings: Settings, tmp_path: Path) -> None:
    first, second = (put(tmp_path, f"t{seed}", seed=seed).read_bytes() for seed in (4, 5))
    add_table("theirs.csv", first, settings)
    add_table("theirs.csv", first, settings)
    with pytest.raises(PredictionsError, match="another table named theirs"):
        add_table("theirs.csv", second, settings)


def test_only_added_tables_can_be_removed(settings: Settings) -> None:
    with pytest.raises(PredictionsError, match="good was made here"):
        remove_table(named(settings)["good"])
    assert list(named(settings)) == ["good"]


def test_what_cannot_stand_beside_the_first_is_left_out_with_the_reason(settings: Settings) -> None:
    whole = tables_of(named(settings)["good"])[0]
    lacking = replace(whole, name="no test", table=whole.table[whole.table["split"] != "test"])
    comparison, problems = compare([whole, lacking], "test")
    assert comparison is not None and comparison.models == ("good",)
    assert len(problems) == 1 and "no test has no test images" in problems[0]
    assert compare([lacking], "test")[0] is None


def test_images_are_found_below_the_roots_and_nowhere_else(settings: Settings, tmp_path: Path) -> None:
    root = settings.data_roots[0]
    for label in ("COVID", "Normal"):
        (root / "films" / label).mkdir(parents=True)
        (root / "films" / label / "1.png").write_bytes(b"")
    (tmp_path / "secret.png").write_bytes(b"")
    assert image_folder(["COVID/1.png", "Normal/1.png"], settings) == root / "films"
    assert image_folder(["COVID/2.png"], settings) is None
    assert image_folder([], settings) is None
    assert image_path(root, "../secret.png") is None
    assert image_path(root, str(tmp_path / "secret.png")) is None
