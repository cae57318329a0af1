"""The evaluation tab: what is said before, what is launched, how it is followed, and where its tables go."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lungassist.classes import CLASSES
from lungassist.dataset import index_folder
from lungassist.evaluation.predictions import write_predictions
from lungassist.experiments.evaluation_launch import launch_evaluation
from lungassist.experiments.evaluation_request import EvaluationRequest, request_of
from lungassist.files import write_json
from lungassist.jobs import Job, JobBoard
from lungassist.settings import Settings
from tests.drawn import write_films
from tests.evaluation.made import index_of, table_of
from tests.experiments.waiting_room import board_of, set_state
from tests.pages.driven import APP, opened_at, shown, text
from tests.tiny import save_tiny_model


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two models, one of which has a table; a folder of films with metadata; a board on which all jobs wait."""
    for seed, name in enumerate(("alpha", "beta")):
        save_tiny_model(tmp_path / "weights" / name, seed=seed)
    write_predictions(tmp_path / "weights" / "alpha" / "predictions.csv", table_of(index_of()))
    write_films(tmp_path / "root" / "films", dict.fromkeys(CLASSES, 3))
    (tmp_path / "root" / "films.csv").write_text("file,scanner\nCOVID/images/COVID-1.png,X\n")
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("LUNGASSIST_DATA_ROOTS", str(tmp_path / "root"))
    monkeypatch.delenv("LUNGASSIST_MODEL", raising=False)
    monkeypatch.setattr(JobBoard, "open", board_of)
    return Settings.from_environment()


def opened(**address: str) -> AppTest:
    return opened_at("comparison", timeout=120, **{"view": "Evaluate", **address})


def launched(board: JobBoard, settings: Settings, **more: object) -> Job:
    data = settings.data_roots[0] / "films"
    return launch_evaluation(board, EvaluationRequest("clinic", ("beta",), data, **more), settings)  # type: ignore[arg-type]


def finish(job: Job, settings: Settings) -> None:
    """What a job leaves that has come to its end."""
    index = index_folder(settings.data_roots[0] / "films").table.assign(split="test", model="beta", version="1.0")
    write_predictions(job.run_dir / "beta.csv", table_of(index))
    result = {"model": "beta", "images": 12, "unreadable": {"COVID/a.png": "no picture"}, "warning": ""}
    write_json(job.run_dir / "result.json", [result])
    set_state(settings, job.id, "done")


def test_the_form_counts_the_images_and_launches_what_was_chosen(board: JobBoard, settings: Settings) -> None:
    page = opened()
    assert "12 images" in text(page) and "COVID-19 3" in text(page)
    page.multiselect(key="evaluate_models").set_value(["alpha", "beta"])
    page.toggle(key="evaluate_lungs").set_value(True)
    shown(page.run())
    page.text_input(key="evaluate_name").set_value("second hospital")
    shown(page.run())
    shown(page.button(key="evaluate_go").click().run())
    (job,) = board.jobs()
    films = settings.data_roots[0] / "films"
    wanted = EvaluationRequest(
        "second hospital", ("alpha", "beta"), films, settings.data_roots[0] / "films.csv", None, True, "cpu"
    )
    assert request_of(job.run_dir) == wanted
    assert (job.kind, job.run_dir) == ("evaluate", settings.evaluations_dir / "second-hospital")
    assert "second-hospital" in text(page) and "Waiting for the CPU" in text(page)


def test_a_folder_that_will_not_do_says_why_and_cannot_be_launched_on(board: JobBoard, settings: Settings) -> None:
    films = settings.data_roots[0] / "films"
    (films / "COVID").rename(films / "Tuberculosis")
    page = opened()
    assert "'Tuberculosis' (3 images)" in text(page)
    assert page.button(key="evaluate_go").disabled
    (films.parent / "empty").mkdir()
    page = AppTest.from_file(str(APP), default_timeout=120).run().switch_page("pages/comparison.py")
    page.query_params["view"] = "Evaluate"
    page.session_state["evaluate_folder"] = str(films.parent / "empty")
    assert "at least two classes" in text(shown(page.run())) and "found: none" in text(page)


def test_training_images_are_named_before(settings: Settings) -> None:
    films = index_folder(settings.data_roots[0] / "films").table
    table = table_of(films.assign(split=["train", "validation", "test"] * 4))
    write_predictions(settings.weights_dir / "beta" / "predictions.csv", table)
    page = opened()
    shown(page.multiselect(key="evaluate_models").set_value(["beta"]).run())
    assert "beta was trained on 4 of these images" in text(page)


