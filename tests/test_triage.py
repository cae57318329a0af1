"""A batch of studies: in order, whatever fails in its midst, with what a reader must be told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lungassist.classes import CLASSES, COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA
from lungassist.errors import EmptyFileError, MissingFileError
from lungassist.files import sha256_of
from lungassist.imaging import Radiograph, Study
from lungassist.models.members import ENSEMBLE, Member, digest_of
from lungassist.models.operating_point import HIGHEST_PROBABILITY, OperatingRule
from lungassist.phantom import phantom_png
from lungassist.predict import Classifier, Prediction
from lungassist.preprocess import Preprocessing
from lungassist.settings import Settings
from lungassist.triage import LITTLE_MARGIN, Refused, Triaged, forget, triage
from tests.drawn import card_of, film, network_of, png
from tests.models.test_operating_point import point

BATCH = 4


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LUNGASSIST_BATCH_SIZE", str(BATCH))
    return Settings.from_environment()


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(network_of(), card_of())


class Telling(Classifier):
    """A classifier that answers what it is told to."""

    answer: list[float]
    members: tuple[tuple[float, ...], ...] = ()

    def predict(self, images: NDArray[np.uint8], explain: str | None = None) -> Prediction:
        members = np.repeat(np.reshape(self.members, (-1, 1, 4)), len(images), axis=1)
        return Prediction(np.array([self.answer] * len(images)), None, members)


def telling(*probabilities: float, rule: OperatingRule = HIGHEST_PROBABILITY) -> Telling:
    classifier = Telling(network_of(), card_of(operating_point=rule))
    classifier.answer = list(probabilities)
    return classifier


def study(number: int) -> Study:
    return Study(f"{number}.png", partial(png, film(CLASSES[number % 4], number)))


def names(results: list[Triaged[None] | Refused]) -> list[str]:
    return [r.file if isinstance(r, Refused) else r.finding.file for r in results]


def only(results: Iterator[Triaged[None] | Refused]) -> Triaged[None]:
    (result,) = results
    assert isinstance(result, Triaged)
    return result


def test_results_come_in_the_order_of_the_studies(classifier: Classifier, settings: Settings) -> None:
    slow = threading.Event()

    def late() -> bytes:
        slow.wait(0.2)
        return png(film(COVID, 99))

    studies = [Study("first.png", late), *(study(number) for number in range(10))]
    results = list(triage(studies, classifier, settings, keep=forget))
    assert names(results) == ["first.png", *(f"{number}.png" for number in range(10))]
    assert all(isinstance(result, Triaged) for result in results)


def test_one_that_fails_is_refused_and_the_rest_goes_on(classifier: Classifier, settings: Settings) -> None:
    broken = {
        2: Study("2.png", bytes),
        3: Study("3.png", partial(bytes, b"GIF89a is no X-ray")),
        4: Study.failing("4.zip", MissingFileError("4.zip: expected a file; there is none of that name.")),
        9: Study("9.png", partial(bytes, png(film(COVID, 1))[:300])),
    }
    studies = [broken.get(number, study(number)) for number in range(11)]
    results = list(triage(studies, classifier, settings, keep=forget))
    refused = {number: result for number, result in enumerate(results) if isinstance(result, Refused)}
    assert list(refused) == list(broken)
    assert names(results) == [s.name for s in studies]
    assert isinstance(refused[2].error, EmptyFileError)
    codes = [result.to_json()["error"]["code"] for result in refused.values()]
    assert codes[0] == "empty_file"
    assert codes[2] == "missing_file"
    # A study's answer does not depend on who was refused beside it.
    alone = only(triage([studies[10]], classifier, settings, keep=forget))
    beside = results[10]
    assert isinstance(beside, Triaged)
    assert beside.finding.probabilities == pytest.approx(alone.finding.probabilities, abs=1e-5)


def test_a_batch_of_nothing_but_failures(classifier: Classifier, settings: Settings) -> None:
    results = list(triage([Study(f"{i}.png", bytes) for i in range(BATCH + 1)], classifier, settings, keep=forget))
    assert len(results) == BATCH + 1
    assert all(isinstance(result, Refused) for result in results)
    assert list(triage([], classifier, settings, keep=forget)) == []


def test_studies_are_read_little_ahead_of_who_takes_the_results(classifier: Classifier, settings: Settings) -> None:
    asked = 0

    def endless() -> Iterator[Study]:
        nonlocal asked
        while True:
            asked += 1
            yield study(asked)

    results = triage(endless(), classifier, settings, explain=None, keep=forget)
    for taken in range(1, 30):
        next(results)
        assert asked - taken < 2 * BATCH
    results.close()  # type: ignore[attr-defined]
    at_the_end = asked
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]
    assert asked == at_the_end


def test_radiographs_are_let_go_but_for_what_is_kept(classifier: Classifier, settings: Settings) -> None:
    def shape(radiograph: Radiograph) -> tuple[str, tuple[int, ...]]:
        return radiograph.name, radiograph.pixels.shape

    results = list(triage([study(number) for number in range(6)], classifier, settings, keep=shape))
    kept = [result.kept for result in results if isinstance(result, Triaged)]
    assert kept == [(f"{number}.png", (72, 60)) for number in range(6)]


def test_a_finding_says_where_it_comes_from(small_model: Path, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(png(film(NORMAL, 1)))
    classifier = Classifier.load(small_model)
    finding = only(triage([Study("night/scan.png", path.read_bytes)], classifier, settings, keep=forget)).finding
    assert finding.file == "night/scan.png"
    assert finding.sha256 == sha256_of(path)
    assert finding.model == "small"
    assert finding.model_version == f"1.0+{sha256_of(small_model / 'model.safetensors')[:8]}"
    assert finding.operating_point == "highest probability"
    assert finding.finding == max(finding.probabilities, key=lambda name: finding.probabilities[name])
    assert list(finding.probabilities) == list(CLASSES)
    assert sum(finding.probabilities.values()) == pytest.approx(1)
    assert json.loads(json.dumps(finding.to_json()))["finding"] == finding.finding


def test_heat_maps_are_there_when_asked_for(classifier: Classifier, settings: Settings) -> None:
    with_maps = only(triage([study(1)], classifier, settings, explain="hirescam", keep=forget))
    assert with_maps.heat_maps is not None
    assert with_maps.heat_maps.shape == (4, 2, 2)
    assert only(triage([study(1)], classifier, settings, explain=None, keep=forget)).heat_maps is None


@pytest.mark.parametrize(
    ("probabilities", "little"),
    [((0.55, 0.05, 0.4, 0.0), True), ((0.62, 0.0, 0.38, 0.0), False), ((0.26, 0.25, 0.25, 0.24), True)],
)
def test_little_margin_is_told(settings: Settings, probabilities: tuple[float, ...], little: bool) -> None:
    finding = only(triage([study(1)], telling(*probabilities), settings, keep=forget)).finding
    first, second = sorted(probabilities)[:-3:-1]
    assert finding.margin == pytest.approx(first - second)
    assert (finding.margin < LITTLE_MARGIN) == little
    assert any("Little margin" in warning for warning in finding.warnings) == little


def test_the_two_candidates_are_named_as_a_reader_would(settings: Settings) -> None:
    finding = only(triage([study(1)], telling(0.51, 0.49, 0, 0), settings, keep=forget)).finding
    assert "Little margin: COVID-19 51% against Lung opacity 49%. Read with care." in finding.warnings


@pytest.mark.parametrize(
    ("label", "contagious"), [(COVID, True), (LUNG_OPACITY, False), (NORMAL, False), (VIRAL_PNEUMONIA, True)]
)
def test_what_is_catching_is_flagged(settings: Settings, label: str, contagious: bool) -> None:
    answer = [0.9 if name == label else 0.1 / 3 for name in CLASSES]
    finding = only(triage([study(1)], telling(*answer), settings, keep=forget)).finding
    assert finding.finding == label
    assert finding.suspected_contagious == contagious


def test_what_is_no_chest_film_is_told_before_all_else(settings: Settings) -> None:
    blank = Study("blank.png", partial(png, np.full((300, 300), 128, np.uint8)))
    chest = Study("chest.png", partial(phantom_png, NORMAL, 1, 300))
    refused, accepted = triage([blank, chest], telling(0.3, 0.3, 0.2, 0.2), settings, keep=forget)
    assert isinstance(refused, Triaged)
    assert isinstance(accepted, Triaged)
    assert not refused.finding.plausible
    assert "blank" in refused.finding.warnings[0]
    assert "Little margin" in refused.finding.warnings[-1]
    assert accepted.finding.plausible


AT_TENTH = OperatingRule(sick=point(0.1))


def test_the_operating_point_makes_the_finding_and_says_what_would_have_been(settings: Settings) -> None:
    finding = only(triage([study(1)], telling(0.08, 0.04, 0.87, 0.01, rule=AT_TENTH), settings, keep=forget)).finding
    assert (finding.finding, finding.most_probable, finding.suspected_contagious) == (COVID, NORMAL, True)
    assert finding.operating_point == AT_TENTH.words
    assert "By the operating point: the highest probability would say Normal (87%)." in finding.warnings
    assert finding.to_json()["suspected_contagious"] is True


def test_where_both_rules_agree_nothing_is_said_of_it(settings: Settings) -> None:
    finding = only(triage([study(1)], telling(0.02, 0.02, 0.95, 0.01, rule=AT_TENTH), settings, keep=forget)).finding
    assert (finding.finding, finding.suspected_contagious) == (NORMAL, False)
    assert not any("operating point" in warning for warning in finding.warnings)


def test_who_is_below_the_contagious_threshold_is_not_suspected(settings: Settings) -> None:
    rule = OperatingRule(contagious=point(0.7))
    finding = only(triage([study(1)], telling(0.5, 0.3, 0.1, 0.1, rule=rule), settings, keep=forget)).finding
    assert (finding.finding, finding.suspected_contagious) == (LUNG_OPACITY, False)
    assert any("would say COVID-19 (50%)" in warning for warning in finding.warnings)


CHEST = Study("chest.png", partial(phantom_png, NORMAL, 1, 300))
EVENED = Preprocessing(size=64, enhancement="bands")


@pytest.mark.parametrize(
    ("second", "differs"), [((0.05, 0.0, 0.9, 0.05), False), ((0.1, 0.62, 0.28, 0.0), True), ((0.5, 0, 0.5, 0), True)]
)
def test_a_second_reading_stands_beside_the_finding(
    settings: Settings, second: tuple[float, ...], differs: bool
) -> None:
    first, other = telling(0.02, 0.02, 0.95, 0.01), telling(*second)
    alone = only(triage([CHEST], first, settings, explain=None, keep=forget)).finding
    read = only(triage([CHEST], first, settings, explain=None, keep=forget, second=other)).finding
    assert alone.second_reading is None
    assert not alone.is_disputed
    assert alone.to_json()["second_reading"] is None
    assert (read.finding, read.probabilities, read.margin) == (alone.finding, alone.probabilities, alone.margin)
    assert read.second_reading is not None
    assert read.second_reading.finding == CLASSES[int(np.argmax(second))]
    assert read.second_reading.probability == max(second)
    assert read.is_disputed is differs
    assert (read.warnings == alone.warnings) is not differs
    if differs:
        assert read.warnings[0].startswith("A second reading differs: small finds ")
        assert read.warnings[0].endswith(", small Normal (95%). Read with care.")
        assert read.warnings[1:] == alone.warnings
    told = json.loads(json.dumps(read.to_json()))["second_reading"]
    assert told == {**told, "model": "small", "finding": read.second_reading.finding, "probability": max(second)}


def asked_together(*said: tuple[float, ...]) -> Telling:
    """An ensemble whose members say so."""
    members = tuple(Member.of(card_of(name=f"m{n}", weights_sha256=str(n) * 64)) for n in range(len(said)))
    classifier = telling(*np.mean(said, axis=0))
    classifier.card = replace(
        classifier.card, architecture=ENSEMBLE, members=members, weights_sha256=digest_of(members)
    )
    classifier.members = said
    return classifier


@pytest.mark.parametrize(("second", "divided"), [((0.05, 0.0, 0.9, 0.05), False), ((0.1, 0.62, 0.28, 0.0), True)])
def test_where_the_members_of_an_ensemble_differ_a_warning_says_what_each_finds(
    settings: Settings, second: tuple[float, ...], divided: bool
) -> None:
    finding = only(triage([CHEST], asked_together((0.02, 0.02, 0.95, 0.01), second), settings, keep=forget)).finding
    assert [(each.model, each.finding) for each in finding.members] == [
        ("m0", NORMAL),
        ("m1", CLASSES[int(np.argmax(second))]),
    ]
    assert [each.probability for each in finding.members] == pytest.approx([0.95, max(second)], abs=1e-4)
    assert finding.probabilities[NORMAL] == pytest.approx((0.95 + second[2]) / 2, abs=1e-4)
    assert finding.is_divided is divided
    words = "The models asked find different things: m0 Normal (95%), m1 Lung opacity (62%). Read with care."
    assert (words in finding.warnings) is divided
    told = json.loads(json.dumps(finding.to_json()))["members"]
    assert [each["model"] for each in told] == ["m0", "m1"]
    assert told[1]["probability"] == pytest.approx(max(second), abs=1e-4)


def test_of_an_image_that_is_no_chest_film_it_does_not_matter_what_the_members_find(settings: Settings) -> None:
    blank = Study("blank.png", partial(png, np.full((300, 300), 128, np.uint8)))
    finding = only(triage([blank], asked_together((1, 0, 0, 0), (0, 0, 1, 0)), settings, keep=forget)).finding
    assert finding.is_divided
    assert not any("models asked" in warning for warning in finding.warnings)


def test_a_single_model_has_no_members(settings: Settings) -> None:
    finding = only(triage([CHEST], telling(0.02, 0.02, 0.95, 0.01), settings, keep=forget)).finding
    assert finding.members == ()
    assert not finding.is_divided
    assert finding.to_json()["members"] == []


def test_members_are_those_of_their_own_study(settings: Settings) -> None:
    cards = [card_of(name=f"m{n}", weights_sha256=str(n) * 64, temperature=20.0) for n in range(2)]
    members = tuple(map(Member.of, cards))
    card = card_of(name="both", architecture=ENSEMBLE, members=members, weights_sha256=digest_of(members))
    both = Classifier([(network_of(seed=n + 1), own) for n, own in enumerate(cards)], card)
    studies = [study(n) for n in range(5)]
    found = [each.finding for each in triage(studies, both, settings, keep=forget) if isinstance(each, Triaged)]
    for place, own in enumerate(cards):
        alone = triage(studies, Classifier(network_of(seed=place + 1), own), settings, keep=forget)
        for one, single in zip(found, alone, strict=True):
            assert isinstance(single, Triaged)
            most = single.finding.most_probable
            assert one.members[place].finding == most
            assert one.members[place].probability == pytest.approx(single.finding.probabilities[most], abs=1e-5)


def test_a_second_model_judges_by_its_own_operating_point(settings: Settings) -> None:
    first, other = telling(0.08, 0.02, 0.9, 0.0), telling(0.08, 0.02, 0.9, 0.0, rule=AT_TENTH)
    finding = only(triage([CHEST], first, settings, explain=None, keep=forget, second=other)).finding
    assert (finding.finding, finding.is_disputed) == (NORMAL, True)
    assert "small finds COVID-19 (8%), small Normal (90%)" in finding.warnings[0]


def test_each_model_sees_the_study_prepared_as_it_wants(settings: Settings) -> None:
    """And in whatever order files fail, a second answer stays with its study."""
    small, large = Classifier(network_of(), card_of()), Classifier(network_of(seed=5), card_of(preprocessing=EVENED))
    studies = [study(0), Study.failing("bad.png", EmptyFileError("empty")), *(study(n) for n in range(1, 7))]
    alone = list(triage(studies, large, settings, explain=None, keep=forget))
    both = list(triage(studies, small, settings, explain=None, keep=forget, second=large))
    assert names(both) == names(alone)
    for one, other in zip(both, alone, strict=True):
        assert isinstance(one, Refused) == isinstance(other, Refused)
        if isinstance(one, Triaged) and isinstance(other, Triaged):
            assert one.finding.second_reading is not None
            assert one.finding.second_reading.finding == other.finding.finding
            probability = other.finding.probabilities[other.finding.finding]
            assert one.finding.second_reading.probability == pytest.approx(probability, abs=1e-6)


def test_of_an_image_that_is_no_chest_film_a_second_opinion_is_worth_nothing(settings: Settings) -> None:
    blank = Study("blank.png", partial(png, np.full((300, 300), 128, np.uint8)))
    first, other = telling(0.9, 0.1, 0, 0), telling(0, 0, 1, 0)
    finding = only(triage([blank], first, settings, explain=None, keep=forget, second=other)).finding
    assert finding.is_disputed
    assert "blank" in finding.warnings[0]
    assert not any("second reading" in warning for warning in finding.warnings)
