"""What a reader takes away of one study: how its files are named, on the page and the command line alike."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from lungassist.explain import CLASS_BLIND
from lungassist.triage import Finding

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


def _safe(text: str) -> str:
    """Letters, digits, hyphen and underscore; no path, no hidden file, nothing that a shell or a table reads."""
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in text)
    return plain.strip("-_") or "study"
