"""The paper's rule, on the paper's table and on tables of predictions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from lungassist.classes import CLASSES
from lungassist.errors import UsageError
from lungassist.metrics import Candidate, Roles, choose, holm
from tests.metrics.tables import simulated

ROLES = Roles.of(CLASSES)

#: Table 1: COVID and Viral Pneumonia called Normal, and test accuracy.
PAPER = (
    Candidate("AlexNet", "AlexNet", 5 + 3, 0.9386, 2116),
    Candidate("VGG19_bn", "VGG", 6 + 5, 0.9433, 2116),
    Candidate("ResNet50", "ResNet", 3 + 6, 0.9546, 2116),
    Candidate("Logistic Regression", "Logistic Regression", 214 + 25, 0.6224, 2116),
)


def plain(name: str, missed: float, accuracy: float, family: str = "one", images: int = 1000) -> Candidate:
    return Candidate(name, family, missed, accuracy, images)


def test_the_papers_own_table_by_the_papers_own_rule() -> None:
    choice = choose(PAPER)
    assert choice.name == "AlexNet"
    assert "fewest" in choice.reason
    assert "8, at 93.86 %" in choice.reason
    assert "ResNet50 is within chance: 8 against 9" in choice.note
    assert "it is right more often, 95.46 % against 93.86 % (more than chance" in choice.note
    assert "Logistic" not in choice.note
    assert [rival.name for rival in choice.rivals] == ["ResNet50", "VGG19_bn", "Logistic Regression"]
    assert not any(rival.paired for rival in choice.rivals)


def test_fewest_called_normal_then_accuracy_and_the_order_given_decides_nothing() -> None:
    models = [plain("a", 3, 0.90), plain("b", 3, 0.95), plain("c", 4, 0.99)]
    for order in (models, models[::-1]):
        choice = choose(order)
        assert choice.name == "b"
        assert "like a" in choice.reason
        assert "highest accuracy of these: 95.00 %" in choice.reason


def test_within_each_family_and_then_across() -> None:
    models = [plain("r34", 5, 0.9, "ResNet"), plain("r50", 2, 0.9, "ResNet"), plain("vgg", 3, 0.9, "VGG")]
    choice = choose(models)
    assert choice.name == "r50"
    assert choice.family_winners == (("ResNet", "r50"), ("VGG", "vgg"))
    assert "of the best of 2 families: 2" in choice.reason
    assert "best ResNet of 2" in choice.reason


def test_a_lead_beyond_chance_leaves_no_note() -> None:
    choice = choose([plain("a", 2, 0.95), plain("b", 60, 0.95)])
    assert (choice.name, choice.note) == ("a", "")
    assert choice.rivals[0].p == pytest.approx(binomtest(2, 62).pvalue)


def test_a_complete_tie_says_so() -> None:
    choice = choose([plain("a", 2, 0.95), plain("b", 2, 0.95)])
    assert choice.name == "a"
    assert "the first given is named" in choice.reason
    assert choice.note == "b does as well by both criteria."


def test_tables_are_tested_image_by_image_and_for_their_number() -> None:
    labels, tables = simulated(3000, 2.2, 1.6, 2.0)
    candidates = [Candidate.of(f"m{i}", "one", labels, table, ROLES) for i, table in enumerate(tables)]
    contagious = np.isin(labels, [0, 3])
    missed = [contagious & (table.argmax(axis=1) == 2) for table in tables]
    assert [each.contagious_called_normal for each in candidates] == [each.sum() for each in missed]
    choice = choose(candidates)
    best = int(np.argmin([each.sum() for each in missed]))
    assert choice.name == f"m{best}"
    others = [i for i in range(3) if i != best]
    raw = []
    for i in others:
        alone = int((missed[i] & ~missed[best]).sum())
        raw.append(binomtest(alone, int((missed[i] ^ missed[best]).sum())).pvalue)
    expected = dict(zip((f"m{i}" for i in others), holm(raw), strict=True))
    assert {rival.name: rival.p for rival in choice.rivals} == pytest.approx(expected)
    assert all(rival.paired for rival in choice.rivals)


def test_a_tie_in_the_first_criterion_is_tested_by_the_second() -> None:
    labels = np.array([0] * 10 + [2] * 90)
    good, poor = (np.tile(np.eye(4)[2] * 0.6 + 0.1, (100, 1)) for _ in range(2))
    good[:10] = poor[:10] = np.eye(4)[0]
    poor[10:30] = np.eye(4)[1]
    choice = choose(
        [Candidate.of(name, name, labels, table, ROLES) for name, table in (("poor", poor), ("good", good))]
    )
    assert choice.name == "good"
    assert choice.rivals[0].decided_by == "accuracy"
    assert choice.rivals[0].p == pytest.approx(binomtest(0, 20).pvalue)
    assert choice.note == ""


def test_without_a_class_normal_accuracy_decides() -> None:
    labels, tables = simulated(400, 0.5, 3.0)
    roles = Roles.of(("a", "b", "c", "d"))
    choice = choose([Candidate.of(f"m{i}", "one", labels, table, roles) for i, table in enumerate(tables)])
    assert choice.name == "m1"
    assert "no class Normal" in choice.reason


def test_one_model_is_chosen_for_want_of_another() -> None:
    choice = choose([plain("a", 2, 0.95)])
    assert (choice.name, choice.note, choice.rivals) == ("a", "", ())
    assert "only model: 2 contagious images called Normal, 95.00 % accuracy" in choice.reason


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="none came"):
        choose([])
    with pytest.raises(UsageError, match="different names"):
        choose([plain("a", 1, 0.9), plain("a", 2, 0.9)])
    with pytest.raises(UsageError, match="a: 1000, b: 999"):
        choose([plain("a", 1, 0.9), plain("b", 2, 0.9, images=999)])


@pytest.mark.parametrize(
    ("classes", "word"),
    [(("Normal", "Pneumonia"), "sick"), (("Normal", "COVID"), "contagious"), (("Normal", "COVID", "TB"), "contagious")],
)
def test_only_classes_that_are_known_to_be_contagious_are_called_so(classes: tuple[str, ...], word: str) -> None:
    roles, labels = Roles.of(classes), np.array([0, 1, 1, 1])
    good, poor = (np.eye(len(classes))[found] for found in ([0, 1, 1, 0], [0, 1, 0, 0]))
    models = [Candidate.of(name, name, labels, p, roles) for name, p in (("good", good), ("poor", poor))]
    choice = choose(models)
    assert f"fewest {word} images Normal" in choice.reason
    assert f"1 against 2 {word} images called Normal" in choice.note
    assert f"{word} images called Normal" in choose(models[:1]).reason
