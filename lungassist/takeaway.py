"""What a reader takes away of one study: its overlay and how its files are named, on page and command line alike."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lungassist.classes import spoken
from lungassist.explain import CLASS_BLIND, METHODS, shared_scale
from lungassist.imaging import png_bytes
from lungassist.overlay import overlay, with_line
from lungassist.triage import Finding, Triaged

#: Letters of a study's name that a file's name keeps; with four bytes a letter it stays within a file name.
_KEPT_LETTERS: Final = 40

#: What is cut off a study's name. Another last part may be what tells studies apart: a DICOM file is often named by its
#: UID, with a number behind the last point.
_IMAGE_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".dcm", ".dicom"})


def file_name(finding: Finding, suffix: str, *parts: str) -> str:
    """Name a file of a study by the study, eight digits of the bytes' hash, and what else it is of.

    Files of differing studies never share a name.

    Args:
        finding: of the study.
        suffix: of the file, with its point.
        parts: such as the class and the method of a heat map.
    """
    name = PurePosixPath(finding.file.replace("\\", "/"))
    stem = name.stem if name.suffix.lower() in _IMAGE_SUFFIXES else name.name
    return "-".join([_safe(stem)[:_KEPT_LETTERS], finding.sha256[:8], *map(_safe, parts)]) + suffix


def overlay_name(finding: Finding, label: str, method: str) -> str:
    """Name a heat map by its study, its class and its method; one that is the same for every class by no class."""
    of = [] if method in CLASS_BLIND else [label]
    return file_name(finding, ".png", *of, method.replace("+", "p"))


def overlay_words(finding: Finding, label: str, method: str) -> str:
    """What an overlay says of itself once it has left the page; not the study's name, which may be a patient's."""
    found = spoken(finding.finding) if finding.plausible else "no reliable finding"
    how = METHODS[method].split(":")[0]
    evidence = f"evidence for {spoken(label)} by {how}"
    if method in CLASS_BLIND:
        evidence = f"strongest activations, the same for every class, by {how}"
    elif label == finding.finding and finding.plausible:
        evidence = f"evidence by {how}"
    return f"LungAssist: {finding.model} {finding.model_version}, {found}, {evidence}; no medical device"


def overlay_picture(
    study: Triaged[Any], picture: NDArray[np.uint8], label: str, colour_map: str = "inferno"
) -> NDArray[np.uint8]:
    """Paint a study's evidence for one class over its radiograph.

    Args:
        study: with heat maps.
        picture: the radiograph, `(H, W)` uint8.
        label: the class, as the model's card spells it.
        colour_map: one of `overlay.COLOUR_MAPS`.

    Returns:
        `(H, W, 3)` uint8 RGB.

    Raises:
        ValueError: the study was not explained.
    """
    if study.heat_maps is None:
        raise ValueError("an overlay needs the evidence")
    evidence = study.heat_maps[list(study.finding.probabilities).index(label)]
    return overlay(picture, evidence, shared_scale(study.heat_maps), colour_map=colour_map)


def overlay_png(
    study: Triaged[Any], picture: NDArray[np.uint8], label: str, method: str, colour_map: str = "inferno"
) -> bytes:
    """The overlay as PNG at the radiograph's own resolution, and below it a line that says what it is.

    Arguments and errors as of `overlay_picture`; `method` is the one that explained.
    """
    painted = overlay_picture(study, picture, label, colour_map)
    return png_bytes(with_line(painted, overlay_words(study.finding, label, method)))


def _safe(text: str) -> str:
    """Letters, digits, hyphen and underscore; no path, no hidden file, nothing that a shell or a table reads."""
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in text)
    return plain.strip("-_") or "study"
