"""What a synthetic chest is drawn from: tissue, air, heart, bones and vessels, as planes that are added up.

Positions are fractions of the picture's side, x to the right (the patient's left), y downwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Points = NDArray[np.float64]

#: Everything is drawn at this side and resized once, so that a phantom looks the same at every size.
SIDE: Final = 640
#: Sub-pixel bits of OpenCV's drawing functions.
_SHIFT: Final = 4

_RIGHT_LUNG: Final = (
    (0.375, 0.125), (0.300, 0.160), (0.235, 0.260), (0.185, 0.400), (0.158, 0.550), (0.145, 0.690), (0.150, 0.775),
    (0.200, 0.715), (0.270, 0.680), (0.345, 0.672), (0.420, 0.705), (0.432, 0.600), (0.425, 0.450), (0.432, 0.300),
    (0.425, 0.180),
)  # fmt: skip
_LEFT_LUNG: Final = (
    (0.625, 0.125), (0.700, 0.160), (0.765, 0.260), (0.815, 0.400), (0.842, 0.550), (0.856, 0.700), (0.850, 0.795),
    (0.800, 0.735), (0.730, 0.705), (0.660, 0.700), (0.600, 0.725), (0.578, 0.600), (0.572, 0.450), (0.566, 0.300),
    (0.578, 0.180),
)  # fmt: skip
#: Collar bone and shoulder blade as distances from the midline.
_COLLAR: Final = ((0.035, 0.205), (0.130, 0.165), (0.250, 0.155), (0.370, 0.110))
_BLADE: Final = ((0.310, 0.170), (0.410, 0.200), (0.370, 0.460), (0.330, 0.400))


@dataclass(frozen=True, slots=True)
class Build:
    """What differs from patient to patient: chest width and height, heart width, rib slope, lung air."""

    width: float
    height: float
    heart: float
    slope: float
    air: float


def placed(points: Sequence[tuple[float, float]] | Points, build: Build) -> Points:
    """Scale positions `(N, 2)` about the middle of the chest."""
    centre = np.array([0.5, 0.455])
    scaled: Points = (np.asarray(points, np.float64) - centre) * (build.width, build.height) + centre
    return scaled


def _curve(points: Points, closed: bool = False) -> Points:
    """Round a polygon off by cutting its corners three times (Chaikin, 1974)."""
    for _ in range(3):
        following = np.roll(points, -1, axis=0)
        cut = np.stack([0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], axis=1).reshape(-1, 2)
        points = cut if closed else np.concatenate([points[:1], cut[:-2], points[-1:]])
    return points


def _fixed(points: Points) -> NDArray[np.int32]:
    return np.asarray(np.rint(points * SIDE * (1 << _SHIFT)), np.int32)


def _filled(points: Points, soften: float) -> Plane:
    """Return a filled outline as a plane in [0, 1] with an edge softened by `soften` pixels."""
    plane = np.zeros((SIDE, SIDE), np.float32)
    cv2.fillPoly(plane, [_fixed(points)], 1.0, cv2.LINE_8, _SHIFT)
    return blurred(plane, soften)


def _stroke(plane: Plane, points: Points, width: float, value: float) -> None:
    thickness = max(1, round(width * SIDE))
    cv2.polylines(plane, [_fixed(points)], False, value, thickness, cv2.LINE_8, _SHIFT)


def blurred(plane: Plane, sigma: float) -> Plane:
    """Return a plane smoothed by a Gaussian of `sigma` pixels."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def _grid() -> tuple[Plane, Plane]:
    axis = np.asarray((np.arange(SIDE) + 0.5) / SIDE, np.float32)
    return axis[None, :], axis[:, None]


