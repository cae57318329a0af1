"""Flip test: an image and its mirror image are asked about, and both get the mean answer."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.special import softmax

from lungassist.classes import CLASSES
from lungassist.explain import METHODS
from lungassist.flip_test import logits_of, mean_of_logits, mean_of_maps, with_mirrored
from lungassist.predict import Classifier
from tests.drawn import card_of, film, network_of, prepared_films

FLAT = 4.0


def both() -> tuple[Classifier, Classifier]:
    """The same network without and with a flip test; its random logits are flattened, so that they are opinions."""
    network = network_of()
    plain, tested = (card_of(temperature=FLAT, flip_test=flip_test) for flip_test in (False, True))
    return Classifier(copy.deepcopy(network), plain), Classifier(network, tested)


def test_the_parts_undo_each_other() -> None:
    batch = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
    views = with_mirrored(batch)
    torch.testing.assert_close(views[:2], batch)
    torch.testing.assert_close(views[2:].flip(-1), batch)
    maps = views.numpy().astype(np.float32)
    np.testing.assert_array_equal(mean_of_maps(maps), batch.numpy())
    logits = torch.tensor([[1.0, 5.0], [2.0, 0.0], [3.0, 1.0], [0.0, 4.0]])
    torch.testing.assert_close(mean_of_logits(logits), torch.tensor([[2.0, 3.0], [1.0, 2.0]]))


@pytest.mark.parametrize("method", [*METHODS, None])
def test_the_answer_is_the_mean_of_both_views(method: str | None) -> None:
    plain, tested = both()
    images = prepared_films(3)
    straight, mirrored = plain.predict(images, method), plain.predict(images[:, :, ::-1], method)
    answer = tested.predict(images, method)
    logits = [FLAT * np.log(view.probabilities) for view in (straight, mirrored)]
    np.testing.assert_allclose(answer.probabilities, softmax(np.mean(logits, axis=0) / FLAT, axis=1), atol=1e-5)
    assert np.abs(straight.probabilities - mirrored.probabilities).max() > 1e-3, "else it shows nothing"
    if method is None:
        assert answer.heat_maps is None
        return
    assert answer.heat_maps is not None
    assert straight.heat_maps is not None
    assert mirrored.heat_maps is not None
    expected = (straight.heat_maps + mirrored.heat_maps[..., ::-1]) / 2
    np.testing.assert_allclose(answer.heat_maps, expected, atol=1e-4 * expected.max())


def test_a_mirrored_image_gets_the_same_answer_and_the_mirrored_map() -> None:
    _, tested = both()
    images = prepared_films(2)
    one, other = tested.predict(images), tested.predict(images[:, :, ::-1])
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
    assert one.heat_maps is not None
    assert other.heat_maps is not None
    np.testing.assert_allclose(one.heat_maps, other.heat_maps[..., ::-1], atol=1e-4 * one.heat_maps.max())


def test_a_network_is_asked_once_or_both_ways() -> None:
    network = network_of(classes=len(CLASSES)).eval()
    batch = torch.from_numpy(np.stack([film(name, 1) for name in CLASSES])).float()[:, None].expand(-1, 3, -1, -1) / 255
    with torch.no_grad():
        once, twice = (logits_of(network, batch, flip_test=flip_test) for flip_test in (False, True))
        torch.testing.assert_close(once, network(batch))
        torch.testing.assert_close(twice, (network(batch) + network(batch.flip(-1))) / 2)
    assert not torch.allclose(once, twice, atol=1e-2), "else it shows nothing"
