"""The four classes of the COVID-19 Radiography Database, spelled and ordered as everywhere in LungAssist.

And how probable one is, in words: the same wherever a person reads it.
"""

from typing import Final

COVID: Final = "COVID"
LUNG_OPACITY: Final = "Lung_Opacity"
NORMAL: Final = "Normal"
VIRAL_PNEUMONIA: Final = "Viral Pneumonia"

CLASSES: Final[tuple[str, ...]] = (COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA)

#: Classes that spread by droplets. Lung opacity may too, but its cause is unknown (paper, section 5).
CONTAGIOUS: Final[frozenset[str]] = frozenset({COVID, VIRAL_PNEUMONIA})

_SPOKEN: Final[dict[str, str]] = {
    COVID: "COVID-19",
    LUNG_OPACITY: "Lung opacity",
    NORMAL: "Normal",
    VIRAL_PNEUMONIA: "Viral pneumonia",
}


def spoken(label: str) -> str:
    """Return a class as a reader would write it; a class of another data set is returned without underscores."""
    return _SPOKEN.get(label, label.replace("_", " "))


def percent(share: float) -> str:
    """A probability in words; never 0 % or 100 %, since no model is that sure of anything."""
    if share > 0.99:
        return ">99%"
    return "<1%" if share < 0.01 else f"{share:.0%}"
