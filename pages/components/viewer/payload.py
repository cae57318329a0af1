"""What travels to the browser: one binary message with the study's samples and all heat maps.

Layout, little endian: four bytes with the header's length, the header (JSON in UTF-8, padded with spaces to a
multiple of four), the heat maps (float32, class by class), the samples (see `encode_samples`).

Samples go as deflated differences, not as a picture file: a browser's picture decoder may apply a colour
profile, multiply by alpha or blur what a page reads back, and it has no 16-bit grey. Arithmetic on bytes has
none of that, so the values that reach the window are exactly the values that left the reader.
"""

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from lungassist.classes import percent, spoken
from lungassist.errors import UsageError
from lungassist.imaging.radiograph import Radiograph

#: A sample is taken for a multiple of 1/255 when it is this near to one: far above float32's rounding, far
#: below half a step of 16 bits.
_NEAR = 1e-6

#: Rows that one test of `_fits_eight_bits` looks at, so that a large image needs no second large array.
_ROWS_AT_ONCE = 256

#: zlib's fastest level: chest films shrink by little more at level 6, for five times the wait.
_DEFLATE_LEVEL = 1


@dataclass(frozen=True, slots=True)
class EncodedSamples:
    """The pixels of one study as the browser receives them.

    Attributes:
        body: deflated bytes.
        bits: 8 or 16 per sample.
        height: rows.
        width: columns.
    """

    body: bytes
    bits: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Heat maps of all classes of one study, on one scale.

    Attributes:
        maps: `(K, h, w)` float32 >= 0 at the layer's own resolution, None where the model gave none.
        labels: K class names as the model spells them.
        shown: the label shown first.
        scale: the value painted with the full colour; 0 where there is no evidence for any class.
        probabilities: K values in [0, 1], or None.
        class_blind: all maps are the same, by a method that knows no classes: they are evidence for none.
    """

    maps: NDArray[np.float32] | None
    labels: tuple[str, ...]
    shown: str
    scale: float
    probabilities: tuple[float, ...] | None = None
    class_blind: bool = False

    def __post_init__(self) -> None:
        if self.shown not in self.labels:
            known = ", ".join(self.labels)
            raise UsageError(f"Expected one of {known} as the class shown, got {self.shown!r}.")
        if not (isfinite(self.scale) and self.scale >= 0):
            raise UsageError(f"Expected a finite scale of at least 0 for the heat maps, got {self.scale}.")
        if self.probabilities is not None and len(self.probabilities) != len(self.labels):
            raise UsageError(f"Expected {len(self.labels)} probabilities, got {len(self.probabilities)}.")
        if self.maps is not None:
            _check_maps(self.maps, len(self.labels))


def _check_maps(maps: NDArray[np.float32], classes: int) -> None:
    if maps.ndim != 3 or maps.shape[0] != classes or maps.size == 0:
        raise UsageError(f"Expected heat maps of shape ({classes}, h, w), got {maps.shape}.")
    if not np.isfinite(maps).all() or float(maps.min()) < 0:
        raise UsageError("Expected heat maps of finite values of at least 0, got others.")


def encode_samples(pixels: NDArray[np.float32], bit_depth: int) -> EncodedSamples:
    """Encode pixels without loss at 8 bits, where every one is a multiple of 1/255, else at 16 bits.

    Each row is stored as its first sample and the differences to the left neighbour, modulo 2^bits; 16-bit
    differences are split into a plane of low bytes and a plane of high bytes. Both help zlib only.

    Args:
        pixels: `(H, W)` float32 in [0, 1].
        bit_depth: bits stored per sample in the file. A file of more than 8 bits always goes as 16.
    """
    bits = 8 if bit_depth <= 8 and _fits_eight_bits(pixels) else 16
    samples = np.rint(pixels * np.float32(2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    differences = samples.copy()
    differences[:, 1:] -= samples[:, :-1]
    height, width = pixels.shape
    return EncodedSamples(zlib.compress(_planes(differences), _DEFLATE_LEVEL), bits, height, width)


def _fits_eight_bits(pixels: NDArray[np.float32]) -> bool:
    """Tell whether 8 bits lose nothing (a window in a DICOM file makes other values from 8-bit samples)."""
    for start in range(0, pixels.shape[0], _ROWS_AT_ONCE):
        block = pixels[start : start + _ROWS_AT_ONCE]
        if np.abs(block - np.rint(block * np.float32(255)) / np.float32(255)).max(initial=0.0) > _NEAR:
            return False
    return True


def _planes(differences: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    if differences.dtype == np.uint8:
        return differences.tobytes()
    low, high = differences & 0xFF, differences >> 8
    return low.astype(np.uint8).tobytes() + high.astype(np.uint8).tobytes()


def build_message(
    radiograph: Radiograph, samples: EncodedSamples, evidence: Evidence, *, key: str, height: int
) -> bytes:
    """Join header, heat maps and samples into the message that `payload.js` takes apart.

    The file's name stays behind: it may name a patient, and a saved view must not carry it.
    """
    maps = b"" if evidence.maps is None else np.ascontiguousarray(evidence.maps, dtype="<f4").tobytes()
    header = {
        "key": key,
        "stageHeight": height,
        "study": f"{radiograph.sha256}:{samples.width}x{samples.height}x{samples.bits}",
        "image": {"width": samples.width, "height": samples.height, "bits": samples.bits},
        "spacing": radiograph.pixel_spacing_mm,
        "viewPosition": radiograph.view_position,
        "evidence": {
            "id": _evidence_id(maps, evidence),
            "shape": None if evidence.maps is None else evidence.maps.shape,
            "scale": evidence.scale,
            "shown": evidence.shown,
            "classBlind": evidence.class_blind,
            "classes": _classes(evidence.labels, evidence.probabilities),
        },
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    return b"".join((struct.pack("<I", len(text)), text, maps, samples.body))


def _evidence_id(maps: bytes, evidence: Evidence) -> str:
    """Return a name that changes when what is painted changes, so that a rerun can leave it alone."""
    digest = sha256(maps)
    digest.update(json.dumps([evidence.scale, evidence.labels, evidence.class_blind]).encode())
    return digest.hexdigest()[:16]


def _classes(labels: Sequence[str], probabilities: Sequence[float] | None) -> list[dict[str, object]]:
    values: Sequence[float | None] = probabilities if probabilities is not None else [None] * len(labels)
    return [
        {
            "label": label,
            "name": spoken(label),
            "probability": None if value is None else float(value),
            "percent": "" if value is None else percent(value),
        }
        for label, value in zip(labels, values, strict=True)
    ]
