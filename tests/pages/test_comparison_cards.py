"""The cards of the comparison page: every one with its figures, and what is wrong with a folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lungassist.preprocess import Preprocessing
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


def test_it_names_what_is_wrong_with_a_folder(page: AppTest) -> None:
    assert any("no model.safetensors" in error.value for error in page.error)


def test_a_record_is_shown_as_one_that_cannot_be_used(page: AppTest, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "lost", tmp_path / "records" / "vgg19_bn")
    page.run()
    assert not page.exception
    assert [heading.value for heading in page.subheader] == ["good", "lost", "vgg19_bn"]
    assert any("its weights are not here" in caption.value for caption in page.caption)
    assert len(page.error) == 1, "a record lacks nothing"
