"""The triage page through Streamlit's own test driver: what a reader meets, without a browser."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from lungassist.classes import CLASSES, spoken
from lungassist.models.card import Card
from lungassist.models.members import ENSEMBLE, Member, digest_of
from lungassist.phantom import phantom_png
from lungassist.predict import Classifier
from lungassist.preprocess import Preprocessing
from tests.pages.driven import APP
from tests.tiny import save_tiny_model, tiny_card


@pytest.fixture
def app(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The application with one tiny model."""
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tiny_weights))
    monkeypatch.delenv("LUNGASSIST_MODEL", raising=False)
    monkeypatch.delenv("LUNGASSIST_SECOND_MODEL", raising=False)
    return AppTest.from_file(str(APP), default_timeout=60)


def table_of(app: AppTest) -> list[dict[str, object]]:
    return app.dataframe[0].value.to_dict("records")  # type: ignore[no-any-return]


def test_it_starts_with_a_welcome_and_the_notice(app: AppTest) -> None:
    app.run()
    assert not app.exception
    assert "no medical device" in app.caption[0].value
    assert app.title[0].value == "Triage"


def test_phantoms_are_classified_and_labelled_synthetic(app: AppTest) -> None:
    app.run()
    app.button[0].click().run()
    assert not app.exception
    rows = table_of(app)
    assert len(rows) == 4
    assert all("synthetic" in str(row["flags"]) for row in rows)
    assert {row["finding"] for row in rows} <= {spoken(name) for name in CLASSES}
    assert app.title[0].value == "Triage", "a page has a first heading"
    app.toggle(key="phantoms").set_value(False).run()
    assert not app.dataframe


def test_a_finding_says_whether_the_mirror_image_was_asked_about_too(app: AppTest, tiny_weights: Path) -> None:
    save_tiny_model(tiny_weights / "both", flip_test=True)
    app.run()
    app.button[0].click().run()
    for name, told in (("tiny", False), ("both", True)):
        app.selectbox(key="triage_model").set_value(name).run()
        assert not app.exception
        (caption,) = [each.value for each in app.caption if "probabilities calibrated" in each.value]
        assert ("mean over image and mirror image" in caption) is told


def test_a_finding_says_that_the_image_was_enhanced_for_the_model(app: AppTest, tiny_weights: Path) -> None:
    save_tiny_model(tiny_weights / "even", preprocessing=Preprocessing(size=32, enhancement="bands"))
    save_tiny_model(tiny_weights / "undone", preprocessing=Preprocessing(size=32, enhancement="undo-clahe"))
    app.run()
    app.button[0].click().run()
    named = {"tiny": "", "even": "images enhanced for it (bands)", "undone": "CLAHE undone where it is"}
    for name, words in named.items():
        app.selectbox(key="triage_model").set_value(name).run()
        assert not app.exception
        (caption,) = [each.value for each in app.caption if "probabilities calibrated" in each.value]
        for told in ("images enhanced for it (bands)", "CLAHE undone where it is"):
            assert (told in caption) is (told == words)


def test_a_second_reading_flags_what_two_models_disagree_on(app: AppTest, tiny_weights: Path) -> None:
    save_tiny_model(tiny_weights / "other", seed=3)
    save_tiny_model(tiny_weights / "two-classes", classes=("COVID", "Normal"))
    app.run()
    app.button[0].click().run()
    found = {}
    for name in ("other", "tiny"):
        app.selectbox(key="triage_model").set_value(name).run()
        found[name] = {row["file"]: row["finding"] for row in table_of(app)}
    assert app.selectbox(key="second").options == ["other"], "not itself, and none that knows other classes"
    app.selectbox(key="second").set_value("other").run()
    assert not app.exception
    differ = {file for file, finding in found["tiny"].items() if found["other"][file] != finding}
    rows = {str(row["file"]): row for row in table_of(app)}
    assert {file: row["finding"] for file, row in rows.items()} == found["tiny"]
    assert {file for file, row in rows.items() if "second reading differs" in str(row["flags"])} == differ
    assert differ, "else it shows nothing"
    captions = [caption.value for caption in app.caption if caption.value.startswith("Second reading **other**")]
    assert len(captions) == 1
    app.selectbox(key="triage_model").set_value("other").run()
    assert not app.exception
    assert app.selectbox(key="second").options == ["tiny"]
    assert not any(caption.value.startswith("Second reading") for caption in app.caption), "nothing reads after itself"


