"""The runs of the training page: the list, what each shows, what can be done with it, promotion and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lungassist.experiments.launching import launch
from lungassist.jobs import Job, JobBoard
from lungassist.models.card import Card
from lungassist.models.promotion import promote
from lungassist.models.weights import choose_model, read_shelf
from lungassist.settings import Settings
from lungassist.training.config import RunConfig
from lungassist.training.recipe import Recipe
from pages.parts.training_fields import key_of
from tests.experiments.waiting_room import EPOCHS, board_of, finish_run, set_state
from tests.pages.driven import APP, shown, text
from tests.tiny import save_tiny_model

RECIPE = Recipe(architecture="mobilenet_v3_small", start="scratch", groups=("late",), size=32, epochs=2)


@pytest.fixture
def settings(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    save_tiny_model(tmp_path / "weights" / "old", seed=5)
    monkeypatch.setenv("LUNGASSIST_DATA_ROOTS", str(films.parent))
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.delenv("LUNGASSIST_MODEL", raising=False)
    monkeypatch.setattr(JobBoard, "open", board_of)
    return Settings.from_environment()


@pytest.fixture
def done(board: JobBoard, settings: Settings, films: Path) -> Job:
    """A finished run."""
    job = launch(board, RunConfig("quick", films, recipe=RECIPE), settings)
    finish_run(job.run_dir)
    set_state(settings, job.id, "done")
    return job


def opened(job: int | None = None) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    app = app.switch_page("pages/training.py")
    if job is not None:
        app.query_params["job"] = str(job)
    return shown(app.run())


def test_everybodys_runs_the_newest_first_with_their_places_in_the_queue(
    board: JobBoard, settings: Settings, films: Path
) -> None:
    jobs = [launch(board, RunConfig(name, films, recipe=RECIPE), settings) for name in ("first", "second", "third")]
    set_state(settings, jobs[0].id, "running")
    table = opened().dataframe[0].value
    assert table["name"].tolist() == ["third", "second", "first"]
    assert table["state"].tolist() == ["Queued, 2nd in line", "Queued, next", "Starting"]


def test_a_run_under_way_shows_its_progress_curves_gap_and_log(
    board: JobBoard, settings: Settings, films: Path
) -> None:
    job = launch(board, RunConfig("live", films, recipe=RECIPE), settings)
    set_state(settings, job.id, "running")
    status = {"state": "training", "epoch": 3, "epochs": 4, "step": 1, "steps": 2, "images_per_second": 50.0}
    (job.run_dir / "status.json").write_text(json.dumps({**status, "seconds_left": 600, "loss": 0.5}))
    (job.run_dir / "epochs.csv").write_text(EPOCHS)
    (job.run_dir / "log.txt").write_text("epoch 2 of 4\n")
    page = opened()
    bar = page.get("progress")[0].proto
    assert bar.text == "Epoch 3 of 4 · batch 1 of 2 · 50 images/s · 10 min left"
    assert bar.value == 62
    assert "+15.0 points" in text(page), "95 % in training, 80 % in validation"
    assert "fewer epochs may help" in text(page)
    assert "epoch 2 of 4" in text(page) and "loss 0.500" in text(page) and "CPU" in text(page)
    curves = [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]
    assert [trace["name"] for curve in curves for trace in curve["data"]] == ["Train", "Validation"] * 2


def test_where_the_average_lags_behind_fewer_epochs_are_not_advised(
    board: JobBoard, settings: Settings, films: Path, done: Job
) -> None:
    split = "file,label,split\n" + "".join(f"{i}.png,COVID,train\n" for i in range(640))
    (done.run_dir / "split.csv").write_text(split)
    page = opened()
    assert "+15.0 points" in text(page)
    assert "After 20 steps 96% of the moving average" in text(page), "0.998 ** 20"
    assert "Choose averaging 0.8, or more epochs." in text(page) and "fewer epochs" not in text(page)


def test_the_run_of_the_address_is_shown(board: JobBoard, settings: Settings, films: Path, done: Job) -> None:
    launch(board, RunConfig("later", films, recipe=RECIPE), settings)
    assert f"{done.id} · quick" in text(opened(done.id))
    assert "later" in text(opened())


def test_an_address_of_a_run_that_is_gone_says_so(done: Job) -> None:
    page = opened(99)
    assert "no run 99 any more" in text(page)
    assert f"{done.id} · quick" in text(page)


def test_a_queued_run_is_cancelled_and_resumed(board: JobBoard, settings: Settings, films: Path) -> None:
    job = launch(board, RunConfig("wait", films, recipe=RECIPE), settings)
    page = opened()
    shown(page.button(key="training_cancel").click().run())
    assert board.job(job.id).state == "cancelled"
    shown(page.button(key="training_resume").click().run())
    assert board.job(job.id).state == "queued"


def test_a_failed_run_says_why_and_can_be_resumed(board: JobBoard, settings: Settings, films: Path) -> None:
    job = launch(board, RunConfig("fails", films, recipe=RECIPE), settings)
    set_state(settings, job.id, "failed", cause="Out of memory at a batch size of 64. 32 would fit.")
    page = opened()
    assert "32 would fit" in text(page)
    shown(page.button(key="training_resume").click().run())
    assert board.job(job.id).state == "queued"


def test_what_the_board_refuses_is_one_message(done: Job, board: JobBoard, settings: Settings) -> None:
    page = opened()
    shutil.rmtree(done.run_dir)
    set_state(settings, done.id, "failed")
    shown(page.run())
    shown(page.button(key="training_resume").click().run())
    assert "is gone" in text(page)


def test_a_clone_fills_the_form(done: Job, films: Path) -> None:
    page = opened()
    shown(page.button(key="training_clone").click().run())
    assert page.selectbox(key="training_folder").value == str(films)
    assert page.number_input(key=key_of("size")).value == 32
    assert page.button_group(key="recipe_groups_mobilenet_v3_small").value == ["late"]
    assert page.text_input(key="training_name").value == "quick"


def test_deleting_says_what_goes_and_takes_the_folder_too(done: Job, board: JobBoard) -> None:
    page = opened()
    assert str(done.run_dir) in text(page) and "stays in `weights/`" in text(page)
    shown(page.button(key="training_delete_now").click().run())
    assert board.jobs() == [] and not done.run_dir.exists()
    assert "No run yet" in text(page)


def test_a_finished_run_is_compared_with_triage_honestly(done: Job, settings: Settings) -> None:
    page = opened()
    figures = page.dataframe[1].value.set_index("figure")
    assert figures.loc["Accuracy", "run"] == "90.0%"
    assert figures.loc["COVID-19 called Normal", "run"] == "20.0%"
    assert "different images" in text(page)
    assert "Drawn images only." in text(page), "a limitation of the card"


def test_promotion_and_back(done: Job, settings: Settings) -> None:
    page = opened()
    starts_with_it = page.toggle(key=f"training_promote_first {done.id}")
    assert not starts_with_it.value, "it was tested on other images, so its figures are no reason to"
    starts_with_it.set_value(True)
    page.text_input(key=f"training_promote_as {done.id}").set_value("new-model")
    shown(page.button(key="training_promote").click().run())
    assert [entry.name for entry in read_shelf(settings.weights_dir)] == ["new-model", "old"]
    assert choose_model(settings.weights_dir, None) == "new-model"
    assert "In weights/ as **new-model**" in text(page)
    shown(page.switch_page("pages/triage.py").run())
    assert page.selectbox(key="triage_model").value == "new-model"
    shown(page.switch_page("pages/training.py").run())
    shown(page.button(key="training_undo").click().run())
    assert [entry.name for entry in read_shelf(settings.weights_dir)] == ["old"]


def test_what_is_on_the_shelf_now_is_said_and_the_last_promotion_can_always_be_taken_back(
    done: Job, settings: Settings, board: JobBoard, tmp_path: Path
) -> None:
    promote(done.run_dir / "model", settings.weights_dir, name="alpha")
    page = opened()
    assert "In weights/ as **alpha** 1.0 and triage starts with it." in text(page)
    (settings.weights_dir / "DEFAULT").write_text("old\n")
    assert "In weights/ as **alpha** 1.0." in text(shown(page.run()))
    save_tiny_model(tmp_path / "elsewhere", seed=9)
    promote(tmp_path / "elsewhere", settings.weights_dir, name="alpha")
    said = text(shown(page.run()))
    assert "In weights/" not in said
    assert "promoted as **alpha** 1.0 and has since been replaced by alpha 2.0, which is another model" in said
    board.delete(done.id, with_run=True)
    assert "Promoted last: **alpha** 2.0" in text(shown(page.run()))
    shown(page.button(key="training_undo").click().run())
    assert Card.read(settings.weights_dir / "alpha" / "card.json").version == "1.0"
    shown(page.button(key="training_undo").click().run())
    assert [entry.name for entry in read_shelf(settings.weights_dir)] == ["old"]
    assert not [button for button in page.button if button.key == "training_undo"]


def test_a_name_that_cannot_be_is_refused_and_nothing_promoted(done: Job, settings: Settings) -> None:
    page = opened()
    page.text_input(key=f"training_promote_as {done.id}").set_value("../../etc")
    shown(page.button(key="training_promote").click().run())
    assert "cannot name a model" in text(page)
    assert [entry.name for entry in read_shelf(settings.weights_dir)] == ["old"]


@pytest.mark.parametrize("damaged", ["status.json", "epochs.csv", "config.json", "model/card.json", "audit.json"])
def test_a_damaged_run_breaks_neither_list_nor_page(done: Job, damaged: str) -> None:
    (done.run_dir / damaged).write_bytes(b"\xff\xfe[{]")
    page = opened()
    assert page.dataframe[0].value["name"].tolist() == ["quick"]
    assert "last line of the log" in text(page)


def test_a_run_whose_folder_is_gone_can_still_be_deleted(done: Job, board: JobBoard) -> None:
    shutil.rmtree(done.run_dir)
    page = opened()
    shown(page.button(key="training_delete_now").click().run())
    assert board.jobs() == []
