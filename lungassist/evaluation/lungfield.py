"""Where the lungs are on a frontal radiograph: the database's mask where there is one, else found in the picture.

The automatic field is found in two steps. An outline of both lungs is laid over the picture in a thousand places and
sizes; the one that is darkest against its surroundings stays, so that a lung that is white with disease still counts
where its neighbour and the chest say that it must be. Then its edge gives way to the picture: grey values inside and
outside are weighed against the distance from the outline, a few times over. No part of it is learnt.

It is good enough to ask whether a model looks at the lungs at all, not to measure one; `python -m benchmarks.lungfield`
says how good, on phantoms whose anatomy is known and on any folder with masks.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lungassist.errors import StudyError
from lungassist.imaging.reader import read_file
from lungassist.settings import Settings

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Fields are found at this side; lungs are no finer.
SIDE: Final = 128

MASKS: Final = "masks"
AUTOMATIC: Final = "automatic"

#: Outlines of a lung on the left and on the right of the picture, (x, y) as shares of its side, about `_CENTRE`.
_OUTLINES: Final = (
    (
        (0.36, 0.12), (0.24, 0.22), (0.16, 0.40), (0.12, 0.60), (0.11, 0.76), (0.25, 0.74), (0.38, 0.74), (0.42, 0.60),
        (0.42, 0.40), (0.43, 0.22),
    ),
    (
        (0.64, 0.12), (0.76, 0.22), (0.84, 0.40), (0.88, 0.60), (0.89, 0.78), (0.75, 0.76), (0.64, 0.74), (0.58, 0.60),
        (0.58, 0.40), (0.57, 0.22),
    ),
)  # fmt: skip
_CENTRE: Final = (0.5, 0.45)

_ACROSS: Final = (0.44, 0.47, 0.50, 0.53, 0.56)
_DOWN: Final = (0.34, 0.38, 0.42, 0.46, 0.50, 0.54, 0.58)
_WIDTHS: Final = (0.65, 0.75, 0.85, 0.95, 1.05, 1.15, 1.25)
_HEIGHTS: Final = (0.65, 0.80, 0.95, 1.10, 1.25, 1.40)
#: An outline may leave the picture by this much.
_OVERHANG: Final = 0.02

_ROUNDS: Final = 6


@dataclass(frozen=True, slots=True, eq=False)
class LungField:
    """The lungs of one picture.

    Attributes:
        mask: `(SIDE, SIDE)`, inside the lungs.
        agreement: Dice's coefficient of the outline alone and the final field, in [0, 1]; low where picture and outline
            disagree, so that neither should be trusted. 1 for a mask of the database's.
        origin: `MASKS` or `AUTOMATIC`.
    """

    mask: Mask
    agreement: float
    origin: str


@dataclass(frozen=True, slots=True, eq=False)
class _Templates:
    """All placed outlines `(T, SIDE * SIDE)` and the rings around them, each summing to 1, and their areas `(T,)`."""

    places: tuple[tuple[float, float, float, float], ...]
    inner: Plane
    ring: Plane
    areas: Plane


def lung_field(image: NDArray[np.uint8]) -> LungField:
    """Find the lungs in a prepared image `(S, S)` uint8, brighter where the film is whiter."""
    return lung_fields([image])[0]


def lung_fields(images: Sequence[NDArray[np.uint8]]) -> list[LungField]:
    """As `lung_field`, of several images, whose outlines are placed together: a few times faster from 32 on."""
    small = (cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for image in images)
    pictures = [_without_room(_blurred(one.astype(np.float32) / np.float32(255), 1.0)) for one in small]
    places = _best_places(pictures)
    return [_field(picture, place) for picture, place in zip(pictures, places, strict=True)]


def _field(picture: Plane, place: tuple[float, float, float, float]) -> LungField:
    outline = _outline(place, soften=5)
    mask = _two_largest(_weighed(picture, np.clip(outline, 0.02, 0.97)) > 0.5)
    return LungField(mask, dice(mask, outline > 0.5), AUTOMATIC)


def database_field(root: Path, file: str, settings: Settings) -> LungField | None:
    """The database's own mask of an image, `CLASS/masks/NAME.png` for `CLASS/images/NAME.png`.

    Returns:
        None if there is no such mask, it cannot be read, or it is empty.
    """
    path = mask_path(root, file)
    if path is None:
        return None
    try:
        pixels = read_file(path, settings).pixels
    except StudyError:
        return None
    white = pixels > (float(pixels.min()) + float(pixels.max())) / 2
    mask = cv2.resize(white.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA) >= 0.5
    return LungField(mask, 1.0, MASKS) if mask.any() else None


def mask_path(root: Path, file: str) -> Path | None:
    """Where the database keeps the mask of an image; None if it is not there."""
    parts = PurePosixPath(file)
    folder = root.joinpath(*parts.parts[:-1])
    if folder.name.lower() in {"images", "image"}:
        folder = folder.parent
    found = (folder / "masks" / f"{parts.stem}{ending}" for ending in (parts.suffix, ".png"))
    return next((path for path in found if path.is_file()), None)


def evidence_inside(heat_map: NDArray[np.float32], field: LungField) -> float:
    """Share of a heat map `(h, w)`, at least 0, that lies inside the lungs, in [0, 1]; NaN for a map of zeros.

    The map is brought to the field's size as it is for the eye, by interpolation. A map that is even over the whole
    picture has the share of the lungs' area.
    """
    spread = np.maximum(cv2.resize(heat_map, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), 0)
    total = float(spread.sum(dtype=np.float64))
    return float(spread[field.mask].sum(dtype=np.float64)) / total if total > 0 else float("nan")


def dice(one: Mask, other: Mask) -> float:
    """Twice what two masks share over what they have (Dice 1945), in [0, 1]; 1 if both are empty."""
    both = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / both if both else 1.0


def _best_places(pictures: Sequence[Plane]) -> list[tuple[float, float, float, float]]:
    """Centre, width and height of the outline that stands out most: darker inside than around, and even in both."""
    templates = _templates()
    values = np.stack([(picture - np.float32(0.7) * _blurred(picture, 24)).ravel() for picture in pictures], axis=1)
    squares = values * values
    inner, ring = templates.inner @ values, templates.ring @ values
    spread = np.maximum(templates.inner @ squares - inner**2, 0) + np.maximum(templates.ring @ squares - ring**2, 0)
    # The area's root: a small outline finds an even patch anywhere.
    standing_out = (ring - inner) / (np.sqrt(spread) + 0.05) * templates.areas[:, np.newaxis] ** 0.25
    return [templates.places[best] for best in np.argmax(standing_out, axis=0).tolist()]


def _weighed(picture: Plane, prior: Plane) -> Plane:
    """Chance of lung at every place, from grey values, absolute and against their surroundings, and the outline."""
    features = (picture, picture - _blurred(picture, 20))
    near = cv2.dilate((prior > 0.1).astype(np.float32), np.ones((5, 5)))
    logit_prior = np.log(prior / (1 - prior))
    chance = prior
    for _ in range(_ROUNDS):
        likelihoods = [_log_likelihood(feature, chance * near, (1 - chance) * near) for feature in features]
        grey = np.clip(sum(likelihoods) / len(likelihoods), -4, 4)
        chance = _blurred(np.asarray(1 / (1 + np.exp(-(grey + 1.2 * logit_prior))), np.float32), 1.5)
    return chance


def _log_likelihood(feature: Plane, inside: Plane, outside: Plane) -> Plane:
    """Of two normal distributions, fitted with the given weights; the constant keeps one from closing in on a grey."""
    (mean_in, width_in), (mean_out, width_out) = (_moments(feature, weights) for weights in (inside, outside))
    nearer = ((feature - mean_out) / width_out) ** 2 - ((feature - mean_in) / width_in) ** 2
    return np.asarray(nearer / 2 + np.log(width_out / width_in), np.float32)


def _moments(feature: Plane, weights: Plane) -> tuple[float, float]:
    total = max(float(weights.sum()), 1e-6)
    mean = float((feature * weights).sum()) / total
    return mean, float(np.sqrt((weights * (feature - mean) ** 2).sum() / total)) + 0.03


def _without_room(picture: Plane) -> Plane:
    """Fill the air around the patient, dark and at the picture's edge, with the grey of tissue: it is no lung."""
    dark = (picture < max(0.10, float(np.percentile(picture, 2)) + 0.06)).astype(np.uint8)
    _, parts = cv2.connectedComponents(dark)
    at_edge = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    room = cv2.dilate(np.isin(parts, at_edge[at_edge > 0]).astype(np.uint8), np.ones((3, 3))) > 0
    tissue = np.percentile(picture[~room], 75) if not room.all() else 0.5
    return np.where(room, np.float32(tissue), picture)


