"""Reasons to doubt that an image is a frontal chest radiograph, before a model gives it a probability all the same.

A classifier answers for a holiday picture as it does for a lung. These checks cost about a millisecond and are set so
that they stay silent on real studies: every threshold lies well outside what 9,970 images of the COVID-19 Radiography
Database show (the figures stand beside it). They cannot tell a chest from a skilfully chosen other X-ray. Whether a
chest is upright and no negative is learnt (`way_round`).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lungassist.imaging.radiograph import Radiograph
from lungassist.imaging.way_round import WAYS, WayRound, way_round

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
#: How a picture is put upright that was turned so many quarters anticlockwise.
_PUT_UPRIGHT: Final = {
    1: "to lie on its side: turn it a quarter clockwise",
    2: "to stand on its head: turn it by half",
    3: "to lie on its side: turn it a quarter anticlockwise",
}


def doubts(radiograph: Radiograph) -> tuple[str, ...]:
    """Say in full sentences why an image does not look like a frontal chest radiograph; empty if it does."""
    found = [*radiograph.contradictions, *_doubts_about_frame(radiograph)]
    grey = _sample(radiograph)
    if grey is None:
        found.append("The image is blank: almost all of it has the same grey.")
    else:
        found += _doubts_about_greys(grey)
    return tuple(found)


def way_of(radiograph: Radiograph) -> WayRound:
    """Whether a chest is upright and no negative, whatever else is to be doubted."""
    grey = _sample(radiograph)
    return WAYS[0] if grey is None else way_round(grey)


def _sample(radiograph: Radiograph) -> NDArray[np.float32] | None:
    """Samples `(h, w)` of which the 2nd percentile is 0 and the 98th is 1; None of a blank image."""
    rows, columns = radiograph.shape
    sample = radiograph.pixels[:: max(1, rows // _SAMPLES), :: max(1, columns // _SAMPLES)]
    lowest, highest = (float(value) for value in np.percentile(sample, (2, 98)))
    if highest - lowest < _BLANK:
        return None
    return np.asarray(np.clip((sample - lowest) / (highest - lowest), 0, 1), np.float32)


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
    )
    return [sentence for failed, sentence in checks if failed][:1] or _doubts_about_way_round(grey)


def _doubts_about_way_round(grey: NDArray[np.float32]) -> list[str]:
    """Asked last: of what is no chest it says nothing that means something."""
    way = way_round(grey)
    found = ["The image seems to be a negative: the lungs should be dark."] if way.is_negative else []
    return found + ([f"The picture seems {_PUT_UPRIGHT[way.quarters]}."] if way.quarters else [])


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
