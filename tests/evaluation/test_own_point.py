"""The operating point that a model's own table gives, against the explorer's figures; and which tables give none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lungassist.errors import PredictionsError, UsageError, WeightsError
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.own_point import effect_in_words, effect_of, owner_of, propose
from lungassist.evaluation.predictions import write_predictions
from lungassist.evaluation.tables import read_predictions
from lungassist.models.decision import ASKED, Thresholds
from tests.evaluation.made import index_of, table_of
from tests.tiny import save_tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model on a shelf with its own table."""
    folder = tmp_path / "weights" / "tiny"
    write_predictions(folder / "predictions.csv", table_of(index_of()))
    save_tiny_model(folder)
    return folder


@pytest.mark.parametrize("question", ASKED)
def test_it_is_the_explorers_point_with_the_explorers_figures(folder: Path, question: str) -> None:
    comparison = Comparison.of([read_predictions(folder / "predictions.csv")])
    expected = comparison.operating_point("tiny", question, 0.97)
    proposal = propose(folder, question, target=0.97)
    assert proposal.point.outcome == expected.outcome
    assert (proposal.point.images, proposal.point.positives) == (expected.chosen_on, expected.positives)
    assert (proposal.point.target, proposal.point.split) == (0.97, "validation")
    by_hand = propose(folder, question, threshold=0.25, seen_on="test")
    assert by_hand.point.outcome == comparison.judged("tiny", question, 0.25)
    assert (by_hand.point.target, by_hand.point.split) == (None, "test")


def test_the_effect_is_that_of_the_findings(folder: Path) -> None:
    table = read_predictions(folder / "predictions.csv")
    point = propose(folder, "sick", target=0.95).point
    effect, otherwise = effect_of(table, Thresholds(sick=point.threshold)), effect_of(table, Thresholds())
    assert effect is not None
    assert otherwise is not None
    assert effect.called_normal == point.outcome.missed
    healthy_below = point.outcome.specificity.value * effect.healthy
    assert effect.called_sick == round(effect.healthy - healthy_below)
    matrix = Comparison.of([table]).confusion("tiny")
    assert otherwise.called_normal == matrix[:, 2].sum() - matrix[2, 2]
    assert otherwise.called_sick == matrix[2].sum() - matrix[2, 2]
    assert f"{effect.called_normal} are called Normal" in effect_in_words(effect, otherwise)


def test_the_table_of_a_model_may_set_its_point_and_no_other(folder: Path, tmp_path: Path) -> None:
    shelf = folder.parent
    assert owner_of(read_predictions(folder / "predictions.csv"), shelf).name == "tiny"
    (tmp_path / "run" / "model").mkdir(parents=True)
    for place in (tmp_path / "tiny.csv", tmp_path / "run" / "model" / "predictions.csv", folder / "again.csv"):
        shutil.copy(folder / "predictions.csv", place)
        with pytest.raises(PredictionsError, match="belongs to a model in weights/"):
            owner_of(read_predictions(place), shelf)


def test_a_table_that_was_exchanged_sets_nothing(folder: Path) -> None:
    write_predictions(folder / "predictions.csv", table_of(index_of(), skill=9))
    with pytest.raises(PredictionsError, match="not the one that the card of tiny names"):
        owner_of(read_predictions(folder / "predictions.csv"), folder.parent)
    with pytest.raises(WeightsError, match="damaged"):
        propose(folder, "sick", target=0.9)


def test_a_card_that_names_no_table_sets_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "weights" / "old"
    save_tiny_model(folder)
    with pytest.raises(PredictionsError, match=r"has no predictions\.csv"):
        propose(folder, "sick", target=0.9)
    write_predictions(folder / "predictions.csv", table_of(index_of()))
    with pytest.raises(PredictionsError, match="by hash"):
        propose(folder, "sick", target=0.9)
    with pytest.raises(PredictionsError, match="by hash"):
        owner_of(read_predictions(folder / "predictions.csv"), folder.parent)


@pytest.mark.parametrize("missing", ["validation", "test"])
def test_without_the_images_it_needs_it_says_so(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "weights" / "tiny"
    index = index_of()
    write_predictions(folder / "predictions.csv", table_of(index[index["split"] != missing].reset_index(drop=True)))
    save_tiny_model(folder)
    with pytest.raises(PredictionsError, match=missing):
        propose(folder, "sick", target=0.9)


def test_what_cannot_be_meant_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="from 0 to 1"):
        propose(folder, "sick", threshold=5.0)
    with pytest.raises(UsageError, match=r"0\.99"):
        propose(folder, "sick", target=99.0)
    with pytest.raises(UsageError, match="Either"):
        propose(folder, "sick")
