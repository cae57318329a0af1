"""Reasons to doubt that an image is a frontal chest radiograph, before a model gives it a probability all the same.

A classifier answers for a holiday picture as it does for a lung. These checks cost about a millisecond and are set so
that they stay silent on real studies: every threshold lies well outside what 9,970 images of the COVID-19 Radiography
Database show (the figures stand beside it). They cannot tell a chest from a skilfully chosen other X-ray.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lungassist.imaging.radiograph import Radiograph

#: About this many samples per side are looked at: anatomy is coarse, and large images must not cost more.
_SAMPLES: Final = 128
#: Mean (max - min) of RGB. Grey scans saved as colour have 0, yellowed or blue film up to 0.05, photographs 0.1-0.4.
_COLOURED: Final = 0.08
#: Pixels of the short side. Below it ribs and vessels are gone; no database of chest films is that small.
_TINY: Final = 100
#: Longer side over shorter. Detectors are 35 x 43 cm, ratio 1.23; strips and screenshots are beyond 2.
_STRETCHED: Final = 2.0
#: Range from the 2nd to the 98th percentile, of 1. The flattest real image has 0.31.
_BLANK: Final = 0.04
#: Correlation of neighbouring samples. Real images have 0.87 and more, noise about 0, fine patterns less.
_UNRELATED: Final = 0.5
#: Share of samples between 15 % and 85 % of the range. Real images have 0.11 and more, printed pages up to 0.07.
_TWO_TONE: Final = 0.08
#: Different grey levels, of 256. Real images have 56 and more, drawings and charts a handful.
_FEW_LEVELS: Final = 16
#: Mean second difference over the range. Real images have 0.004 and more; a gradient has only its rounding.
_SMOOTH: Final = 0.002
#: Correlation with `_CHEST`. Real images have -0.2 and more but for two, which are negatives indeed; of images turned
#: to negatives 93 in 100 are below.
_INVERTED: Final = -0.3
#: Part of the range below which a border counts as black and is left out before `_CHEST` is laid over.
_BORDER: Final = 0.06
_CELLS: Final = 16


def doubts(radiograph: Radiograph) -> tuple[str, ...]:
    """Say in full sentences why an image does not look like a frontal chest radiograph; empty if it does."""
    found = [*radiograph.contradictions, *_doubts_about_frame(radiograph)]
    rows, columns = radiograph.shape
    sample = radiograph.pixels[:: max(1, rows // _SAMPLES), :: max(1, columns // _SAMPLES)]
    lowest, highest = (float(value) for value in np.percentile(sample, (2, 98)))
    if highest - lowest < _BLANK:
        found.append("The image is blank: almost all of it has the same grey.")
    else:
        found += _doubts_about_greys(np.clip((sample - lowest) / (highest - lowest), 0, 1))
    return tuple(found)


def _doubts_about_frame(radiograph: Radiograph) -> list[str]:
    found = []
    rows, columns = radiograph.shape
    short, long = min(rows, columns), max(rows, columns)
    if radiograph.colourfulness > _COLOURED:
        found.append("The image is in colour, and radiographs are grey: it may be a photograph or a screenshot.")
    if short < _TINY:
        found.append(f"The image is very small ({columns} x {rows} pixels): details of the lungs cannot be seen.")
    if long > _STRETCHED * short:
        found.append(
            f"The image is {long / short:.1f} times as long as it is wide, which no frontal chest radiograph is."
        )
    return found


def _doubts_about_greys(grey: NDArray[np.float32]) -> list[str]:
    """Look at samples `(h, w)` stretched to [0, 1]; the first doubt explains the others, so one is enough."""
    if min(grey.shape) < 3:
        return []
    checks = (
        (_between(grey) < _TWO_TONE, "The image is almost only black and white, like a printed page or a drawing."),
        (_levels(grey) < _FEW_LEVELS, "The image has only a few levels of grey, like a chart or a drawing."),
        (
            _relatedness(grey) < _UNRELATED,
            "The image is noise or small print: neighbouring points have little in common.",
        ),
        (_roughness(grey) < _SMOOTH, "The image has no detail: its grey changes evenly, as in a gradient or a blur."),
        (_likeness_to_chest(grey) < _INVERTED, "The image seems to be a negative: the lungs should be dark."),
    )
    return [sentence for failed, sentence in checks if failed][:1]


def _between(grey: NDArray[np.float32]) -> float:
    """Return the share of samples that are neither near black nor near white."""
    return float(np.mean((grey > 0.15) & (grey < 0.85)))


def _levels(grey: NDArray[np.float32]) -> int:
    return int(np.unique(np.rint(grey * 255)).size)


def _relatedness(grey: NDArray[np.float32]) -> float:
    """Return the correlation of vertical and horizontal neighbours, averaged."""
    centred = grey - grey.mean()
    variance = float(np.mean(centred * centred))
    below = float(np.mean(centred[1:] * centred[:-1]))
    beside = float(np.mean(centred[:, 1:] * centred[:, :-1]))
    return (below + beside) / 2 / max(variance, 1e-12)


def _roughness(grey: NDArray[np.float32]) -> float:
    """Return the mean absolute second difference along rows and columns."""
    down = np.abs(np.diff(grey, 2, axis=0)).mean()
    across = np.abs(np.diff(grey, 2, axis=1)).mean()
    return float(down + across) / 2


def _likeness_to_chest(grey: NDArray[np.float32]) -> float:
    """Return the correlation with `_CHEST` in [-1, 1], black borders aside; 0 where too little is left."""
    rows = np.flatnonzero((grey > _BORDER).mean(axis=1) > 0.05)
    columns = np.flatnonzero((grey > _BORDER).mean(axis=0) > 0.05)
    if rows.size < 2 * _CELLS or columns.size < 2 * _CELLS:
        return 0.0
    inside = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    cells = _cell_means(inside)[_INNER]
    spread = float(cells.std()) * float(_CHEST.std())
    return float(np.mean((cells - cells.mean()) * (_CHEST - _CHEST.mean()))) / max(spread, 1e-12)


def _cell_means(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """Average over a grid of 16 x 16 cells."""
    rows, columns = (np.linspace(0, side, _CELLS, endpoint=False).astype(int) for side in grey.shape)
    sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=0, dtype=np.float64), columns, axis=1)
    heights, widths = (np.diff([*starts, side]) for starts, side in zip((rows, columns), grey.shape, strict=True))
    return np.asarray(sums / np.outer(heights, widths), np.float64)


def _chest() -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Draw the coarsest chest by hand: two dark ovals, a bright column between them, a bright base.

    Returns:
        The inner cells that are compared `(16, 16)`, and the values there.
    """
    axis = np.linspace(0, 1, _CELLS)
    across, down = axis[None, :], axis[:, None]
    ovals = sum(np.exp(-(((across - x) / 0.13) ** 2) - ((down - 0.45) / 0.27) ** 2) for x in (0.29, 0.71))
    values = 0.8 * np.exp(-(((across - 0.5) / 0.1) ** 2)) + 0.7 * (down > 0.85) - ovals
    inner = (np.abs(across - 0.5) < 0.38) & (np.abs(down - 0.5) < 0.38)
    return inner, np.asarray(values[inner], np.float64)


_INNER, _CHEST = _chest()
