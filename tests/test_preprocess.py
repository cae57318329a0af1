"""One way to prepare an image: the same bytes for a training file and for a study."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision import models as tv
from torchvision.transforms.v2 import functional as tf

from lungassist.classes import COVID, NORMAL
from lungassist.dataset import index_folder, open_cache
from lungassist.errors import UsageError
from lungassist.imaging import iter_studies
from lungassist.phantom import phantom, phantom_dicom
from lungassist.predict import Classifier, Prediction
from lungassist.preprocess import ENHANCEMENTS, NORMALISATIONS, Preprocessing, prepare_image, to_batch
from lungassist.settings import Settings
from lungassist.triage import Refused, forget, triage
from tests.drawn import card_of, network_of, png


class Recording(Classifier):
    """A classifier that keeps what it was given."""

    seen: list[NDArray[np.uint8]]

    def predict(self, images: NDArray[np.uint8], explain: str | None = None) -> Prediction:
        self.seen = [*getattr(self, "seen", []), *images]
        return super().predict(images, explain)


def noise(shape: tuple[int, int] = (90, 70), seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def write_formats(root: Path) -> None:
    for label, seed in ((COVID, 1), (NORMAL, 2)):
        (root / label).mkdir()
        image = phantom(label, seed, 200)
        (root / label / "grey.png").write_bytes(png(image))
        (root / label / "grey16.png").write_bytes(png(image.astype(np.uint16) * 200))
        (root / label / "wide.png").write_bytes(png(image[:120]))
        cv2.imwrite(str(root / label / "grey.jpg"), image)
        cv2.imwrite(str(root / label / "grey.tif"), image)
        (root / label / "twelve.dcm").write_bytes(phantom_dicom(label, seed, 200))


@pytest.mark.parametrize("enhancement", ENHANCEMENTS)
def test_training_and_triage_give_a_model_the_same_bytes(tmp_path: Path, enhancement: str) -> None:
    write_formats(tmp_path)
    preprocessing = Preprocessing.named(size=64, enhancement=enhancement)
    settings = Settings.from_environment()
    index = index_folder(tmp_path)
    for_training = open_cache(index, preprocessing, settings)
    classifier = Recording(network_of(), card_of(preprocessing=preprocessing))
    results = list(triage(iter_studies([tmp_path], settings), classifier, settings, explain=None, keep=forget))
    assert not for_training.unreadable
    assert not any(isinstance(result, Refused) for result in results)
    assert len(classifier.seen) == len(index.table) == 12
    np.testing.assert_array_equal(np.stack(classifier.seen), np.asarray(for_training.images))


def test_the_whole_image_is_squashed_to_the_square() -> None:
    pixels = noise((3 * 64, 5 * 64))
    means = pixels.reshape(64, 3, 64, 5).mean(axis=(1, 3))
    low, high = np.percentile(means, (0.5, 99.5))
    expected = np.clip((means - low) / (high - low) * 255, 0, 255)
    prepared = prepare_image(pixels, Preprocessing(size=64))
    assert prepared.shape == (64, 64)
    assert prepared.dtype == np.uint8
    assert np.abs(prepared - expected).max() <= 0.51


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (31, 900), (64, 64), (63, 65)])
def test_images_of_any_shape_become_a_square(shape: tuple[int, int]) -> None:
    assert prepare_image(noise(shape), Preprocessing(size=64)).shape == (64, 64)


@pytest.mark.parametrize(("gain", "offset"), [(1, 0), (0.01, 0), (4095, 0), (0.3, 0.5), (65535, -20000)])
def test_exposure_and_window_do_not_matter(gain: float, offset: float) -> None:
    pixels = noise()
    plain = prepare_image(pixels, Preprocessing(size=64)).astype(int)
    exposed = prepare_image((pixels * gain + offset).astype(np.float32), Preprocessing(size=64)).astype(int)
    assert np.abs(plain - exposed).max() <= 1


def test_half_a_percent_is_clipped_at_either_end() -> None:
    prepared = prepare_image(noise((256, 256)), Preprocessing(size=256))
    # A level is 1/255 of the range; black and white take half a level each besides what is clipped.
    assert (prepared == 0).mean() == pytest.approx(0.005 + 0.5 * 0.99 / 255, abs=0.002)
    assert (prepared == 255).mean() == pytest.approx(0.005 + 0.5 * 0.99 / 255, abs=0.002)


def test_a_burned_in_marker_does_not_darken_the_lungs() -> None:
    pixels = noise((256, 256))
    marked = pixels.copy()
    marked[:12, :12] = 40
    plain, with_marker = (prepare_image(p, Preprocessing(size=256)).astype(int) for p in (pixels, marked))
    assert np.abs(plain - with_marker)[12:].max() <= 2


@pytest.mark.parametrize("grey", [0.0, 0.1, 0.7, 65535.3])
def test_an_empty_film_stays_empty(grey: float) -> None:
    prepared = prepare_image(np.full((301, 299), grey, np.float32), Preprocessing(size=64))
    assert np.ptp(prepared) <= 1


def test_clahe_is_opencvs() -> None:
    plain = prepare_image(noise(), Preprocessing(size=64))
    enhanced = prepare_image(noise(), Preprocessing(size=64, enhancement="clahe"))
    np.testing.assert_array_equal(enhanced, cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(plain))
    assert (enhanced != plain).any()


@pytest.mark.parametrize("name", sorted(NORMALISATIONS))
def test_a_batch_is_normalised_as_torchvision_does_it(name: str) -> None:
    preprocessing = Preprocessing.named(name, size=64)
    images = torch.from_numpy(np.stack([prepare_image(noise(seed=seed), preprocessing) for seed in (1, 2)]))
    colour = images.unsqueeze(1).expand(2, 3, 64, 64)
    mean, std = NORMALISATIONS[name]
    expected = tf.normalize(tf.to_dtype(colour, torch.float32, scale=True), list(mean), list(std))
    batch = to_batch(images, preprocessing)
    assert batch.dtype == torch.float32
    torch.testing.assert_close(batch, expected)
    torch.testing.assert_close(to_batch(images.float(), preprocessing), expected)


def test_the_imagenet_set_is_that_of_torchvisions_weights() -> None:
    transforms = tv.ResNet50_Weights.DEFAULT.transforms()
    assert NORMALISATIONS["imagenet"] == (tuple(transforms.mean), tuple(transforms.std))


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"size": 31}, "32 to 1024"),
        ({"size": 1025}, "32 to 1024"),
        ({"enhancement": "sharpen"}, "clahe"),
        ({"std": (0.2, 0.0, 0.2)}, "above 0"),
        ({"mean": (0.2, float("nan"), 0.2)}, "finite"),
        ({"std": (0.2, float("inf"), 0.2)}, "finite"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(values: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        Preprocessing(**values)  # type: ignore[arg-type]


def test_an_unknown_normalisation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"radiograph.*imagenet.*'none'"):
        Preprocessing.named("none")


def test_json_round_trip() -> None:
    preprocessing = Preprocessing.named("imagenet", size=96, enhancement="clahe")
    assert Preprocessing.from_json(json.loads(json.dumps(preprocessing.to_json()))) == preprocessing


@pytest.mark.parametrize("change", [{"mean": [0.5, 0.5]}, {"std": "abc"}, {"size": None}, {"mean": 0.5}])
def test_json_of_something_else_is_refused(change: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, UsageError)):
        Preprocessing.from_json({**Preprocessing().to_json(), **change})


def test_a_recipe_for_images_cannot_be_changed_under_a_model() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Preprocessing().size = 32  # type: ignore[misc]