def test_an_ensemble_says_what_its_members_find_and_flags_where_they_differ(app: AppTest, tiny_weights: Path) -> None:
    card = save_tiny_model(tiny_weights / "other", seed=3)
    members = tuple(Member.of(each) for each in (Card.read(tiny_weights / "tiny" / "card.json"), card))
    both = tiny_card("both", architecture=ENSEMBLE, members=members, weights_sha256=digest_of(members))
    (tiny_weights / "both").mkdir()
    both.write(tiny_weights / "both" / "card.json")
    app.run()
    app.button[0].click().run()
    found = {}
    for name in ("other", "tiny", "both"):
        app.selectbox(key="triage_model").set_value(name).run()
        assert not app.exception
        found[name] = {str(row["file"]): row for row in table_of(app)}
    differ = {file for file, row in found["tiny"].items() if found["other"][file]["finding"] != row["finding"]}
    assert differ, "else it shows nothing"
    assert {file for file, row in found["both"].items() if "models differ" in str(row["flags"])} == differ
    assert any(caption.value.startswith("The mean of 2 models: tiny: ") for caption in app.caption)


def test_an_installation_may_have_every_study_read_twice(
    app: AppTest, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_tiny_model(tiny_weights / "other", seed=3)
    monkeypatch.setenv("LUNGASSIST_SECOND_MODEL", "other")
    monkeypatch.setenv("LUNGASSIST_MODEL", "tiny")
    app.run()
    assert app.selectbox(key="second").value == "other"
    app.button[0].click().run()
    assert not app.exception
    assert any(caption.value.startswith("Second reading **other**") for caption in app.caption)


def test_a_second_model_that_is_not_there_is_missed_aloud(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNGASSIST_SECOND_MODEL", "absent")
    app.run()
    assert not app.exception
    assert any("names absent, which is no usable model of the same classes" in warning.value for warning in app.warning)
    assert app.selectbox(key="second").value is None
    monkeypatch.setenv("LUNGASSIST_SECOND_MODEL", "tiny")  # the first model itself
    assert not app.run().warning


def test_a_default_model_that_is_not_there_is_missed_aloud_and_another_triages(
    app: AppTest, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_tiny_model(tiny_weights / "another", seed=3)
    (tiny_weights / "DEFAULT").write_text("tiny", encoding="utf-8")
    (tiny_weights / "broken").mkdir()
    (tiny_weights / "broken" / "card.json").write_text("{", encoding="utf-8")
    for named in ("resnet19", "broken"):
        monkeypatch.setenv("LUNGASSIST_MODEL", named)
        app.run()
        assert not app.exception
        assert not app.error
        assert any(f"LUNGASSIST_MODEL names {named}, which is no usable model: tiny" in w.value for w in app.warning)
        assert app.selectbox(key="triage_model").value == "tiny"
    app.button[0].click().run()
    assert len(table_of(app)) == 4


def test_a_default_that_cannot_be_used_leaves_the_choice_to_a_person(app: AppTest, tiny_weights: Path) -> None:
    save_tiny_model(tiny_weights / "another", seed=3)
    (tiny_weights / "DEFAULT").write_text("gone", encoding="utf-8")
    app.run()
    app.toggle(key="phantoms").set_value(True).run()
    assert not app.exception
    assert any("gone" in warning.value and "choose one here" in warning.value for warning in app.warning)
    assert app.selectbox(key="triage_model").value is None
    assert not app.dataframe, "no other model answers unasked"
    app.selectbox(key="triage_model").set_value("another").run()
    assert len(table_of(app)) == 4


def test_a_model_made_the_default_is_taken_unless_a_person_chose_another(app: AppTest, tiny_weights: Path) -> None:
    for name in ("another", "third"):
        save_tiny_model(tiny_weights / name, seed=3)
    default = tiny_weights / "DEFAULT"
    default.write_text("tiny", encoding="utf-8")
    app.run()
    assert app.selectbox(key="triage_model").value == "tiny"
    default.write_text("another", encoding="utf-8")
    assert app.run().selectbox(key="triage_model").value == "another"
    app.selectbox(key="triage_model").set_value("third").run()
    default.write_text("tiny", encoding="utf-8")
    assert app.run().selectbox(key="triage_model").value == "third"


@pytest.mark.parametrize("page", ["triage", "comparison", "training"])
def test_a_wrong_setting_is_said_in_words(app: AppTest, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app.run()
    monkeypatch.setenv("LUNGASSIST_BATCH_SIZE", "abc")
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    (error,) = [element.value for element in app.main.error]
    assert "LUNGASSIST_BATCH_SIZE must be a whole number from 1 to 1,000,000; it is 'abc'" in error


def test_no_other_model_triages_in_place_of_one_that_cannot_be_loaded(app: AppTest, tiny_weights: Path) -> None:
    save_tiny_model(tiny_weights / "whole", seed=3)
    app.run()
    app.button[0].click().run()
    weights = tiny_weights / "tiny" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    (tiny_weights / "tiny" / "card.json").touch()
    app.multiselect(key="compare").set_value(["whole"]).run()
    assert not app.exception
    assert any("Nothing can be triaged" in error.value for error in app.main.error)
    assert not app.dataframe


def test_every_file_gets_a_row_also_those_that_fail(app: AppTest) -> None:
    app.run()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("inner/normal.png", phantom_png("Normal", 1, 256))
        zipped.writestr("inner/readme.txt", "no image")
    files = [
        ("covid.png", phantom_png("COVID", 1, 256), "image/png"),
        ("empty.png", b"", "image/png"),
        ("page.html", b"<!doctype html><p>hello", "text/html"),
        ("studies.zip", archive.getvalue(), "application/zip"),
    ]
    app.file_uploader[0].set_value(files).run()
    assert not app.exception
    rows = {row["file"]: row for row in table_of(app)}
    assert {"covid.png", "empty.png", "page.html", "studies.zip/inner/normal.png"} <= set(rows)
    assert rows["empty.png"]["finding"] == rows["page.html"]["finding"] == "not usable"
    assert "empty.png" in str(rows["empty.png"]["notes"])
    assert rows["covid.png"]["finding"] != "not usable"


def test_a_folder_joins_the_files_that_are_there_and_brings_no_clutter(app: AppTest) -> None:
    app.run()
    image = phantom_png("Normal", 1, 256)
    app.file_uploader(key="files").set_value([("one.png", image, "image/png")]).run()
    folder = [("ward/two.png", image, "image/png"), ("ward/.DS_Store", b"x", "application/octet-stream")]
    app.file_uploader(key="folder").set_value(folder).run()
    assert not app.exception
    assert [row["file"] for row in table_of(app)] == ["one.png", "ward/two.png"]


def test_without_a_model_it_says_so_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path))
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not app.exception
    assert any("train.finetune" in error.value for error in app.error)


def test_a_damaged_model_is_named_and_no_traceback_shown(app: AppTest, tiny_weights: Path) -> None:
    weights = tiny_weights / "tiny" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 0xFF
    weights.write_bytes(bytes(data))
    app.run()
    assert not app.exception
    assert any("model.safetensors is damaged" in error.value for error in app.error)


def test_another_model_is_compared_side_by_side(app: AppTest, tiny_weights: Path) -> None:
    save_tiny_model(tiny_weights / "second", seed=1, version="2.0")
    app.run()
    app.button[0].click().run()
    app.multiselect(key="compare").set_value(
        ["second" if app.selectbox(key="triage_model").value == "tiny" else "tiny"]
    ).run()
    assert not app.exception
    assert any("several models" in header.value for header in app.subheader)


def test_a_rerun_loads_no_model_and_classifies_nothing(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Path] = []
    answers: list[int] = []
    load, predict = Classifier.load, Classifier.predict

    def counted_load(folder: Path, *rest: Any) -> Classifier:
        loads.append(folder)
        return load(folder, *rest)

    def counted_predict(self: Classifier, images: Any, explain: str | None = "gradcam") -> Any:
        answers.append(len(images))
        return predict(self, images, explain)

    monkeypatch.setattr(Classifier, "load", counted_load)
    monkeypatch.setattr(Classifier, "predict", counted_predict)
    app.run()
    app.button[0].click().run()
    app.segmented_control(key="order").set_value("As uploaded").run()
    app.run()
    assert not app.exception
    assert len(loads) == 1
    assert sum(answers) == 4


def test_a_visit_to_another_page_loses_nothing(app: AppTest, tiny_weights: Path) -> None:
    save_tiny_model(tiny_weights / "other", seed=3)
    save_tiny_model(tiny_weights / "third", seed=4)
    app.run()
    files = [(f"{kind}.png", phantom_png(kind, 1, 256), "image/png") for kind in ("COVID", "Normal")]
    app.file_uploader(key="files").set_value(files).run()
    app.toggle(key="phantoms").set_value(True).run()
    for key, value in (("triage_model", "third"), ("second", "other"), ("method", "hirescam")):
        app.selectbox(key=key).set_value(value).run()
    app.multiselect(key="compare").set_value(["tiny"]).run()
    app.segmented_control(key="order").set_value("As uploaded").run()
    before = table_of(app)
    for page in ("training", "comparison"):
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
        app.switch_page("pages/triage.py").run()
        assert not app.exception
        assert app.file_uploader(key="files").value == [], "else it shows nothing"
        assert table_of(app) == before
        app.run()
        assert table_of(app) == before
    assert [app.selectbox(key=key).value for key in ("triage_model", "second", "method")] == [
        "third",
        "other",
        "hirescam",
    ]
    assert (app.multiselect(key="compare").value, app.toggle(key="phantoms").value) == (["tiny"], True)
    assert any(caption.value.startswith("2 of the studies came before") for caption in app.caption)


def test_the_list_grows_after_a_visit_elsewhere_a_file_removed_still_goes_and_clearing_takes_all(app: AppTest) -> None:
    def names() -> list[object]:
        return [row["file"] for row in table_of(app)]

    app.run()
    image = phantom_png("Normal", 1, 256)
    app.file_uploader(key="files").set_value([("first.png", image, "image/png")]).run()
    app.switch_page("pages/comparison.py").run()
    app.switch_page("pages/triage.py").run()
    app.file_uploader(key="files").set_value([("second.png", image, "image/png")]).run()
    assert names() == ["first.png", "second.png"]
    app.file_uploader(key="files").set_value([]).run()
    assert names() == ["first.png"]
    app.file_uploader(key="files").set_value([("third.png", image, "image/png")]).run()
    app.toggle(key="phantoms").set_value(True).run()
    (clear,) = [button for button in app.button if button.label == "Clear the list"]
    clear.click().run()
    assert not app.exception
    assert not app.dataframe
    app.run()
    assert not app.dataframe, "neither uploader nor toggle brings anything back"


def test_every_study_is_reached_by_box_and_buttons_in_the_order_of_the_list(app: AppTest) -> None:
    app.run()
    image = phantom_png("Normal", 1, 256)
    names = ["same.png", "same.png", "third.png"]
    app.file_uploader(key="files").set_value([(name, image, "image/png") for name in names]).run()
    app.segmented_control(key="order").set_value("As uploaded").run()

    def now() -> tuple[str, bool, bool]:
        assert not app.exception
        box = app.selectbox(key="study")
        assert box.options == ["1. same.png", "2. same.png", "3. third.png"]
        assert box.label == "Study"
        chosen = box.options[[e.key for e in app.session_state["worklist"].entries].index(box.value)]
        assert app.text[0].value == chosen[3:], "the name beside the film"
        return chosen, app.button(key="previous").disabled, app.button(key="next").disabled

    assert now() == ("1. same.png", True, False)
    app.button(key="next").click().run()
    assert now() == ("2. same.png", False, False)
    app.button(key="next").click().run()
    assert now() == ("3. third.png", False, True)
    app.button(key="previous").click().run()
    assert now() == ("2. same.png", False, False)
    app.selectbox(key="study").select_index(2).run()
    assert now() == ("3. third.png", False, True)
    app.selectbox(key="study").select_index(0).run()
    app.run()
    assert now() == ("1. same.png", True, False)


def test_a_probability_reads_the_same_in_list_finding_bars_and_viewer(app: AppTest, tiny_weights: Path) -> None:
    save_tiny_model(tiny_weights / "sure", temperature=1e-14)
    app.run()
    app.button[0].click().run()
    app.selectbox(key="triage_model").set_value("sure").run()
    assert not app.exception
    assert any("probability >99%." in each.value for each in app.markdown)
    (bars,) = app.get("plotly_chart")
    assert sorted(json.loads(bars.proto.spec)["data"][0]["text"]) == ["<1%"] * 3 + [">99%"]
    shown = pa.ipc.open_stream(app.dataframe[0].proto.arrow_data.styler.display_values).read_pandas()
    assert set(shown.iloc[:, 2]) == {">99%"}
    words = " ".join(str(element.value) for kind in ("markdown", "caption", "warning") for element in app.get(kind))
    assert "100%" not in words
