"""The comparison page: what each view says of tables, and what the address holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.predictions import write_predictions
from lungassist.evaluation.tables import read_tables
from pages.parts.literal import literal
from tests.drawn import film, png
from tests.evaluation.made import index_of, table_of
from tests.pages.driven import opened_at, shown, text
from tests.tiny import tiny_card

SKILLS = {"alpha": 3.0, "beta": 2.0, "gamma": 1.0}


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three tables of the same images on the shelf, of recipes that differ in their optimiser or in more."""
    recipes = {"alpha": {"optimiser": "adam"}, "beta": {"optimiser": "sgd"}, "gamma": {"optimiser": "sgd", "size": 32}}
    for seed, (name, skill) in enumerate(SKILLS.items()):
        put(tmp_path / "weights" / name, skill=skill, seed=seed)
        tiny_card(name, hyper_parameters=recipes[name]).write(tmp_path / "weights" / name / "card.json")
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("LUNGASSIST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LUNGASSIST_DATA_ROOTS", str(tmp_path / "root"))
    return tmp_path / "weights"


def put(folder: Path, count: int = 600, **how: float) -> None:
    write_predictions(folder / "predictions.csv", table_of(index_of(count), **how))  # type: ignore[arg-type]


def reference(weights: Path, *names: str) -> Comparison:
    return Comparison.of(read_tables([weights / name / "predictions.csv" for name in names or SKILLS]))


def opened(**address: str | list[str]) -> AppTest:
    return opened_at("comparison", **address)


def table(app: AppTest, column: str) -> list[object]:
    found = next(frame.value for frame in app.dataframe if column in frame.value)
    return list(found[column])


def test_the_leaderboard_has_every_model_best_first_and_names_the_rules_choice(weights: Path) -> None:
    page = opened(tables=["gamma", "alpha", "beta"])
    expected = reference(weights)
    assert table(page, "model") == list(SKILLS)
    assert table(page, "accuracy") == [100 * row.accuracy.value for row in expected.leaderboard]
    assert page.subheader[0].value == expected.choice.name
    assert literal(expected.choice.reason) in text(page)


def test_published_rows_stand_apart_and_are_never_among_the_measured(weights: Path) -> None:
    page = opened()
    assert "ResNet50" not in table(page, "model")
    assert table(page, "Model") == ["AlexNet", "VGG19_bn", "ResNet50", "Logistic Regression"]
    assert "Published, not measured here" in text(page)


def test_the_address_chooses_tables_split_and_view(weights: Path) -> None:
    page = opened(tables=["gamma", "beta"], split="Validation", view="Leaderboard")
    assert table(page, "model") == ["beta", "gamma"]
    validation = Comparison.of(read_tables([weights / "gamma" / "predictions.csv"]), split="validation")
    assert table(page, "images")[0] == validation.leaderboard[0].images


def test_a_cell_shows_its_images_and_the_next_cell_others(weights: Path) -> None:
    page = opened(view="Confusion")
    shown(page.selectbox(key="model").set_value("gamma").run())
    shown(page.selectbox(key="called").set_value("Lung_Opacity").run())
    expected = reference(weights).cell("gamma", "COVID", "Lung_Opacity")
    assert len(expected) > 0
    assert table(page, "file") == expected["file"].tolist()
    assert f"{len(expected)} COVID-19 images called Lung opacity by gamma" in text(page)
    assert "LUNGASSIST_DATA_ROOTS" in text(page)


def test_the_images_of_a_cell_are_seen_where_their_folder_is_here(weights: Path) -> None:
    root = weights.parent / "root"
    for number, (file, label) in enumerate(index_of()[["file", "label"]].itertuples(index=False)):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(png(film(label, number % 3)))
    page = opened(view="Confusion", model="gamma")
    count = len(reference(weights).cell("gamma", "COVID", "Normal"))
    assert 0 < len(page.get("image")) == min(count, 12)


def test_head_to_head_counts_what_each_gets_right_alone(weights: Path) -> None:
    page = opened(view="Head to head", a="alpha", b="gamma")
    expected = reference(weights).head_to_head("alpha", "gamma")
    figures = {metric.label: metric.value for metric in page.metric}
    assert figures["Only alpha right"] == str(expected.only_a)
    assert figures["Only gamma right"] == str(expected.only_b)
    assert figures["McNemar, exact"] == "p < 0.001"
    assert "**alpha** is right more often, by more than chance" in text(page)
    differ = reference(weights).disagreements("alpha", "gamma")
    assert table(page, "image") == [Path(file).name for file in differ["file"]]


def test_models_of_different_images_are_no_ranking_until_only_the_common_ones_count(weights: Path) -> None:
    put(weights / "gamma", count=500, skill=1.0)
    page = opened()
    assert "evaluated on different images" in text(page)
    shown(page.toggle(key="common").set_value(True).run())
    assert "evaluated on different images" not in text(page)
    assert len(set(table(page, "images"))) == 1


def test_the_threshold_begins_where_validation_puts_it_and_can_be_moved(weights: Path) -> None:
    page = opened(view="Operating point", of="beta")
    point = reference(weights).operating_point("beta").outcome
    slider = page.select_slider(key="threshold")
    assert slider.value == point.threshold
    assert page.metric[0].value == str(point.missed)
    # One that misses more is further right.
    moved = shown(slider.set_value(reference(weights).sweep("beta").threshold[-1]).run())
    assert int(moved.metric[0].value) > point.missed
    assert "Moved by hand" in text(moved)
    shown(moved.number_input(key="sensitivity").set_value(90.0).run())
    assert (
        moved.select_slider(key="threshold").value
        == reference(weights).operating_point("beta", target=0.9).outcome.threshold
    )


