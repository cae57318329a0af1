"""The cards of the comparison page: every one with its figures, and what is wrong with a folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lungassist.evaluation.predictions import write_predictions
from lungassist.models.weights import verify
from lungassist.preprocess import Preprocessing
from tests.evaluation.made import index_of, table_of
from tests.pages.driven import APP
from tests.tiny import save_tiny_model

FIGURES = {
    "test": {
        "accuracy": 0.925,
        "expected_calibration_error": 0.013,
        "per_class": {"COVID": {"precision": None, "recall": 0.5, "f1": None, "images": 4}},
        "confusion_matrix": [[4, 0, 0, 0], [0, 3, 0, 1], [0, 0, 5, 0], [0, 0, 0, 2]],
        "called_normal": {"COVID": 7, "Viral Pneumonia": 1},
    }
}


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    counts = {"train": {"COVID": 8, "Normal": 9}, "test": {"COVID": 4}}
    save_tiny_model(tmp_path / "good", figures=FIGURES, split={"counts": counts})
    save_tiny_model(tmp_path / "lost")
    (tmp_path / "lost" / "model.safetensors").unlink()
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path))
    app = AppTest.from_file(str(APP), default_timeout=60).run().switch_page("pages/comparison.py")
    app.query_params["view"] = "Cards"
    return app.run()


def test_it_shows_the_measured_figures_and_a_dash_for_the_undefined(page: AppTest) -> None:
    assert not page.exception
    assert {metric.label: metric.value for metric in page.metric} == {
        "Test accuracy": "92.50%",
        "Calibration error": "1.30%",
        "COVID-19 called Normal": "7",
        "Viral pneumonia called Normal": "1",
    }
    assert page.dataframe[0].value.to_dict("records")[0]["precision"] == "—"
    assert any("train 17, test 4" in caption.value for caption in page.caption)


def test_a_flip_test_is_said_of_a_model_that_has_one(page: AppTest, tmp_path: Path) -> None:
    assert not any("flip test" in caption.value for caption in page.caption)
    save_tiny_model(tmp_path / "both", flip_test=True)
    page.run()
    assert len([caption for caption in page.caption if "flip test" in caption.value]) == 1


def test_an_enhancement_is_said_of_a_model_that_has_one(page: AppTest, tmp_path: Path) -> None:
    assert not any("enhancement" in caption.value for caption in page.caption)
    save_tiny_model(tmp_path / "even", preprocessing=Preprocessing.named(size=64, enhancement="bands"))
    page.run()
    assert len([caption for caption in page.caption if "normalisation, enhancement bands" in caption.value]) == 1


def offer(app: AppTest) -> list[str]:
    """The buttons that put models together."""
    return [button.label for button in app.button if button.key == "ensemble_make"]


def with_tables(shelf: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        write_predictions(shelf / name / "predictions.csv", table_of(index_of(), seed=seed))
        save_tiny_model(shelf / name, seed=seed)


def test_models_are_put_together_and_their_ensemble_has_a_card(page: AppTest, tmp_path: Path) -> None:
    assert not offer(page), "a single model is no ensemble"
    with_tables(tmp_path, "one", "two")
    page.run()
    assert page.button(key="ensemble_make").disabled
    page.multiselect(key="ensemble_members").set_value(["one", "two"]).run()
    page.text_input(key="ensemble_name").set_value("both").run()
    page.checkbox(key="ensemble_default").check().run()
    page.button(key="ensemble_make").click().run()
    assert not page.exception
    assert (
        "**both** 1.0 is in weights/, and triage starts with it: one and two, asked together" in page.success[0].value
    )
    assert [heading.value for heading in page.subheader] == ["both", "good", "lost", "one", "two"]
    assert any("ensemble of one, two, version 1.0+" in caption.value for caption in page.caption)
    assert [member.name for member in verify(tmp_path / "both").members] == ["one", "two"]
    assert (tmp_path / "DEFAULT").read_text() == "both\n"
    assert page.multiselect(key="ensemble_members").options == ["good", "one", "two"], "it is no member itself"
    page.run()
    assert not page.success, "it was said"
    page.text_input(key="ensemble_name").set_value("both").run()
    assert any("**both** is there already" in caption.value for caption in page.caption)
    page.button(key="ensemble_undo").click().run()
    assert not page.exception
    assert "both was taken back" in page.success[0].value
    assert not (tmp_path / "both").exists()
    assert not (tmp_path / "DEFAULT").exists()


def test_what_cannot_be_put_together_is_said_and_nothing_is_lost(page: AppTest, tmp_path: Path) -> None:
    with_tables(tmp_path, "one")
    page.run()
    page.multiselect(key="ensemble_members").set_value(["one", "good"]).run()
    page.text_input(key="ensemble_name").set_value("both").run()
    page.button(key="ensemble_make").click().run()
    assert not page.exception
    assert any("has no predictions.csv" in error.value for error in page.error)
    assert page.multiselect(key="ensemble_members").value == ["one", "good"]
    assert page.text_input(key="ensemble_name").value == "both"
    assert not (tmp_path / "both").exists()


def test_it_names_what_is_wrong_with_a_folder(page: AppTest) -> None:
    assert any("no model.safetensors" in error.value for error in page.error)


def test_a_record_is_shown_as_one_that_cannot_be_used(page: AppTest, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "lost", tmp_path / "records" / "vgg19_bn")
    page.run()
    assert not page.exception
    assert [heading.value for heading in page.subheader] == ["good", "lost", "vgg19_bn"]
    assert any("its weights are not here" in caption.value for caption in page.caption)
    assert len(page.error) == 1, "a record lacks nothing"
