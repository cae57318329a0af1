"""The four classes of the COVID-19 Radiography Database, spelled and ordered as everywhere in LungAssist."""

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