def test_recipes_that_differ_in_one_setting_stand_side_by_side(weights: Path) -> None:
    page = opened(view="Ablations")
    assert table(page, "A") == ["Adam (alpha)", "not set (beta)"]
    assert table(page, "B") == ["SGD (beta)", "32 (gamma)"]


@pytest.mark.parametrize("view", ["Confusion", "Head to head", "Curves", "Slices", "Operating point", "Ablations"])
def test_one_table_alone_can_be_looked_at(weights: Path, view: str) -> None:
    opened(view=view, tables=["beta"])


def test_a_broken_table_is_left_out_with_its_reason(weights: Path) -> None:
    path = weights / "beta" / "predictions.csv"
    path.write_text(path.read_text().replace("probability_COVID", "probability_Covfefe", 1))
    page = opened()
    assert table(page, "model") == ["alpha", "gamma"]
    assert "beta" in page.warning[0].value and "Covfefe" in page.warning[0].value


def test_without_a_table_it_says_how_to_get_one(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(weights.parent / "none"))
    assert "python -m lungassist evaluate" in text(opened())


def test_no_table_chosen_is_no_error(weights: Path) -> None:
    page = opened()
    shown(page.multiselect(key="tables").set_value([]).run())
    assert "choose at least one table" in text(page)


def figures(page: AppTest) -> list[dict[str, Any]]:
    """The page's figures, as Plotly gets them."""
    return [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]


def test_models_of_one_evaluation_stand_on_rows_of_their_own(weights: Path) -> None:
    folder = weights.parent / "home" / "evaluations" / "COVID-19_Radiography_Dataset"
    models = [f"efficientnet_lite2{end}" for end in ("", "-chest", "-harmonised")]
    for seed, name in enumerate(models):
        write_predictions(folder / f"{name}.csv", table_of(index_of(), 2.0, 10 + seed))
    names = [f"{name} ({folder.name})" for name in models]
    accuracy, missed = figures(opened(tables=names))
    for figure in (accuracy, missed):
        assert sorted(figure["data"][0]["y"]) == [0, 1, 2]
        labels = figure["layout"]["yaxis"]["ticktext"]
        assert len(set(labels)) == len(labels)
    assert accuracy["data"][1]["y"] == [3, 4, 5, 6], "what the paper printed, below the line"
    head = opened(tables=names, view="Head to head")
    assert len({metric.label for metric in head.metric}) == 4


@pytest.mark.parametrize("name", ["Images", "Model"])
def test_slices_by_a_property_that_is_called_as_a_column_of_the_page(weights: Path, name: str) -> None:
    made = table_of(index_of()).assign(**{name: ["few" if i % 2 else "many" for i in range(600)]})
    write_predictions(weights / "alpha" / "predictions.csv", made)
    page = opened(view="Slices", by=name, tables=["alpha"])
    assert set(table(page, f"{name} (property)")) == {"few", "many"}


def test_a_name_is_shown_as_it_is_written_and_not_as_markup(weights: Path) -> None:
    folder = weights.parent / "home" / "evaluations" / "[a](b) <b>*x* $1$"
    write_predictions(folder / "sure.csv", table_of(index_of(), 9.0, 10))
    name = f"sure ({folder.name})"
    page = opened(tables=[name, "beta"])
    assert page.subheader[0].value == literal(name), "the rule's choice"
    assert any(literal(name) in each.value for each in page.markdown)
    assert not any("[a](b)" in each.value for each in page.markdown)
    accuracy, *_ = figures(page)
    assert "&lt;b&gt;" in "".join(accuracy["layout"]["yaxis"]["ticktext"])


def test_the_model_of_triage_is_not_that_of_a_matrix(weights: Path) -> None:
    page = opened(view="Confusion", tables=["beta"])
    assert page.selectbox(key="model").value == "beta"
    shown(page.switch_page("pages/triage.py").run())
    shown(page.switch_page("pages/comparison.py").run())
    assert page.selectbox(key="model").value == "beta"


def test_slices_of_models_that_saw_different_images_say_how_many_each(weights: Path) -> None:
    put(weights / "gamma", count=300, skill=1.0)
    (figure,) = figures(opened(view="Slices", tables=["alpha", "gamma"]))
    expected = reference(weights, "alpha", "gamma").slices("source")
    north = sorted(part.images for part in expected if part.value == "north")
    assert f"north ({north[0]} to {north[1]})" in figure["layout"]["yaxis"]["ticktext"]
    (figure,) = figures(opened(view="Slices", tables=["alpha", "beta"]))
    assert f"north ({north[1]})" in figure["layout"]["yaxis"]["ticktext"]


def test_a_figure_of_one_row_has_room_for_its_axis(weights: Path) -> None:
    made = table_of(index_of()).assign(dose=[str(i) if i < 13 else "9" for i in range(600)], split="test")
    write_predictions(weights / "alpha" / "predictions.csv", made)
    accuracy, missed = figures(opened(tables=["alpha"]))
    assert missed["layout"]["height"] >= 120
    assert accuracy["layout"]["height"] >= 120
    (slices,) = figures(opened(view="Slices", by="dose", tables=["alpha"]))
    assert slices["layout"]["height"] - 44 * len(slices["layout"]["yaxis"]["ticktext"]) >= 110
