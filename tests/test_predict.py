"""A classifier answers as the plain network does, and gives every thread what it would give a single one."""

from __future__ import annotations

import copy
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from lungassist.classes import CLASSES, COVID, NORMAL
from lungassist.errors import UsageError
from lungassist.explain import METHODS, class_gradients, heat_maps
from lungassist.models.registry import architecture
from lungassist.models.weights import load_model
from lungassist.predict import Classifier, margin
from lungassist.preprocess import to_batch
from tests.drawn import SMALL, card_of, network_of, prepared_films


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(network_of(), card_of())


@pytest.mark.parametrize("name", ["resnet18", "densenet121", SMALL, "efficientnet_lite0"])
def test_folding_batch_norm_changes_nothing(name: str) -> None:
    network = network_of(name)
    plain = copy.deepcopy(network)
    images = prepared_films(3)
    card = card_of(architecture=name, temperature=1.7)
    prediction = Classifier(network, card).predict(images)
    batch = to_batch(torch.from_numpy(images), card.preprocessing)
    with torch.no_grad():
        logits = plain(batch)
    expected = torch.softmax(logits.double() / 1.7, dim=1).numpy()
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-5)
    body, tail = architecture(name).halve(plain)
    with torch.no_grad():
        activations = body(batch)
    maps = heat_maps("gradcam", activations, class_gradients(tail, activations)[1])
    assert prediction.heat_maps is not None
    np.testing.assert_allclose(prediction.heat_maps, maps, atol=1e-4 * maps.max())


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_batch_norm_is_folded_where_a_convolution_goes_before_it(name: str) -> None:
    classifier = Classifier(network_of(name), card_of(architecture=name))
    assert not [m for m in classifier._members[0]._body.modules() if isinstance(m, nn.BatchNorm2d)]


def test_a_model_from_its_folder(small_model: Path) -> None:
    loaded = Classifier.load(small_model)
    assert loaded.classes == CLASSES
    network, card = load_model(small_model)
    with torch.no_grad():
        logits = network(to_batch(torch.from_numpy(prepared_films(2)), card.preprocessing))
    expected = torch.softmax(logits.double(), dim=1).numpy()
    np.testing.assert_allclose(loaded.predict(prepared_films(2)).probabilities, expected, atol=1e-5)


def test_probabilities_sum_to_one_and_temperature_flattens_them() -> None:
    images, network = prepared_films(4), network_of()
    sure, plain, unsure = (
        Classifier(copy.deepcopy(network), card_of(temperature=t)).predict(images, None).probabilities
        for t in (0.25, 1.0, 4.0)
    )
    for probabilities in (sure, plain, unsure):
        assert probabilities.shape == (4, 4)
        assert probabilities.dtype == np.float64
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
        np.testing.assert_array_equal(probabilities.argmax(axis=1), plain.argmax(axis=1))
    assert (sure.max(axis=1) > plain.max(axis=1)).all()
    assert (plain.max(axis=1) > unsure.max(axis=1)).all()
    logits = np.log(plain)
    expected = np.exp(logits / 4) / np.exp(logits / 4).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(unsure, expected, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_an_image_gets_the_same_answer_alone_and_in_a_batch(classifier: Classifier, method: str) -> None:
    images = prepared_films(5)
    together = classifier.predict(images, method)
    assert together.heat_maps is not None
    for row, image in enumerate(images):
        alone = classifier.predict(image[None], method)
        assert alone.heat_maps is not None
        np.testing.assert_allclose(alone.probabilities[0], together.probabilities[row], atol=1e-5)
        np.testing.assert_allclose(alone.heat_maps[0], together.heat_maps[row], atol=1e-4 * together.heat_maps.max())


def test_probabilities_do_not_depend_on_the_explanation(classifier: Classifier) -> None:
    images = prepared_films(2)
    plain = classifier.predict(images, None)
    assert plain.heat_maps is None
    for method in METHODS:
        np.testing.assert_allclose(classifier.predict(images, method).probabilities, plain.probabilities, atol=1e-6)


def test_many_threads_get_what_a_single_one_gets(classifier: Classifier) -> None:
    images = prepared_films(6)
    tasks = [(row, method) for row in range(6) for method in (*METHODS, None)]
    expected = {task: classifier.predict(images[[task[0]]], task[1]) for task in tasks}
    shuffled = [tasks[i] for i in np.random.default_rng(1).permutation(len(tasks) * 4) % len(tasks)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda task: classifier.predict(images[[task[0]]], task[1]), shuffled))
    for task, answer in zip(shuffled, answers, strict=True):
        np.testing.assert_array_equal(answer.probabilities, expected[task].probabilities)
        if task[1] is None:
            assert answer.heat_maps is None
        else:
            assert answer.heat_maps is not None
            np.testing.assert_array_equal(answer.heat_maps, expected[task].heat_maps)


def test_an_answer_does_not_depend_on_the_callers_gradient_mode(classifier: Classifier) -> None:
    images = prepared_films(1)
    expected = classifier.predict(images).heat_maps
    with torch.no_grad():
        np.testing.assert_array_equal(classifier.predict(images).heat_maps, expected)
    with torch.inference_mode():
        np.testing.assert_array_equal(classifier.predict(images).heat_maps, expected)


def test_images_may_be_read_only_or_views(classifier: Classifier) -> None:
    images = prepared_films(3)
    expected = classifier.predict(images[::-1].copy(), None).probabilities
    images.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(classifier.predict(images[::-1], None).probabilities, expected)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 32, 32), np.uint8),
        np.zeros((1, 64, 64), np.float32),
        np.zeros((64, 64), np.uint8),
        np.zeros((1, 3, 64, 64), np.uint8),
    ],
)
def test_the_wrong_input_is_told_from_the_right_one(classifier: Classifier, images: NDArray[np.uint8]) -> None:
    with pytest.raises(UsageError) as caught:
        classifier.predict(images)
    message = str(caught.value)
    assert "64 x 64 pixels in 8 bits" in message
    assert str(images.dtype) in message
    assert str(images.shape) in message


def test_an_unknown_method_is_refused(classifier: Classifier) -> None:
    with pytest.raises(UsageError, match="'lime'"):
        classifier.predict(prepared_films(1), "lime")


def test_a_binary_model_answers_too() -> None:
    binary = Classifier(network_of(classes=2), card_of(classes=(COVID, NORMAL)))
    prediction = binary.predict(prepared_films(2))
    assert prediction.probabilities.shape == (2, 2)
    assert prediction.heat_maps is not None
    assert prediction.heat_maps.shape == (2, 2, 2, 2)


def test_margin_is_the_distance_between_the_two_largest() -> None:
    assert margin(np.array([0.1, 0.6, 0.05, 0.25])) == pytest.approx(0.35)
    assert margin(np.array([0.5, 0.5])) == 0
    assert np.isnan(margin(np.array([1.0])))