def bump(spot: Points, wide: float, high: float, tilt: float = 0.0) -> Plane:
    """Return a smooth hill of height 1 at `spot` (x, y), `tilt` radians clockwise."""
    across, down = _grid()
    if tilt == 0:  # a product of two lines of numbers, forty times cheaper
        line, column = ((across - float(spot[0])) / wide) ** 2, ((down - float(spot[1])) / high) ** 2
        return np.asarray(np.exp(-line) * np.exp(-column), np.float32)
    right, below = across - float(spot[0]), down - float(spot[1])
    along = right * np.float32(np.cos(tilt)) + below * np.float32(np.sin(tilt))
    beside = below * np.float32(np.cos(tilt)) - right * np.float32(np.sin(tilt))
    return np.asarray(np.exp(-((along / wide) ** 2) - (beside / high) ** 2), np.float32)


def soft_tissue(build: Build, random: np.random.Generator) -> Plane:
    """Neck, shoulders, chest wall and abdomen; the beam outside the body meets nothing."""
    outline = [
        (0.43, -0.35), (0.425, 0.05), (0.33, 0.085), (0.15, 0.115), (0.045, 0.19), (0.015, 0.32), (0.06, 0.42),
        (0.085, 0.60), (0.075, 0.80), (0.06, 1.35),
    ]  # fmt: skip
    both = np.array([*outline, *[(1 - x, y) for x, y in reversed(outline)]])
    body = _filled(_curve(placed(both, build), closed=True), 5)
    across, down = _grid()
    depth = 0.56 + 0.14 * np.exp(-(((across - 0.5) / 0.40) ** 2)) + 0.10 / (1 + np.exp(-(down - 0.74) / 0.05))
    folds = 0.012 * texture(random, 30) + 0.006 * texture(random, 8)
    return np.asarray(body * (depth + folds), np.float32)


def lungs_of(build: Build, random: np.random.Generator) -> tuple[Plane, Plane]:
    """Return the right lung (left in the picture) and the left one, as soft planes in [0, 1]."""
    right, left = (
        _filled(_curve(placed(outline + random.normal(0, 0.003, np.shape(outline)), build), closed=True), 3.5)
        for outline in (_RIGHT_LUNG, _LEFT_LUNG)
    )
    return right, left


def air(lungs: tuple[Plane, Plane], build: Build) -> Plane:
    """Air seen through: most in the middle of a lung, less towards its rounded edge, little where the heart lies."""
    total = np.zeros((SIDE, SIDE), np.float32)
    for lung in lungs:
        inside = np.asarray(cv2.distanceTransform((lung > 0.5).astype(np.uint8), cv2.DIST_L2, 5), np.float32)
        depth = np.clip(blurred(inside, 4) / 70, 0, 1)
        total += lung * (0.66 + 0.34 * np.sqrt(depth))
    total *= 1 - 0.88 * heart(build)
    windpipe, bubble = placed([(0.495, 0.12), (0.70, 0.80)], build)
    total += 0.24 * bump(windpipe, 0.020, 0.22) + 0.26 * bump(bubble, 0.060, 0.032)
    return total


def heart(build: Build) -> Plane:
    """Heart and aortic knob as a soft plane in [0, 1]."""
    reach = 0.165 * build.heart
    outline = np.array([
        (0.46, 0.42), (0.418, 0.50), (0.385, 0.57), (0.382, 0.66), (0.418, 0.75), (0.55, 0.775),
        (0.53 + reach, 0.755), (0.545 + reach, 0.70), (0.525 + reach, 0.62), (0.52 + 0.62 * reach, 0.53),
        (0.585, 0.46), (0.575, 0.40), (0.53, 0.36),
    ])  # fmt: skip
    knob = placed([(0.563, 0.315)], build)[0]
    shadow = _filled(_curve(placed(outline, build), closed=True), 4) + 0.9 * bump(knob, 0.036, 0.05)
    return np.asarray(np.clip(shadow, 0, 1), np.float32)


def mediastinum(build: Build) -> Plane:
    """Spine and great vessels, heart muscle, and the two hila."""
    spine = placed([(0.458, -0.4), (0.542, -0.4), (0.545, 1.4), (0.455, 1.4)], build)
    trunk = placed([(0.445, 0.12), (0.555, 0.12), (0.572, 0.45), (0.425, 0.45)], build)
    shadow = 0.11 * _filled(spine, 4) + 0.06 * _filled(trunk, 6) + 0.05 * heart(build)
    for x, tilt in ((0.412, -0.5), (0.592, 0.5)):
        hilum = placed([(x, 0.455)], build)[0]
        shadow += 0.15 * bump(hilum, 0.028, 0.058, tilt)
    return np.asarray(shadow, np.float32)


