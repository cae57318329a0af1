"""The contrast enhancements, against their definitions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lungassist.enhance import BAND_ENERGIES, ENHANCERS, band_energies, bands, clahe, laplace, smqt, wavelet
from lungassist.phantom import phantom
from lungassist.preprocess import Preprocessing, prepare_image


def chest_like(seed: int = 1, size: int = 96) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    down, right = np.indices((size, size)) / size
    lungs = np.exp(-(((down - 0.5) / 0.3) ** 2)) * np.abs(np.sin(right * 2 * np.pi))
    return np.asarray(np.clip(200 - 150 * lungs + rng.normal(0, 4, (size, size)), 0, 255), dtype=np.uint8)


@pytest.mark.parametrize("name", ENHANCERS)
@pytest.mark.parametrize("grey", [0, 7, 255])
def test_a_film_without_contrast_is_left_without(name: str, grey: int) -> None:
    enhanced = ENHANCERS[name](np.full((64, 64), grey, np.uint8))
    assert enhanced.dtype == np.uint8
    assert enhanced.shape == (64, 64)
    assert np.ptp(enhanced) == 0


@pytest.mark.parametrize("name", ENHANCERS)
def test_the_image_given_is_left_alone_and_most_do_something(name: str) -> None:
    """What undoes CLAHE only where there was some, see tests/test_undo_clahe.py."""
    image = chest_like()
    enhanced = ENHANCERS[name](image)
    np.testing.assert_array_equal(image, chest_like())
    assert (name in ("none", "undo-clahe")) == (enhanced == image).all()


def smqt_by_its_definition(values: NDArray[np.float64], level: int = 8) -> NDArray[np.int64]:
    """Nilsson et al. 2005, section 2: a tree of mean quantization units, on a set of values."""
    if level == 0 or not len(values):
        return np.zeros(len(values), np.int64)
    above = values > values.mean()
    result = np.where(above, 2 ** (level - 1), 0)
    result[above] += smqt_by_its_definition(values[above], level - 1)
    result[~above] += smqt_by_its_definition(values[~above], level - 1)
    return result


@pytest.mark.parametrize("seed", range(3))
def test_smqt_is_the_tree_of_means(seed: int) -> None:
    image = chest_like(seed)
    expected = smqt_by_its_definition(image.ravel().astype(float)).reshape(image.shape)
    np.testing.assert_array_equal(smqt(image), expected)


def test_smqt_forgets_gain_and_offset() -> None:
    image = chest_like() // 3
    np.testing.assert_array_equal(smqt(np.asarray(image * 2 + 40, np.uint8)), smqt(image))


def test_clahe_is_opencvs() -> None:
    image = chest_like()
    np.testing.assert_array_equal(clahe(image), cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(image))


def test_laplace_takes_the_second_derivatives_away() -> None:
    image = chest_like()
    grey = np.pad(image.astype(int), 1, mode="reflect")
    second = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    np.testing.assert_array_equal(laplace(image), np.clip(image.astype(int) - second, 0, 255))


def test_wavelet_raises_weak_details_more_than_strong_ones_and_hardly_the_noise() -> None:
    rng = np.random.default_rng(2)
    # Rows of grain, then of stripes that barely stand out, then of strong ones.
    strength = np.repeat([0.0, 6.0, 60.0], [128, 32, 32]).reshape(-1, 1)
    stripes = np.where(np.arange(192) // 3 % 2, 1.0, -1.0)
    image = np.asarray(np.clip(128 + stripes * strength + rng.normal(0, 1, (192, 192)), 0, 255), dtype=np.uint8)
    enhanced = wavelet(image)
    noise, weak, strong = (
        float(enhanced[rows].astype(float).std() / image[rows].astype(float).std())
        for rows in (slice(8, 120), slice(136, 152), slice(168, 184))
    )
    assert 0.95 < noise < 1.2
    assert weak > 1.4
    assert weak > strong + 0.3


def film(seed: int = 1, side: int = 224) -> NDArray[np.uint8]:
    return prepare_image(phantom("Normal", seed, 2 * side).astype(np.float32), Preprocessing(size=side))


def sharpened(image: NDArray[np.uint8], amount: float, sigma: float) -> NDArray[np.uint8]:
    grey = image.astype(np.float32)
    detail = grey - cv2.GaussianBlur(grey, (0, 0), sigma)
    return np.asarray(np.rint(np.clip(grey + amount * detail, 0, 255)), np.uint8)


def far(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(float) - other).mean())


@pytest.mark.parametrize("side", [128, 224, 320])
def test_bands_come_near_their_usual_energies(side: int) -> None:
    before, after = (
        np.log(np.array(band_energies(each)) / BAND_ENERGIES) for each in (film(side=side), bands(film(side=side)))
    )
    # As to each other: the stretch of the range at the end scales all alike.
    assert np.ptp(after) < 0.6 * np.ptp(before)


@pytest.mark.parametrize(("amount", "sigma"), [(1.0, 2), (0.5, 16), (-0.4, 16), (1.0, 6)])
@pytest.mark.parametrize("seed", range(3))
def test_bands_undo_what_a_maker_does_to_local_contrast(seed: int, amount: float, sigma: float) -> None:
    plain = film(seed)
    other = sharpened(plain, amount, sigma)
    assert far(bands(other), bands(plain)) < 0.5 * far(other, plain)


def test_bands_are_hardly_moved_by_a_marker() -> None:
    plain = film()
    marked = plain.copy()
    marked[24:36, 180:200] = 255
    rest = np.ones(plain.shape, bool)
    rest[14:46, 170:210] = False
    assert far(bands(marked)[rest], bands(plain)[rest]) < 3


def test_bands_do_not_make_noise_of_an_empty_film_into_detail() -> None:
    noise = np.random.default_rng(1).integers(100, 103, (224, 224)).astype(np.uint8)
    noise[:, :20], noise[:, -20:] = 0, 255
    assert bands(noise)[40:-40, 60:-60].std() < 5 * noise[40:-40, 60:-60].std()


def test_energies_are_mean_absolute_deviations() -> None:
    image = np.zeros((224, 224), np.uint8)
    image[:, ::2] = 20
    energies = band_energies(image)
    assert energies[0] == pytest.approx(10, abs=2.5), "stripes of a pixel are all in the finest band"
    assert max(energies[2:]) < 0.1
