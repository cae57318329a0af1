"""An ensemble answers with the mean of its members' log-probabilities, each asked as it would be alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from lungassist.classes import CLASSES
from lungassist.enhance import ENHANCERS
from lungassist.explain import METHODS, mean_of_members
from lungassist.models.card import Card
from lungassist.models.members import ENSEMBLE, Member, digest_of, pooled
from lungassist.predict import Classifier, Prediction
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


HALVES = (0.5, 0.5)


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


def pool(*probabilities: NDArray[np.float64], temperature: float = 1.0) -> NDArray[np.float64]:
    """The normalised geometric mean of probabilities as a table has them."""
    written = np.maximum(np.round(probabilities, 5), 1e-5)
    product = np.prod(written, axis=0) ** (1 / len(probabilities) / temperature)
    return np.asarray(product / product.sum(axis=1, keepdims=True))


def test_its_answer_is_the_geometric_mean_of_its_members_calibrated_probabilities(
    alone: dict[str, Classifier], together: Callable[..., Classifier]
) -> None:
    images = prepared_films(5)
    first, second = answers(alone, images, None)
    assert np.abs(first.probabilities - second.probabilities).max() > 0.1, "else it shows nothing"
    found = together().predict(images, None)
    np.testing.assert_allclose(found.probabilities, pool(first.probabilities, second.probabilities), atol=1e-4)
    np.testing.assert_allclose(found.members, [first.probabilities, second.probabilities], atol=1e-6)
    assert found.heat_maps is None
    assert first.members.shape == (0, 5, 4), "a single network has none"


def test_its_own_temperature_comes_after_the_mean(
    alone: dict[str, Classifier], together: Callable[..., Classifier]
) -> None:
    images = prepared_films(3)
    first, second = answers(alone, images, None)
    expected = pool(first.probabilities, second.probabilities, temperature=0.8)
    np.testing.assert_allclose(together(temperature=0.8).predict(images, None).probabilities, expected, atol=1e-4)


def test_a_weight_says_how_much_a_member_counts(
    alone: dict[str, Classifier], together: Callable[..., Classifier]
) -> None:
    images = prepared_films(3)
    first, second = answers(alone, images, "gradcam")
    members = Member.of(PLAIN, 1.0), Member.of(OTHER, 2.0)
    found = together(members=members, weights_sha256=digest_of(members)).predict(images)
    expected = pool(first.probabilities, second.probabilities, second.probabilities)
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-4)
    assert first.heat_maps is not None
    assert second.heat_maps is not None
    assert found.heat_maps is not None
    maps = (first.heat_maps / 9 + 2 * second.heat_maps / 20) / 3
    np.testing.assert_allclose(found.heat_maps, maps, atol=1e-5 * maps.max())


def test_one_member_that_is_sure_does_not_carry_the_others() -> None:
    """In the mean of the probabilities it would: 0.33 here, where a threshold may be at 0.15."""
    said = np.array([[[0.97, 0.01, 0.01, 0.01]], [[0.01, 0.01, 0.97, 0.01]], [[0.01, 0.01, 0.97, 0.01]]])
    expected = 0.97 ** (1 / 3) * 0.01 ** (2 / 3)
    (found,) = softmax(pooled(said, [1 / 3] * 3), axis=1)
    assert found[0] / found[2] == pytest.approx(expected / (0.97 ** (2 / 3) * 0.01 ** (1 / 3)))
    assert found[0] < 0.2


def test_what_a_table_would_round_away_counts_as_written() -> None:
    exact = np.array([[[0.9999999, 1e-7, 0, 0]], [[0.5, 0.25, 0.125, 0.125]]])
    np.testing.assert_array_equal(pooled(exact, [0.5, 0.5]), pooled(np.round(exact, 5), [0.5, 0.5]))
    assert np.isfinite(pooled(exact, [0.5, 0.5])).all()
    assert pooled(exact, [1.0, 0.0])[0, 3] == pytest.approx(np.log(1e-5))


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
    mean = mean_of_members("gradcam", [coarse, fine], HALVES)
    assert mean.shape == (1, 2, 4, 4)
    assert mean[0, 0, 0, 0] == 6  # a corner stays a corner
    assert 0 < mean[0, 0, 1, 1] < 2
    assert (mean[0, 1] == 0).all()
    np.testing.assert_array_equal(mean, mean_of_members("gradcam", [fine, coarse], HALVES))


def test_nothing_to_see_is_no_evidence_for_a_method_that_scales() -> None:
    empty = np.zeros((2, 4, 3, 3), np.float32)
    assert (mean_of_members("eigencam", [empty, empty], HALVES) == 0).all()


def test_networks_of_different_kinds_go_together() -> None:
    cards = [card_of(name=name, architecture=name, temperature=20.0) for name in (SMALL, "resnet18")]
    parts = [(network_of(card.architecture), card) for card in cards]
    found = Classifier(parts, ensemble_card(*cards)).predict(prepared_films(3))
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    assert found.heat_maps is not None
    assert found.heat_maps.shape[:2] == (3, len(CLASSES))
    assert np.isfinite(found.heat_maps).all()