def bones(build: Build) -> Plane:
    """Ribs, clavicles, shoulder blades and vertebrae; ribs are bright at their edges, as hollow bone is."""
    ribs = [_rib(build, level, side) for level in range(9) for side in (-1, 1)]
    hard = 0.105 * _tubes([behind for behind, _ in ribs], 0.021)
    hard += 0.047 * _tubes([before for _, before in ribs], 0.024)
    for side in (-1, 1):
        collar, blade = (placed([(0.5 + side * x, y) for x, y in outline], build) for outline in (_COLLAR, _BLADE))
        hard += 0.15 * _tubes([_curve(collar)], 0.026) + 0.05 * _filled(_curve(blade, closed=True), 4)
    for level in range(18):
        bone = placed([(0.5, 0.02 + 0.06 * level)], build)[0]
        hard += 0.05 * bump(bone, 0.036 * build.width, 0.022)
    return hard


def _rib(build: Build, level: int, side: int) -> tuple[Points, Points]:
    """Return the arc behind, falling from the spine outwards, and the one in front, falling inwards."""
    top = 0.145 + 0.066 * level
    reach = (0.20, 0.265, 0.305, 0.332, 0.350, 0.360, 0.366, 0.368, 0.366)[level]
    fall = 0.105 * build.slope
    back = [(0.03, top + 0.012), (0.4 * reach, top - 0.012), (0.85 * reach, top + 0.4 * fall), (reach, top + fall)]
    front = [(reach, top + fall), (0.93 * reach, top + 1.9 * fall), (0.62 * reach, top + 2.5 * fall)]
    behind, before = (_curve(placed([(0.5 + side * x, y) for x, y in arc], build)) for arc in (back, front))
    return behind, before


def _tubes(lines: list[Points], width: float) -> Plane:
    """Return lines that do not cross as hollow tubes in [0, 1]."""
    plane = np.zeros((SIDE, SIDE), np.float32)
    for value, share in ((1.0, 1.0), (0.62, 0.55)):
        for points in lines:
            _stroke(plane, points, width * share, value)
    return blurred(plane, 1.6)


def vessels(build: Build, random: np.random.Generator) -> Plane:
    """Branching lines from the hila, thinner with each fork."""
    plane = np.zeros((SIDE, SIDE), np.float32)
    for x, outwards in ((0.41, np.pi), (0.60, 0.0)):
        root = placed([(x, 0.46)], build)[0]
        for angle in np.linspace(-1.3, 1.4, 7):
            _branch(plane, root, outwards + angle * (1 if outwards == 0 else -1), 0.075, 0.011, random)
    return np.asarray(0.10 * blurred(plane, 1.5), np.float32)


def _branch(
    plane: Plane, start: Points, angle: float, length: float, width: float, random: np.random.Generator
) -> None:
    if width < 0.0016:
        return
    end = start + length * np.array([np.cos(angle), np.sin(angle)])
    _stroke(plane, np.stack([start, end]), width, min(1.0, 0.25 + width * 70))
    for turn in (-0.38, 0.34):
        bend = turn + random.normal(0, 0.2)
        _branch(plane, end, angle + bend, length * random.uniform(0.65, 1.0), width * 0.62, random)


def texture(random: np.random.Generator, scale: float) -> Plane:
    """Random relief of grain `scale` pixels, mean 0 and standard deviation 1; a coarse one is drawn small."""
    step = max(1, int(scale // 4))
    rough = random.normal(0, 1, (SIDE // step, SIDE // step)).astype(np.float32)
    relief = blurred(rough, scale / step) - blurred(rough, 3 * scale / step)
    whole = cv2.resize(relief / relief.std(), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(whole, np.float32)
