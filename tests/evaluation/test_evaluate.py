"""From a folder to a table: the model's own answers, the same after a break, and honest about what it learnt from."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lungassist.classes import CLASSES, COVID, NORMAL
from lungassist.dataset import DatasetIndex, index_folder, write_split
from lungassist.errors import DatasetError, PredictionsError, StoppedError
from lungassist.evaluation.evaluate import Evaluation, evaluate, file_stem
from lungassist.evaluation.evidence import AREA, FIELD, INSIDE
from lungassist.evaluation.lungfield import AUTOMATIC, MASKS
from lungassist.evaluation.origin import only, splits_for
from lungassist.evaluation.partial import PartialProbabilities
from lungassist.evaluation.predictions import arrays_of
from lungassist.evaluation.tables import read_predictions
from lungassist.imaging.reader import read_file
from lungassist.models.weights import save_model
from lungassist.predict import Classifier
from lungassist.preprocess import prepare_image
from lungassist.settings import Settings
from tests.drawn import card_of, film, network_of, png, write_films

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(network_of(), card_of(weights_sha256="0" * 64, temperature=1.5))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(Settings.from_environment(), home=tmp_path / "home")


@pytest.fixture
def index(tmp_path: Path) -> DatasetIndex:
    root = write_films(tmp_path / "data", dict.fromkeys(CLASSES, 5))
    (root / NORMAL / "images" / "Normal-9.png").write_text("no picture")
    return index_folder(root)


def all_test(index: DatasetIndex) -> np.ndarray:
    return np.full(len(index.table), "test")


def run(classifier: Classifier, index: DatasetIndex, settings: Settings, out: Path, **options: object) -> Evaluation:
    return evaluate(classifier, index, all_test(index), out, settings, batch_size=4, workers=1, **options)  # type: ignore[arg-type]


def test_the_table_holds_the_models_own_answers(
    classifier: Classifier, index: DatasetIndex, settings: Settings, tmp_path: Path
) -> None:
    done = run(classifier, index, settings, tmp_path / "out")
    assert (done.images, list(done.unreadable), done.resumed) == (20, ["Normal/images/Normal-9.png"], 0)
    found = read_predictions(done.table)
    assert (found.name, found.version) == ("small", classifier.card.full_version)
    for row, p in zip(found.table.itertuples(), found.probabilities, strict=True):
        pixels = read_file(index.root / row.file, settings).pixels
        image = prepare_image(pixels, classifier.card.preprocessing)
        np.testing.assert_allclose(p, classifier.predict(image[None], None).probabilities[0], atol=2e-5)
        assert row.file.startswith(row.label)


def test_an_evaluation_that_was_stopped_goes_on_and_ends_with_the_same_bytes(
    classifier: Classifier, index: DatasetIndex, settings: Settings, tmp_path: Path
) -> None:
    whole = run(classifier, index, settings, tmp_path / "whole")
    answers = iter([False] * 3 + [True])
    seen: list[int] = []

    def stop() -> bool:
        return next(answers) if seen else False

    def progress(what: str, done: int, _all: int) -> None:
        if what == "Predicting":
            seen.append(done)

    with pytest.raises(StoppedError, match="goes on"):
        run(classifier, index, settings, tmp_path / "broken", stop=stop, progress=progress)
    assert not (tmp_path / "broken" / "small.csv").exists()
    again = run(classifier, index, settings, tmp_path / "broken")
    assert again.resumed == 12
    assert again.table.read_bytes() == whole.table.read_bytes()
    assert not list((tmp_path / "broken").glob("*.partial"))


def test_what_is_done_is_not_done_again_unless_something_changed(
    classifier: Classifier, index: DatasetIndex, settings: Settings, tmp_path: Path
) -> None:
    done = run(classifier, index, settings, tmp_path)
    assert run(classifier, index, settings, tmp_path).resumed == done.images
    other_split = evaluate(
        classifier, index, np.full(len(index.table), "train"), tmp_path, settings, batch_size=4, workers=1
    )
    assert other_split.resumed == 0
    assert set(pd.read_csv(done.table)["split"]) == {"train"}
    done.table.write_text(done.table.read_text().replace("train", "test"))
    repaired = evaluate(
        classifier, index, np.full(len(index.table), "train"), tmp_path, settings, batch_size=4, workers=1
    )
    assert repaired.resumed == 0, "a table that was edited is not the one that was written"
    assert set(pd.read_csv(done.table)["split"]) == {"train"}


def test_the_same_weights_with_a_flip_test_make_a_new_table(
    classifier: Classifier, index: DatasetIndex, settings: Settings, tmp_path: Path
) -> None:
    done = run(classifier, index, settings, tmp_path)
    first = done.table.read_bytes()
    both = Classifier(network_of(), replace(classifier.card, flip_test=True))
    again = run(both, index, settings, tmp_path)
    assert again.resumed == 0
    assert again.table.read_bytes() != first


def test_new_metadata_makes_a_new_table(
    classifier: Classifier, index: DatasetIndex, settings: Settings, tmp_path: Path
) -> None:
    run(classifier, index, settings, tmp_path)
    known = replace(index, table=index.table.assign(scanner="X"))
    assert run(classifier, known, settings, tmp_path).resumed == 0
    assert set(pd.read_csv(tmp_path / "small.csv")["scanner"]) == {"X"}


def test_a_killed_process_loses_no_more_than_a_batch(index: DatasetIndex, tmp_path: Path) -> None:
    """SIGKILL, no chance to tidy up; the next run ends with the table of a run without a break."""
    network = network_of()
    save_model(tmp_path / "weights" / "small", network.state_dict(), card_of())
    environment = {
        **os.environ,
        "LUNGASSIST_WEIGHTS": str(tmp_path / "weights"),
        "LUNGASSIST_HOME": str(tmp_path / "home"),
        "OMP_NUM_THREADS": "1",
    }
    slow = (
        "import sys, time\n"
        "from lungassist.predict import Classifier\n"
        "predict = Classifier.predict\n"
        "def slowly(*a, **k):\n"
        "    time.sleep(0.4)\n"
        "    return predict(*a, **k)\n"
        "Classifier.predict = slowly\n"
        "from lungassist.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    out = tmp_path / "out"
    line = ["evaluate", "--data", str(index.root), "--batch-size", "2", "--workers", "1", "--out"]
    process = subprocess.Popen([sys.executable, "-c", slow, *line, str(out)], cwd=ROOT, env=environment)
    partial = out / "small.partial"
    limit = time.monotonic() + 60
    while not (partial.exists() and len(partial.read_bytes().partition(b"\n")[2]) > 150) and time.monotonic() < limit:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "small.csv").exists()
    command = [sys.executable, "-m", "lungassist", *line]
    for place in (out, tmp_path / "whole"):
        done = subprocess.run(
            [*command, str(place)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1, done.stderr  # one file is no picture
    assert (out / "small.csv").read_bytes() == (tmp_path / "whole" / "small.csv").read_bytes()
    assert json.loads((out / "small.json").read_text())["resumed"] > 0


def test_rows_that_a_crash_spoilt_are_computed_again(tmp_path: Path) -> None:
    rows = np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]])
    path = tmp_path / "a.partial"
    with PartialProbabilities(path, {"of": "this"}, 2) as partial:
        partial.append(rows)
    whole = path.read_bytes()
    for spoilt, kept in (
        (whole[:-1], 2),
        (whole + b"\x01", 3),
        (whole[:-16] + bytes(16), 2),
        (whole[: len(whole) - 32] + bytes(32), 1),
    ):
        path.write_bytes(spoilt)
        with PartialProbabilities(path, {"of": "this"}, 2) as partial:
            np.testing.assert_array_equal(partial.rows(), rows[:kept])
            partial.append(rows[kept:])
        assert path.read_bytes() == whole
    with PartialProbabilities(path, {"of": "another"}, 2) as partial:
        assert len(partial) == 0


def test_two_evaluations_do_not_write_one_table(
    classifier: Classifier, index: DatasetIndex, settings: Settings, tmp_path: Path
) -> None:
    def second(what: str, done: int, _all: int) -> None:
        if (what, done) == ("Predicting", 4):
            with pytest.raises(PredictionsError, match="another evaluation"):
                run(classifier, index, settings, tmp_path)
            seen.append(done)

    seen: list[int] = []
    run(classifier, index, settings, tmp_path, progress=second)
    assert seen == [4]


def test_labels_that_the_model_does_not_know_are_refused(
    classifier: Classifier, index: DatasetIndex, settings: Settings, tmp_path: Path
) -> None:
    flu = index.root / "Flu" / "images"
    flu.mkdir(parents=True)
    (flu / "1.png").write_bytes(png(film(COVID, 1)))
    with pytest.raises(DatasetError, match="'Flu', which small does not know"):
        run(classifier, index_folder(index.root), settings, tmp_path)


def test_no_image_of_a_split_or_none_that_can_be_read(
    classifier: Classifier, index: DatasetIndex, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match="in a split that was asked for"):
        evaluate(classifier, index, np.full(len(index.table), "unused"), tmp_path, settings)
    for path in index.root.rglob("*.png"):
        path.write_text("no picture")
    with pytest.raises(DatasetError, match="None of the 21 images"):
        run(classifier, index, settings, tmp_path)


def test_lungs_are_the_databases_where_it_has_masks(
    classifier: Classifier, index: DatasetIndex, settings: Settings, tmp_path: Path
) -> None:
    masks = index.root / COVID / "masks"
    masks.mkdir()
    half = np.zeros((72, 60), np.uint8)
    half[:, :30] = 255
    (masks / "COVID-1.png").write_bytes(png(half))
    plain = run(classifier, index, settings, tmp_path)
    before = arrays_of(pd.read_csv(plain.table), CLASSES)[1]
    done = run(classifier, index, settings, tmp_path, lungs=True)
    assert done.resumed == 0, "a table without lungs is not enough"
    table = pd.read_csv(done.table).set_index("file")
    np.testing.assert_allclose(arrays_of(table, CLASSES)[1], before, atol=2e-5)
    assert table[FIELD].value_counts().to_dict() == {AUTOMATIC: 19, MASKS: 1}
    assert table.loc["COVID/images/COVID-1.png", AREA] == pytest.approx(0.5)
    assert table[INSIDE].dropna().between(0, 1).all()


class TestOrigin:
    """Which split an image is in decides whether a figure is honest."""

    @pytest.fixture
    def model(self, tmp_path: Path, index: DatasetIndex) -> Path:
        splits = ["train", "validation", "test", "train"] * 6
        table = index.table.assign(split=splits[: len(index.table)])
        write_split(tmp_path / "model" / "predictions.csv", table)
        return tmp_path / "model"

    def test_images_that_the_model_learnt_from_keep_their_split(self, model: Path, index: DatasetIndex) -> None:
        found = splits_for(index, model)
        assert found.splits.tolist() == (["train", "validation", "test", "train"] * 6)[: len(index.table)]
        assert "its own split is used" in found.notes[0]

    def test_the_same_images_in_another_format_are_recognised(
        self, model: Path, index: DatasetIndex, tmp_path: Path
    ) -> None:
        renamed = index.table.assign(file=index.table["file"].str.replace("/images", "").str.replace("png", "jpg"))
        found = splits_for(replace(index, table=renamed), model)
        assert found.splits.tolist() == splits_for(index, model).splits.tolist()

    def test_a_larger_set_around_it_is_recognised_and_the_rest_is_test(self, model: Path, index: DatasetIndex) -> None:
        more = index.table.assign(file="new/" + index.table["file"])
        found = splits_for(replace(index, table=pd.concat([index.table, more, more + "x"])), model)
        assert (found.splits[len(index.table) :] == "test").all()
        assert (found.splits[: len(index.table)] == "train").any()
        assert any("42 images are new" in note for note in found.notes)

    def test_another_hospitals_folder_is_all_test(self, model: Path, index: DatasetIndex) -> None:
        elsewhere = index.table.assign(file="ward/" + index.table["file"])
        found = splits_for(replace(index, table=elsewhere), model)
        assert set(found.splits) == {"test"}
        few = pd.concat([index.table.iloc[:2], elsewhere])
        warned = splits_for(replace(index, table=few), model)
        assert set(warned.splits) == {"test"}
        assert "2 files are named" in warned.notes[0]

    def test_a_split_file_decides(self, model: Path, index: DatasetIndex, tmp_path: Path) -> None:
        given = index.table.iloc[:6].assign(split="validation")
        write_split(tmp_path / "split.csv", given)
        found = splits_for(index, model, tmp_path / "split.csv")
        assert found.splits.tolist() == ["validation"] * 6 + ["unused"] * (len(index.table) - 6)
        assert "does not name" in found.notes[0]
        write_split(tmp_path / "other.csv", given.assign(file="x" + given["file"]))
        with pytest.raises(DatasetError, match=r"names none of the images.*'xCOVID"):
            splits_for(index, model, tmp_path / "other.csv")

    def test_a_model_without_a_table_says_that_its_split_is_unknown(self, index: DatasetIndex, tmp_path: Path) -> None:
        found = splits_for(index, tmp_path)
        assert set(found.splits) == {"test"}
        assert "not known" in found.notes[0]

    def test_other_splits_can_be_left_out(self, model: Path, index: DatasetIndex) -> None:
        found = only(splits_for(index, model), ("test", "validation"))
        assert set(found.splits) == {"test", "validation", "unused"}


def test_a_models_name_never_leads_out_of_the_folder() -> None:
    assert file_stem("../../etc/passwd") == "_.._etc_passwd"
    assert file_stem("..") == "model"
    assert file_stem("resnet18 v1.0+a") == "resnet18 v1.0+a"
