"""The worklist: nothing is computed twice, nothing is lost, the most urgent comes first."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lungassist.classes import CLASSES
from lungassist.errors import DamagedImageError
from lungassist.imaging import Study
from lungassist.models.operating_point import HIGHEST_PROBABILITY, OperatingRule
from lungassist.models.registry import build
from lungassist.phantom import phantom_png
from lungassist.predict import Classifier
from lungassist.preprocess import Preprocessing
from lungassist.settings import Settings
from lungassist.triage import Finding, MemberReading, Refused, Triaged, judged_anew, read_again
from lungassist.worklist import (
    Asked,
    Outcome,
    Worklist,
    finding_json,
    findings_csv,
    outcome_of,
    row_of,
    sentence,
    urgency,
)
from tests.models.test_operating_point import point
from tests.tiny import tiny_card

METHOD = "gradcam"


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(build("mobilenet_v3_small", 4), tiny_card())


class CountingStudy:
    """Counts how often its bytes are asked for."""

    def __init__(self, kind: str) -> None:
        self.kind, self.reads = kind, 0

    def __call__(self) -> bytes:
        self.reads += 1
        return phantom_png(self.kind, 1, 128)


def finding(label: str, share: float, *, plausible: bool = True, name: str = "a.png") -> Finding:
    rest = (1 - share) / 3
    probabilities = {c: share if c == label else rest for c in CLASSES}
    contagious = label in ("COVID", "Viral Pneumonia")
    return Finding(
        name, "ab" * 32, "m", "1.0+0", "argmax", label, probabilities, share - rest, contagious, plausible, ()
    )


def triaged(*args: object, **options: object) -> Outcome:
    return Triaged(finding(*args, **options), np.zeros((4, 2, 2), np.float32), None)  # type: ignore[arg-type]


def failing() -> Iterator[Study]:
    yield Study.failing("bad.png", DamagedImageError("bad.png is damaged"))


def test_a_rerun_reads_and_classifies_nothing_again(classifier: Classifier) -> None:
    source = CountingStudy("Normal")
    here = Worklist()
    here.add("upload-1", [Study("one.png", source)])
    here.triage(classifier, Settings.from_environment(), METHOD)
    first = here.entries[0].outcomes
    before = dict(first)
    here.triage(classifier, Settings.from_environment(), METHOD)
    assert source.reads == 1
    assert first == before


@pytest.mark.parametrize(
    "change",
    [
        {"flip_test": True},
        {"temperature": 3.0},
        {"preprocessing": Preprocessing(size=32, enhancement="bands")},
        {"name": "namesake"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_models_of_the_same_weights_do_not_share_their_answers(change: dict[str, Any]) -> None:
    card = tiny_card()
    first = Classifier(build("mobilenet_v3_small", 4), card)
    other = Classifier(build("mobilenet_v3_small", 4), replace(card, **change))
    assert other.card.full_version == card.full_version
    here, alone = Worklist(), Worklist()
    for each, models in ((here, (first, other)), (alone, (other,))):
        each.add("upload-1", [Study("one.png", CountingStudy("COVID"))])
        for model in models:
            each.triage(model, Settings.from_environment(), METHOD)
    got, expected = (outcome_of(each["upload-1/0"], other, METHOD) for each in (here, alone))
    assert isinstance(got, Triaged)
    assert isinstance(expected, Triaged)
    assert got.finding == expected.finding
    assert got.finding.model == other.card.name


def test_looking_twice_at_a_study_reads_it_once(classifier: Classifier) -> None:
    source = CountingStudy("Normal")
    here = Worklist()
    here.add("upload-1", [Study("one.png", source)])
    settings = Settings.from_environment()
    assert here.radiograph(here.entries[0], settings) is here.radiograph(here.entries[0], settings)
    assert source.reads == 1


def test_a_new_upload_keeps_the_results_of_the_earlier_ones(classifier: Classifier) -> None:
    here = Worklist()
    source = CountingStudy("COVID")
    here.add("upload-1", [Study("one.png", source)])
    here.triage(classifier, Settings.from_environment(), METHOD)
    here.add("upload-2", [Study("one.png", CountingStudy("Normal")), *failing()])
    counts: list[tuple[int, int]] = []
    here.triage(classifier, Settings.from_environment(), METHOD, progress=lambda *now: counts.append(now))
    assert counts == [(1, 2), (2, 2)]
    assert source.reads == 1
    assert [entry.key for entry in here.entries] == ["upload-1/0", "upload-2/0", "upload-2/1"]
    assert isinstance(here["upload-2/1"].outcomes[Asked.of(classifier.card, METHOD)], Refused)


def test_dropping_an_upload_takes_all_of_it_and_nothing_else() -> None:
    here = Worklist()
    here.add("a/b", [Study("1", bytes), Study("2", bytes)])
    here.add("a", [Study("3", bytes)])
    here.drop(["a/b"])
    assert [entry.study.name for entry in here.entries] == ["3"]


def test_the_most_urgent_comes_first() -> None:
    outcomes = {
        "contagious sure": triaged("COVID", 0.9),
        "contagious": triaged("Viral Pneumonia", 0.6),
        "opacity": triaged("Lung_Opacity", 0.9),
        "unsure normal": triaged("Normal", 0.35),
        "implausible": triaged("COVID", 0.99, plausible=False),
        "normal": triaged("Normal", 0.95),
        "failed": Refused("bad.png", DamagedImageError("damaged")),
    }
    order = sorted(outcomes, key=lambda name: urgency(outcomes[name]))
    assert order == ["contagious sure", "contagious", "opacity", "implausible", "unsure normal", "normal", "failed"]


def test_an_implausible_image_gets_no_finding_in_words() -> None:
    assert sentence(finding("COVID", 0.99, plausible=False)).startswith("No reliable finding")
    assert "little margin" in sentence(finding("COVID", 0.3))
    row = row_of("a.png", triaged("COVID", 0.99, plausible=False))
    assert row["flags"] == "doubtful image"


def test_csv_has_a_row_for_every_study_and_starts_no_formula() -> None:
    outcomes = [triaged("COVID", 0.9, name="=HYPERLINK(1).png"), Refused("bad.png", DamagedImageError("damaged"))]
    rows = list(csv.DictReader(io.StringIO(findings_csv(outcomes, CLASSES))))
    assert rows[0]["file"] == "'=HYPERLINK(1).png"
    assert float(rows[0]["probability_COVID"]) == pytest.approx(0.9)
    assert rows[0]["finding"] == "COVID"
    assert (rows[1]["file"], rows[1]["error_code"], rows[1]["finding"]) == ("bad.png", "damaged_image", "")


def test_a_row_that_is_copied_to_a_spreadsheet_starts_no_formula() -> None:
    name = "=HYPERLINK(1).png"
    bad = row_of(name, Refused(name, DamagedImageError(f"{name} is damaged")))
    assert (bad["file"], bad["notes"]) == (f"'{name}", f"'{name} is damaged")
    assert row_of(name, triaged("COVID", 0.9, name=name))["file"] == f"'{name}"
    assert row_of("a-1.png", triaged("COVID", 0.9))["file"] == "a-1.png"


def test_json_of_a_study_names_model_and_probabilities() -> None:
    values = json.loads(finding_json(triaged("Normal", 0.7)))
    assert set(values["probabilities"]) == set(CLASSES)
    assert values["model_version"] == "1.0+0"
    assert json.loads(finding_json(Refused("b", DamagedImageError("no"))))["error"]["code"] == "damaged_image"


def test_no_probability_reads_as_certainty() -> None:
    assert sentence(finding("COVID", 0.998)) == "COVID-19, probability >99%."
    assert sentence(finding("Normal", 0.987)) == "Normal, probability 99%."


def test_a_warning_words_a_probability_as_the_finding_does() -> None:
    sure = read_again(finding("Normal", 0.998), finding("COVID", 0.996))
    assert "m finds COVID-19 (>99%), m Normal (>99%)" in sure.warnings[0]
    made = judged_anew(Triaged(overruled("COVID", "Normal", 0.998), None, None), tiny_card()).finding
    assert made.warnings == ()
    pointed = judged_anew(
        Triaged(overruled("COVID", "Normal", 0.998), None, None),
        tiny_card(operating_point=OperatingRule(contagious=point(0.0))),
    )
    assert "would say Normal (>99%)" in pointed.finding.warnings[0]


def overruled(label: str, first: str, share: float) -> Finding:
    """A finding that the operating point made, where `first` is the most probable."""
    probabilities = {c: share if c == first else (1 - share) / 3 for c in CLASSES}
    contagious = label in ("COVID", "Viral Pneumonia")
    margin = share - (1 - share) / 3
    return Finding("a.png", "ab" * 32, "m", "1.0+0", "words", label, probabilities, margin, contagious, True, ())


def test_the_order_follows_the_operating_point() -> None:
    outcomes = {
        "contagious by the point": Triaged(overruled("COVID", "Normal", 0.9), None, None),
        "opacity": triaged("Lung_Opacity", 0.9),
        "normal by the point": Triaged(overruled("Normal", "Lung_Opacity", 0.9), None, None),
        "normal": triaged("Normal", 0.95),
    }
    assert sorted(outcomes, key=lambda name: urgency(outcomes[name])) == list(outcomes)


def test_words_and_row_say_that_the_operating_point_decided() -> None:
    made = overruled("COVID", "Normal", 0.9)
    assert sentence(made) == "COVID-19 by the operating point, probability 3%; most probable is Normal, 90%."
    row = row_of("a.png", Triaged(made, None, None))
    assert row["flags"] == "suspected contagious, by operating point"
    assert (row["finding"], row["probability"]) == ("COVID-19", pytest.approx(0.1 / 3))
    (line,) = csv.DictReader(io.StringIO(findings_csv([Triaged(made, None, None)], CLASSES)))
    assert (line["finding"], line["suspected_contagious"], line["operating_point"]) == ("COVID", "True", "words")


def test_studies_in_hand_follow_a_new_operating_point_and_back_without_asking_the_model() -> None:
    network, source, here = build("mobilenet_v3_small", 4), CountingStudy("Normal"), Worklist()
    here.add("upload-1", [Study("one.png", source), *failing()])

    def judged_by(rule: OperatingRule) -> Outcome:
        classifier = Classifier(network, tiny_card(operating_point=rule))
        here.triage(classifier, Settings.from_environment(), METHOD)
        return here["upload-1/0"].outcomes[Asked.of(classifier.card, METHOD)]

    before = judged_by(HIGHEST_PROBABILITY)
    assert isinstance(before, Triaged)
    everybody_is = OperatingRule(contagious=point(0.0))
    after = judged_by(everybody_is)
    assert isinstance(after, Triaged)
    assert after.finding.suspected_contagious
    assert after.finding.operating_point == everybody_is.words
    assert after.finding.probabilities == before.finding.probabilities
    assert after.heat_maps is before.heat_maps
    again = judged_by(HIGHEST_PROBABILITY)
    assert isinstance(again, Triaged)
    assert again.finding == before.finding
    assert source.reads == 1


def read_twice(first: Finding, second: Finding) -> Outcome:
    return Triaged(read_again(first, second), None, None)


def test_a_normal_that_a_second_reading_disputes_comes_before_other_normals() -> None:
    normal, sick = finding("Normal", 0.95), finding("Lung_Opacity", 0.8)
    outcomes = {
        "opacity": read_twice(sick, sick),
        "disputed": read_twice(normal, sick),
        "agreed": read_twice(normal, normal),
    }
    assert sorted(outcomes, key=lambda name: urgency(outcomes[name])) == list(outcomes)
    rows = {name: row_of("a.png", outcome) for name, outcome in outcomes.items()}
    assert {name: row["flags"] for name, row in rows.items()} == {
        "opacity": "",
        "disputed": "second reading differs",
        "agreed": "",
    }
    assert rows["disputed"]["notes"].startswith("A second reading differs: m finds Lung opacity (80%), m Normal (95%).")


def test_a_normal_on_which_an_ensemble_is_divided_comes_before_other_normals() -> None:
    def asked(own: Finding, *said: str) -> Outcome:
        members = tuple(MemberReading(f"m{n}", name, 0.75) for n, name in enumerate(said))
        return Triaged(replace(own, members=members), None, None)

    outcomes = {
        "opacity": asked(finding("Lung_Opacity", 0.8), "Lung_Opacity", "Normal"),
        "divided": asked(finding("Normal", 0.95), "Normal", "COVID"),
        "agreed": asked(finding("Normal", 0.95), "Normal", "Normal"),
    }
    assert sorted(outcomes, key=lambda name: urgency(outcomes[name])) == list(outcomes)
    flags = {name: row_of("a.png", outcome)["flags"] for name, outcome in outcomes.items()}
    assert flags == {"opacity": "models differ", "divided": "models differ", "agreed": ""}
    rows = list(csv.DictReader(io.StringIO(findings_csv([*outcomes.values(), triaged("COVID", 0.9)], CLASSES))))
    assert rows[1]["members"] == "m0: Normal 0.75000; m1: COVID 0.75000"
    assert rows[3]["members"] == ""


def test_csv_says_what_the_second_reading_is() -> None:
    outcomes = [read_twice(finding("Normal", 0.95), finding("COVID", 0.8)), triaged("COVID", 0.9)]
    rows = list(csv.DictReader(io.StringIO(findings_csv(outcomes, CLASSES))))
    columns = ("second_model", "second_model_version", "second_finding", "second_probability")
    assert [rows[0][name] for name in columns] == ["m", "1.0+0", "COVID", "0.8"]
    assert [rows[1][name] for name in columns] == ["", "", "", ""]


def test_the_worklist_puts_the_two_models_answers_together(classifier: Classifier) -> None:
    second = Classifier(build("mobilenet_v3_small", 4), tiny_card("second", weights_sha256="1" * 64))
    here, settings = Worklist(), Settings.from_environment()
    here.add("upload-1", [Study("one.png", CountingStudy("Normal")), next(failing())])
    for model in (classifier, second):
        here.triage(model, settings, METHOD)
    good, bad = here.entries
    alone, both = outcome_of(good, classifier, METHOD), outcome_of(good, classifier, METHOD, second)
    assert isinstance(alone, Triaged)
    assert isinstance(both, Triaged)
    assert alone.finding.second_reading is None
    assert both.finding.second_reading is not None
    assert both.finding.second_reading.model == "second"
    assert both.heat_maps is alone.heat_maps
    assert outcome_of(good, classifier, METHOD) == alone, "nothing that is kept has changed"
    assert isinstance(outcome_of(bad, classifier, METHOD, second), Refused)
