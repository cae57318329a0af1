"""The changes of the robustness benchmark do what they say, and the benchmark compares the same images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import robustness, second_reading
from benchmarks.perturbations import PERTURBATIONS, dicom, png
from lungassist.classes import CLASSES
from lungassist.enhance import band_energies, clahe
from lungassist.imaging.reader import read_radiograph
from lungassist.phantom import phantom, phantom_png
from lungassist.preprocess import Preprocessing, prepare_image
from lungassist.settings import Settings

PICTURE = phantom("Normal", 1, 256)


def changed(name: str, seed: int = 1) -> np.ndarray:
    """What a reader gets of the changed picture, `(H, W)`."""
    data = PERTURBATIONS[name].change(PICTURE, np.random.default_rng(seed))
    return np.asarray(read_radiograph(data, name, Settings.from_environment()).pixels)


def prepared(pixels: np.ndarray) -> np.ndarray:
    return prepare_image(np.asarray(pixels, np.float32), Preprocessing(size=128)).astype(int)


@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_every_change_gives_a_readable_image_again_and_again_the_same(name: str) -> None:
    first = changed(name)
    assert first.min() < first.max()
    assert np.array_equal(first, changed(name))


@pytest.mark.parametrize("name", [name for name in PERTURBATIONS if "dicom" not in name])
def test_every_change_reaches_the_network(name: str) -> None:
    assert not np.array_equal(prepared(changed(name)), prepared(PICTURE))


def test_an_inverted_file_is_undone_when_it_is_read() -> None:
    settings = Settings.from_environment()
    straight, inverted = (
        read_radiograph(dicom(PICTURE, kind), kind, settings) for kind in ("MONOCHROME2", "MONOCHROME1")
    )
    assert inverted.photometric_interpretation == "MONOCHROME1"
    assert np.array_equal(prepared(straight.pixels), prepared(inverted.pixels))
    assert np.abs(prepared(straight.pixels) - prepared(PICTURE)).max() <= 1


@pytest.mark.parametrize(
    ("name", "shape"),
    [("size 512", (512, 512)), ("size 96", (96, 96)), ("crop 10", (230, 230)), ("border 3", (272, 272))],
)
def test_sizes_are_as_named(name: str, shape: tuple[int, int]) -> None:
    assert changed(name).shape == shape


@pytest.mark.parametrize(
    ("name", "times"), [("softer", 0.6), ("local contrast", 1.5), ("local contrast 2", 2.0), ("sharpened", 2.0)]
)
def test_local_contrast_is_changed_as_named(name: str, times: float) -> None:
    """Of a wave so fine that the Gaussian takes nothing of it for the background."""
    fine = (100 + 20 * np.sin(np.arange(256) * np.pi / 2)).round().astype(np.uint8)
    data = PERTURBATIONS[name].change(np.tile(fine, (256, 1)), np.random.default_rng(1))
    seen = 255 * read_radiograph(data, name, Settings.from_environment()).pixels[64:-64, 64:-64]
    assert np.ptp(seen) == pytest.approx(40 * times, abs=3)
    assert seen.mean() == pytest.approx(100, abs=1)


def test_detail_differs_as_between_two_films() -> None:
    own = np.log(band_energies(PICTURE))
    energies = [band_energies(np.rint(255 * changed("processed", seed)).astype(np.uint8)) for seed in range(40)]
    apart = np.log(energies) - own
    apart = apart[:, :-1] - apart[:, -1:]
    assert apart[:, 0].std() == pytest.approx(0.5, abs=0.15)
    assert (np.diff(apart.std(axis=0)) < 0).all(), "the more, the finer the detail"
    assert np.abs(apart.mean(axis=0)).max() < 0.25, "weaker as often as stronger"


def test_clahe_is_the_products_own() -> None:
    assert np.array_equal(np.rint(255 * changed("clahe")), clahe(PICTURE))


def test_random_changes_differ_between_images() -> None:
    assert not np.array_equal(changed("markers", 1), changed("markers", 2))


def folder_of_phantoms(place: Path) -> Path:
    for label in CLASSES:
        (place / label / "images").mkdir(parents=True)
        for seed in range(3):
            (place / label / "images" / f"phantom-{seed}.png").write_bytes(phantom_png(label, seed, 128))
    return place


def test_the_benchmark_pairs_the_changed_images_with_the_images_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of_phantoms(tmp_path)
    assert robustness.main(["--data", str(folder), "--json", "--only", "dicom", "gamma 1.7"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["images"] == 12
    assert result["changed"]["dicom"]["points"] == 0, "twelve bits of an 8-bit image are the same image"
    assert result["changed"]["dicom"]["accuracy"] == result["as_they_are"]["accuracy"]
    assert result["worst_ordinary_points"] == 0, "what is beyond the ordinary does not count"
    assert result["changed"]["dicom"]["loss"] == pytest.approx(result["as_they_are"]["loss"], rel=0.01)
    losses = [line["loss"] for line in result["changed"].values()]
    assert result["mean_loss_changed"] == pytest.approx(sum(losses) / 2, abs=1e-4)
    low, high = result["changed"]["gamma 1.7"]["points_interval"]
    assert low <= result["changed"]["gamma 1.7"]["points"] <= high


def test_what_triage_would_say_is_counted_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of_phantoms(tmp_path)
    changes = ["--data", str(folder), "--json", "--only", "clahe", "noise 6"]
    assert robustness.main(changes) == 0
    result = json.loads(capsys.readouterr().out)
    assert second_reading.main([*changes, "--second", "resnet18"]) == 0
    findings = json.loads(capsys.readouterr().out)["changes"]
    assert result["as_they_are"]["judged"]["accuracy"] == findings["as they are"]["accuracy"]
    for name, line in result["changed"].items():
        assert line["judged"]["accuracy"] == findings[name]["accuracy"]
        assert line["judged"]["contagious_called_normal"] == findings[name]["contagious_called_normal"]
        apart = findings[name]["accuracy"] - findings["as they are"]["accuracy"]
        assert line["judged"]["points"] == pytest.approx(apart, abs=0.02)
    assert result["worst_ordinary_points_judged"] == result["changed"]["clahe"]["judged"]["points"]
    assert "suspected contagious from" in result["operating_point"]


def test_a_folder_with_another_class_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label in ("Normal", "Tuberculosis"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.png").write_bytes(png(PICTURE))
    with pytest.raises(SystemExit):
        robustness.main(["--data", str(tmp_path)])
    assert "'Tuberculosis'" in capsys.readouterr().err


def test_a_split_that_a_folder_does_not_have_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a model was not trained on is test, all of it."""
    folder = folder_of_phantoms(tmp_path / "phantoms")
    with pytest.raises(SystemExit):
        robustness.main(["--data", str(folder), "--split", "validation"])
    assert "is a validation image of this model" in capsys.readouterr().err
