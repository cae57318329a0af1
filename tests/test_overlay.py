"""A heat map painted for a file looks as it does in the browser's viewer, whose source is read here."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lungassist.errors import UsageError
from lungassist.overlay import COLOUR_MAPS, FADE_BELOW, opacity_of, overlay

VIEWER = Path(__file__).parent.parent / "pages" / "components" / "viewer" / "colormaps.js"
GREY = np.random.default_rng(1).integers(0, 256, (40, 60), dtype=np.uint8)


def viewers_table(name: str) -> NDArray[np.float64]:
    """The viewer's 256 colours, by straight lines between its control points."""
    found = re.search(rf"^  {name}: \[(.*?)^  \],", VIEWER.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found
    rows = [[float(number) for number in row.split(",")] for row in re.findall(r"\[([^\[\]]+)\]", found.group(1))]
    points = np.array(rows)
    places = np.arange(256) / 255
    return np.stack([np.rint(np.interp(places, points[:, 0], points[:, channel])) for channel in (1, 2, 3)], axis=1)


def viewers_interpolation(values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Bilinear, pixel centres at half integers, edges held: what the viewer's evidence.js documents."""
    result = values.astype(np.float64)
    for axis, size in enumerate(shape):
        held = np.clip((np.arange(size) + 0.5) * values.shape[axis] / size - 0.5, 0, values.shape[axis] - 1)
        before = np.floor(held).astype(int)
        after = np.minimum(before + 1, values.shape[axis] - 1)
        share = (held - before).reshape([-1 if a == axis else 1 for a in (0, 1)])
        result = np.take(result, before, axis) * (1 - share) + np.take(result, after, axis) * share
    return result


def test_the_viewers_fade_is_this_one() -> None:
    found = re.search(r"^export const FADE_BELOW = ([0-9.]+);", VIEWER.read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    assert float(found.group(1)) == FADE_BELOW


@pytest.mark.parametrize("name", sorted(COLOUR_MAPS))
def test_a_painted_file_is_what_the_viewer_shows(name: str) -> None:
    evidence = np.random.default_rng(2).random((5, 7), dtype=np.float32)
    scale, opacity = 0.8, 0.6
    share = np.clip(viewers_interpolation(evidence, GREY.shape) / scale, 0, 1)
    colours = viewers_table(name)[np.rint(share * 255).astype(int)]
    alpha = (opacity * np.minimum(1, share / FADE_BELOW))[..., None]
    expected = GREY[..., None] * (1 - alpha) + colours * alpha
    painted = overlay(GREY, evidence, scale, colour_map=name, opacity=opacity)
    assert painted.dtype == np.uint8
    # The viewer draws its colours through a few points of the same maps: a few levels are not seen.
    assert np.abs(painted - expected).max() <= 5


@pytest.mark.parametrize("evidence", [np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)])
def test_no_scale_leaves_the_radiograph_grey(evidence: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(overlay(GREY, evidence, 0), np.stack([GREY] * 3, axis=2))


def test_no_evidence_for_this_class_leaves_the_radiograph_grey() -> None:
    painted = overlay(GREY, np.zeros((4, 4), np.float32), 0.7)
    np.testing.assert_array_equal(painted, np.stack([GREY] * 3, axis=2))


def test_only_the_place_with_evidence_is_painted() -> None:
    evidence = np.zeros((4, 6), np.float32)
    evidence[0, 0] = 1
    painted = overlay(GREY, evidence, 1.0)
    changed = (painted != GREY[..., None]).any(axis=2)
    assert changed[:10, :10].mean() > 0.9
    assert not changed[20:].any()
    assert not changed[:, 30:].any()


def test_more_evidence_is_never_more_transparent() -> None:
    opacities = opacity_of(np.linspace(0, 1, 101, dtype=np.float32))
    assert opacities[0] == 0
    assert opacities[-1] == 1
    assert (np.diff(opacities) >= 0).all()


@pytest.mark.parametrize("name", ["inferno", "viridis", "magma"])
def test_more_evidence_is_lighter_on_a_black_film(name: str) -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(1, 256)
    painted = overlay(np.zeros((1, 256), np.uint8), ramp, 1.0, colour_map=name, opacity=1.0)[0].astype(float)
    lightness = painted @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) >= -1).all()
    assert lightness[-1] > lightness[0] + 100


def test_evidence_beyond_the_scale_gets_the_full_colour() -> None:
    once, twice = (overlay(GREY, np.full((2, 2), value, np.float32), 1.0) for value in (1.0, 2.0))
    np.testing.assert_array_equal(once, twice)


def test_an_unknown_colour_map_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'hot'.*inferno, viridis, magma, jet"):
        overlay(GREY, np.zeros((2, 2), np.float32), 1.0, colour_map="hot")
