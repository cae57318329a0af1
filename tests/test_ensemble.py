"""An ensemble answers with the mean of what its members answer, each asked as it would be alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lungassist.classes import CLASSES
from lungassist.enhance import ENHANCERS
from lungassist.explain import METHODS, mean_of_members
from lungassist.models.card import Card
from lungassist.models.members import ENSEMBLE, Member, digest_of
from lungassist.predict import Classifier, Prediction, log_of_mean
from lungassist.preprocess import Preprocessing
from tests.drawn import SMALL, card_of, network_of, prepared_films

#: Two networks that differ in weights, normalisation, enhancement, temperature and flip test.
PLAIN = card_of(name="plain", temperature=9.0, weights_sha256="1" * 64)
OTHER = card_of(
    name="other",
    temperature=20.0,
    weights_sha256="2" * 64,
    flip_test=True,
    preprocessing=Preprocessing.named("imagenet", size=64, enhancement="bands"),
)


def ensemble_card(*cards: Card, **changes: object) -> Card:
    members = tuple(map(Member.of, cards))
    return card_of(**{"architecture": ENSEMBLE, "members": members, "weights_sha256": digest_of(members), **changes})


@pytest.fixture(scope="module")
def alone() -> dict[str, Classifier]:
    """Both members as models of their own."""
    return {card.name: Classifier(network_of(seed=seed), card) for seed, card in enumerate((PLAIN, OTHER), 1)}


@pytest.fixture(scope="module")
def together() -> Callable[..., Classifier]:
    """The ensemble of both; `changes` replace fields of its card."""

    def build(**changes: object) -> Classifier:
        parts = [(network_of(seed=seed), card) for seed, card in enumerate((PLAIN, OTHER), 1)]
        return Classifier(parts, ensemble_card(PLAIN, OTHER, **changes))

    return build


def answers(
    alone: dict[str, Classifier], images: NDArray[np.uint8], method: str | None
) -> tuple[Prediction, Prediction]:
    """What each member says of the images, prepared for it."""
    bands = np.stack([ENHANCERS["bands"](image) for image in images])
    return alone["plain"].predict(images, method), alone["other"].predict(bands, method)


def test_its_answer_is_the_mean_of_its_members_calibrated_probabilities(
    alone: dict[str, Classifier], together: Callable[..., Classifier]
) -> None:
    images = prepared_films(5)
    first, second = answers(alone, images, None)
    assert np.abs(first.probabilities - second.probabilities).max() > 0.1, "else it shows nothing"
    found = together().predict(images, None)
    np.testing.assert_allclose(found.probabilities, (first.probabilities + second.probabilities) / 2, atol=1e-6)
    assert found.heat_maps is None


def test_its_own_temperature_comes_after_the_mean(
    alone: dict[str, Classifier], together: Callable[..., Classifier]
) -> None:
    images = prepared_films(3)
    first, second = answers(alone, images, None)
    mean = (first.probabilities + second.probabilities) / 2
    expected = mean ** (1 / 0.8) / (mean ** (1 / 0.8)).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(together(temperature=0.8).predict(images, None).probabilities, expected, atol=1e-6)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "eigencam"])
def test_its_evidence_is_the_mean_of_its_members_by_calibrated_logits(
    alone: dict[str, Classifier], together: Callable[..., Classifier], method: str
) -> None:
    images = prepared_films(2)
    first, second = answers(alone, images, method)
    assert first.heat_maps is not None
    assert second.heat_maps is not None
    expected = (first.heat_maps / 9 + second.heat_maps / 20) / 2
    found = together().predict(images, method)
    assert found.heat_maps is not None
    np.testing.assert_allclose(found.heat_maps, expected, atol=1e-5 * expected.max())
    np.testing.assert_allclose(found.probabilities, together().predict(images, None).probabilities, atol=1e-6)


def test_a_method_that_is_blind_to_classes_lets_no_member_drown_the_other(
    alone: dict[str, Classifier], together: Callable[..., Classifier]
) -> None:
    images = prepared_films(2)
    expected = np.mean(
        [p.heat_maps / p.heat_maps.max(axis=(1, 2, 3), keepdims=True) for p in answers(alone, images, "eigencam")],  # type: ignore[union-attr]
        axis=0,
    )
    found = together().predict(images, "eigencam").heat_maps
    assert found is not None
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_maps_of_different_fineness_are_as_fine_as_the_finest() -> None:
    coarse, fine = np.zeros((1, 2, 2, 2), np.float32), np.zeros((1, 2, 4, 4), np.float32)
    coarse[0, 0, 0, 0], fine[0, 0, 0, 0] = 4, 8
    mean = mean_of_members("gradcam", [coarse, fine])
    assert mean.shape == (1, 2, 4, 4)
    assert mean[0, 0, 0, 0] == 6  # a corner stays a corner
    assert 0 < mean[0, 0, 1, 1] < 2
    assert (mean[0, 1] == 0).all()
    np.testing.assert_array_equal(mean, mean_of_members("gradcam", [fine, coarse]))


def test_nothing_to_see_is_no_evidence_for_a_method_that_scales() -> None:
    empty = np.zeros((2, 4, 3, 3), np.float32)
    assert (mean_of_members("eigencam", [empty, empty]) == 0).all()


def test_networks_of_different_kinds_go_together() -> None:
    cards = [card_of(name=name, architecture=name, temperature=20.0) for name in (SMALL, "resnet18")]
    parts = [(network_of(card.architecture), card) for card in cards]
    found = Classifier(parts, ensemble_card(*cards)).predict(prepared_films(3))
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    assert found.heat_maps is not None
    assert found.heat_maps.shape[:2] == (3, len(CLASSES))
    assert np.isfinite(found.heat_maps).all()


def test_the_mean_is_exact_where_a_member_is_quite_sure() -> None:
    sure, unsure = torch.tensor([[200.0, 0.0]], dtype=torch.float64), torch.tensor([[0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(
        log_of_mean([sure, unsure]).exp(), torch.tensor([[0.75, 0.25]], dtype=torch.float64), rtol=0, atol=1e-12
    )