def test_progress_has_percent_speed_and_what_is_left_and_can_be_cancelled(board: JobBoard, settings: Settings) -> None:
    job = launched(board, settings)
    set_state(settings, job.id, "running")
    status = {"state": "evaluating", "message": "Asking beta", "done": 3, "total": 12}
    speed = {"images_per_second": 2.5, "seconds_left": 3.6}
    (job.run_dir / "status.json").write_text(json.dumps({**status, **speed}))
    (job.run_dir / "log.txt").write_text("a line of the log\n")
    page = opened()
    bar = page.get("progress")[0].proto
    assert bar.value == 25
    assert bar.text == "25% · Asking beta · 3 of 12 · 2.5 images/s · 4 s left"
    assert "a line of the log" in text(page)
    shown(page.button(key=f"evaluate_cancel {job.id}").click().run())
    assert board.job(job.id).state == "cancelling"


def test_a_failure_shows_its_reason_and_is_resumed(board: JobBoard, settings: Settings) -> None:
    job = launched(board, settings)
    set_state(settings, job.id, "failed", cause="The disk is full.")
    page = opened()
    assert "The disk is full." in text(page)
    shown(page.button(key=f"evaluate_resume {job.id}").click().run())
    assert board.job(job.id).state == "queued"


def test_its_tables_join_the_comparison_when_it_ends_and_stand_alone_on_demand(
    board: JobBoard, settings: Settings
) -> None:
    job = launched(board, settings)
    page = opened()
    shown(page.multiselect(key="tables").set_value(["alpha"]).run())
    finish(job, settings)
    shown(page.run())
    shown(page.run())
    assert page.multiselect(key="tables").value == ["alpha", "beta (clinic)"]
    assert "different images" in text(page), "they are no ranking, and that is said"
    assert "1 unreadable" in text(page) and "COVID/a.png" in text(page)
    shown(page.button(key=f"evaluate_only {job.id}").click().run())
    assert page.multiselect(key="tables").value == ["beta (clinic)"]
    assert page.session_state["view"] == "Leaderboard"


def test_deleting_takes_the_tables_out_of_the_comparison(board: JobBoard, settings: Settings) -> None:
    job = launched(board, settings)
    finish(job, settings)
    page = opened()
    assert page.multiselect(key="tables").value == ["alpha", "beta (clinic)"]
    assert "The models stay" in text(page)
    shown(page.button(key=f"evaluate_delete_now {job.id}").click().run())
    shown(page.run())
    assert not job.run_dir.exists() and board.jobs() == []
    assert page.multiselect(key="tables").value == ["alpha"]
    assert (settings.weights_dir / "beta" / "card.json").is_file()


def test_evaluations_are_no_runs_of_the_training_page(board: JobBoard, settings: Settings) -> None:
    launched(board, settings)
    page = AppTest.from_file(str(APP), default_timeout=120).run().switch_page("pages/training.py")
    page.session_state["training_view"] = "Runs"
    assert "No run yet" in text(shown(page.run()))


def test_what_has_no_lungs_offers_to_measure_them_and_what_has_shows_chance(settings: Settings) -> None:
    page = opened(view="Shortcut audit")
    assert "Not measured: alpha" in text(page)
    shown(page.button(key="comparison_lungs_measure").click().run())
    assert page.session_state["view"] == "Evaluate"
    assert page.multiselect(key="evaluate_models").value == ["alpha"]
    assert page.toggle(key="evaluate_lungs").value is True


def test_the_shares_are_those_of_the_html_and_lead_to_the_slices(settings: Settings) -> None:
    from lungassist.evaluation import sections
    from lungassist.evaluation.comparison import Comparison
    from lungassist.evaluation.evidence import AREA, FIELD, INSIDE
    from lungassist.evaluation.tables import read_tables

    path = settings.weights_dir / "alpha" / "predictions.csv"
    inside = np.random.default_rng(3).uniform(0.2, 0.6, 600)
    columns = {INSIDE: inside, AREA: 0.3, FIELD: "automatic"}
    write_predictions(path, table_of(index_of()).assign(**columns))
    page = opened(view="Shortcut audit")
    expected = sections.lungs(Comparison.of(read_tables([path])))
    shown_rows = next(frame.value for frame in page.dataframe if "Finding" in frame.value)
    assert [tuple(row) for row in shown_rows.to_numpy()] == list(expected.rows)
    assert "found automatically" in text(page) and "Not measured" not in text(page)
    (chart,) = (json.loads(chart.proto.spec) for chart in page.get("plotly_chart"))
    assert {trace["name"] for trace in chart["data"]} == {"alpha", "The lungs' share of the picture"}
    shown(page.button(key="comparison_lungs_slices").click().run())
    assert page.session_state["view"] == "Slices"
