"""The training page through Streamlit's own test driver: choosing data, filling the form, launching."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lungassist.errors import StoreError
from lungassist.experiments.launching import config_of
from lungassist.jobs import JobBoard
from lungassist.settings import Settings
from lungassist.training.recipe import Recipe
from pages.parts.training_fields import key_of
from tests.drawn import write_films
from tests.experiments.waiting_room import board_of
from tests.pages.driven import APP, shown
from tests.tiny import save_tiny_model


@pytest.fixture
def root(tmp_path: Path, films: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only root, with one data set and a model on the shelf; all jobs wait."""
    shutil.copytree(films, tmp_path / "root" / "films")
    save_tiny_model(tmp_path / "weights" / "tiny")
    monkeypatch.setenv("LUNGASSIST_DATA_ROOTS", str(tmp_path / "root"))
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.delenv("LUNGASSIST_MODEL", raising=False)
    monkeypatch.setattr(JobBoard, "open", board_of)
    return tmp_path / "root"


@pytest.fixture
def page(root: Path) -> AppTest:
    return opened()


def opened(folder: str | None = None) -> AppTest:
    """The page with the form on it; `folder` is what somebody typed."""
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    if folder is not None:
        app.session_state["training_folder"] = folder
    return shown(app.switch_page("pages/training.py").run())


def errors(app: AppTest) -> str:
    return " ".join(error.value for error in app.error)


def test_the_data_set_is_counted_compared_split_and_audited(page: AppTest) -> None:
    table = page.dataframe[0].value.set_index("class")
    assert table.loc["COVID-19", ["images", "public", "train"]].tolist() == [10, 3616, 8]
    assert table.loc["All", ["train", "validation", "test"]].sum() == 40
    assert "Folders were read" in " ".join(caption.value for caption in page.caption)
    for _ in range(20):
        if any("Audit: nothing stands out" in expander.label for expander in page.expander):
            break
        shown(page.run())
    else:
        pytest.fail("the audit did not come to its end")


def test_without_a_gpu_the_form_begins_with_the_quick_preset(page: AppTest) -> None:
    assert page.selectbox(key=key_of("architecture")).value == "mobilenet_v3_small"
    assert page.number_input(key=key_of("epochs")).value == 5
    assert not page.button(key="training_go").disabled


def test_an_average_that_so_few_steps_leave_near_its_start_is_told_before_the_launch(page: AppTest) -> None:
    page.number_input(key=key_of("averaging")).set_value(0.998)
    shown(page.number_input(key=key_of("batch_size")).set_value(8).run())
    assert any("After 20 steps 96% of the moving average" in warning.value for warning in page.warning)
    shown(page.number_input(key=key_of("averaging")).set_value(0.8).run())
    assert not any("moving average" in warning.value for warning in page.warning)


def test_teachers_are_chosen_from_the_shelf_and_launched_with(page: AppTest) -> None:
    teachers = page.multiselect(key=key_of("teachers"))
    assert teachers.options == ["tiny"]
    assert teachers.value == []
    assert Recipe.settings()["teachers"].help in teachers.help
    page = shown(teachers.select("tiny").run())
    page = shown(page.button(key="training_go").click().run())
    assert errors(page) == ""
    (job,) = board_of(Settings.from_environment()).jobs()
    assert config_of(job.run_dir).recipe.teachers == ("tiny",)


def test_every_setting_has_its_widget_with_its_help_and_range(page: AppTest) -> None:
    widgets = {w.key: w for kind in ("selectbox", "number_input", "toggle") for w in page.get(kind)}
    for name, setting in Recipe.settings().items():
        if setting.kind is tuple:
            continue
        widget = widgets[key_of(name)]
        assert setting.help in widget.help, name
        if setting.low is not None:
            assert (widget.min, widget.max) == (setting.low, setting.high), name