def _two_largest(mask: Mask) -> Mask:
    """The two largest connected parts, smoothed and with their bays closed."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, _disc(5))
    count, parts, statistics, _ = cv2.connectedComponentsWithStats(opened)
    sizes = statistics[:, cv2.CC_STAT_AREA]
    kept = sorted(range(1, count), key=lambda part: -sizes[part])[:2]
    margin = 20
    result = np.zeros(opened.shape, np.bool_)
    for part in kept:
        padded = np.pad((parts == part).astype(np.uint8), margin)
        closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, _disc(17))[margin:-margin, margin:-margin]
        result = result | (np.asarray(closed) > 0)
    return result


@cache
def _templates() -> _Templates:
    places = tuple(_places())
    planes = [_outline(place, soften=1.5) for place in places]
    rings = [np.maximum(cv2.dilate(plane, _disc(19)) - plane, 0) for plane in planes]
    inner, ring = (np.stack(one).reshape(len(places), -1) for one in (planes, rings))
    areas = np.array([width * height for _, _, width, height in places], np.float32)
    inner, ring = (one / one.sum(axis=1, keepdims=True) for one in (inner, ring))
    return _Templates(places, inner, ring, areas)


def _places() -> Iterator[tuple[float, float, float, float]]:
    for place in itertools.product(_ACROSS, _DOWN, _WIDTHS, _HEIGHTS):
        points = np.concatenate([_placed(outline, place) for outline in _OUTLINES])
        if points.min() > -_OVERHANG and points.max() < 1 + _OVERHANG:
            yield place


def _outline(place: tuple[float, float, float, float], soften: float) -> Plane:
    plane = np.zeros((SIDE, SIDE), np.float32)
    for outline in _OUTLINES:
        corners = np.rint(_placed(outline, place) * SIDE * 16).astype(np.int32)
        cv2.fillPoly(plane, [corners], 1.0, cv2.LINE_8, 4)
    return _blurred(plane, soften)


def _placed(outline: tuple[tuple[float, float], ...], place: tuple[float, float, float, float]) -> NDArray[np.float64]:
    across, down, width, height = place
    return (np.asarray(outline) - _CENTRE) * (width, height) + (across, down)


def _blurred(plane: Plane, sigma: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def _disc(side: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