def test_a_preset_fills_the_form_and_its_run_is_launched_as_it_is(page: AppTest) -> None:
    shown(page.selectbox(key="training_preset").set_value("paper/AlexNet").run())
    assert page.selectbox(key=key_of("architecture")).value == "alexnet"
    assert page.text_input(key="training_name").value == "AlexNet"
    assert "no image of the class" in errors(page), "ten images a class are too few for the paper's split"
    assert page.button(key="training_go").disabled
    shown(page.selectbox(key=key_of("split")).set_value("patient").run())
    shown(page.number_input(key=key_of("epochs")).set_value(2).run())
    assert "epochs 2" in " ".join(caption.value for caption in page.caption)
    shown(page.button(key="training_go").click().run())
    (job,) = board_of(Settings.from_environment()).jobs()
    recipe = config_of(job.run_dir).recipe
    assert (recipe.architecture, recipe.optimiser, recipe.epochs, recipe.split) == ("alexnet", "adam", 2, "patient")
    assert recipe.groups == ("last_convolution", "classifier")
    assert page.dataframe[0].value["name"].tolist() == ["AlexNet"]
    assert page.query_params["job"] == str(job.id)


def test_the_baseline_is_launched_as_one(page: AppTest) -> None:
    shown(page.selectbox(key="training_preset").set_value("paper/Logistic Regression").run())
    shown(page.selectbox(key=key_of("split")).set_value("patient").run())
    shown(page.button(key="training_go").click().run())
    (job,) = board_of(Settings.from_environment()).jobs()
    assert job.kind == "baseline"


def test_settings_that_do_not_fit_are_said_and_nothing_is_lost(page: AppTest) -> None:
    shown(page.number_input(key=key_of("epochs")).set_value(7).run())
    shown(page.button_group(key="recipe_groups_mobilenet_v3_small").set_value([]).run())
    assert "At least one group" in errors(page)
    assert page.button(key="training_go").disabled
    groups = ["late", "classifier"]
    shown(page.button_group(key="recipe_groups_mobilenet_v3_small").set_value(groups).run())
    assert not errors(page) and not page.button(key="training_go").disabled
    assert page.number_input(key=key_of("epochs")).value == 7


def test_a_start_from_another_network_is_said_before_the_launch(page: AppTest) -> None:
    shown(page.selectbox(key=key_of("architecture")).set_value("resnet18").run())
    shown(page.selectbox(key=key_of("start")).set_value("tiny").run())
    assert "tiny is a mobilenet_v3_small" in errors(page)
    assert page.button(key="training_go").disabled


def test_the_form_keeps_its_values_over_other_views_and_pages(page: AppTest) -> None:
    shown(page.number_input(key=key_of("batch_size")).set_value(11).run())
    shown(page.switch_page("pages/comparison.py").run())
    shown(page.switch_page("pages/training.py").run())
    assert page.number_input(key=key_of("batch_size")).value == 11


def test_a_folder_outside_of_the_roots_is_refused(root: Path) -> None:
    write_films(root.parent / "secret", {"COVID": 3, "Normal": 3})
    page = opened("../secret")
    assert "outside of the folders that may be trained on" in errors(page)
    assert page.button(key="training_go").disabled
    assert not page.dataframe


def test_a_folder_of_one_class_is_refused(root: Path) -> None:
    write_films(root / "one", {"COVID": 3})
    page = opened("one")
    assert "two classes" in errors(page)


def test_too_few_images_for_a_split_are_said(root: Path) -> None:
    write_films(root / "few", {"COVID": 2, "Normal": 9})
    page = opened("few")
    assert "at least 3" in errors(page)


def test_without_data_it_says_where_to_put_some(root: Path) -> None:
    shutil.rmtree(root)
    app = opened()
    assert str(root) in app.info[0].value and "LUNGASSIST_DATA_ROOTS" in app.info[0].value
    assert app.button(key="training_go").disabled


def test_a_database_that_cannot_be_used_is_one_message(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(_: Settings) -> JobBoard:
        raise StoreError("The database is locked by another program.")

    monkeypatch.setattr(JobBoard, "open", locked)
    app = opened()
    assert [error.value for error in app.error] == ["The database is locked by another program."]


def test_a_launch_that_fails_keeps_the_form(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(JobBoard, "submit", full)
    shown(page.number_input(key=key_of("epochs")).set_value(9).run())
    shown(page.button(key="training_go").click().run())
    assert "The disk is full." in errors(page)
    assert page.number_input(key=key_of("epochs")).value == 9
