"""Synthetic chest radiographs: drawn, not taken, and marked as such in the picture.

They show a newcomer and a test what a study looks like without anybody's X-ray. Each of the four classes has its
textbook pattern, exaggerated; they say nothing about how good a model is.

A picture is the sum of what the beam meets: soft tissue, minus the air of the lungs, plus heart, vessels and bone,
plus the pattern; more matter is whiter.
"""

from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lungassist.classes import CLASSES, COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA
from lungassist.errors import UsageError
from lungassist.imaging.render import png_bytes
from lungassist.phantom_anatomy import (
    SIDE,
    Build,
    Plane,
    air,
    blurred,
    bones,
    bump,
    heart,
    lungs_of,
    mediastinum,
    placed,
    soft_tissue,
    texture,
    vessels,
)

_TWELVE_BITS = 4095


def phantom(kind: str, seed: int, size: int = 512) -> NDArray[np.uint8]:
    """Draw one chest of a class.

    Args:
        kind: one of `lungassist.classes.CLASSES`.
        seed: the same seed draws the same picture.
        size: pixels of a side, at least 64.

    Returns:
        `(size, size)` uint8, with the word SYNTHETIC in the lower left corner.

    Raises:
        UsageError: another class, or a size below 64.
    """
    return np.asarray(np.rint(_drawn(kind, seed, size) * 255), np.uint8)


def drawn_lungs(kind: str, seed: int) -> Plane:
    """The lungs of `phantom(kind, seed)` as a plane `(SIDE, SIDE)` in [0, 1]: the truth for what looks for lungs.

    Raises:
        UsageError: as `phantom`.
    """
    _check_kind(kind)
    random = np.random.default_rng((seed, CLASSES.index(kind)))
    right, left = lungs_of(_build(kind, random), random)
    return np.maximum(right, left)


def phantom_png(kind: str, seed: int, size: int = 512) -> bytes:
    """Return `phantom` as the bytes of an 8-bit grey PNG."""
    return png_bytes(phantom(kind, seed, size))


def phantom_dicom(
    kind: str,
    seed: int,
    size: int = 512,
    *,
    photometric_interpretation: str = "MONOCHROME2",
    modality: str = "DX",
    view_position: str = "PA",
    body_part: str = "CHEST",
) -> bytes:
    """Return a phantom as a 12-bit DICOM file of the patient SYNTHETIC^PHANTOM, with the window of its full range.

    Args:
        photometric_interpretation: `MONOCHROME1` stores the inverse, and looks the same on a screen.
        modality: what the header claims; only `DX`, `CR` and the like are accepted as radiographs.

    Raises:
        UsageError: as `phantom`.
    """
    picture = np.asarray(np.rint(_drawn(kind, seed, size) * _TWELVE_BITS), np.uint16)
    if photometric_interpretation == "MONOCHROME1":
        picture = np.asarray(_TWELVE_BITS - picture, np.uint16)
    claims = {
        "Modality": modality,
        "ViewPosition": view_position,
        "BodyPartExamined": body_part,
        "PhotometricInterpretation": photometric_interpretation,
    }
    return _dicom_file(picture, f"{kind}-{seed}-{size}", claims)


def _dicom_file(picture: NDArray[np.uint16], identity: str, claims: dict[str, str]) -> bytes:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    for level in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(dataset, level, generate_uid(entropy_srcs=["lungassist phantom", identity, level]))
    dataset.PatientName, dataset.PatientID = "SYNTHETIC^PHANTOM", "SYNTHETIC"
    for keyword, value in {**claims, **_image_module(picture.shape[0])}.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = picture.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _image_module(size: int) -> dict[str, Any]:
    """A chest is about 43 cm wide on its detector, which gives the pixels their size."""
    return {
        "SamplesPerPixel": 1,
        "Rows": size,
        "Columns": size,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "WindowCenter": 2048,
        "WindowWidth": 4096,
        "ImagerPixelSpacing": [round(430 / size, 4)] * 2,
    }


def _drawn(kind: str, seed: int, size: int) -> Plane:
    """Return the marked picture `(size, size)` float32 in [0, 1]."""
    _check_kind(kind)
    if size < 64:
        raise UsageError(f"A phantom has a side of at least 64 pixels; {size} was asked for.")
    random = np.random.default_rng((seed, CLASSES.index(kind)))
    build = _build(kind, random)
    lungs = lungs_of(build, random)
    matter = soft_tissue(build, random) - build.air * air(lungs, build) + mediastinum(build) + bones(build)
    inside = (lungs[0] + lungs[1]) * (1 - 0.85 * heart(build))
    matter += inside * (vessels(build, random) + _pattern(kind, build, lungs, random))
    picture = cv2.resize(_developed(matter), (size, size), interpolation=cv2.INTER_AREA)
    grain = cv2.GaussianBlur(random.normal(0, 1, (size, size)).astype(np.float32), (0, 0), 0.7)
    return _marked(np.asarray(np.clip(picture + 0.013 * grain, 0, 1), np.float32))


def _check_kind(kind: str) -> None:
    if kind not in CLASSES:
        raise UsageError(f"A phantom is one of {', '.join(CLASSES)}; there is none of {kind!r}.")


def _build(kind: str, random: np.random.Generator) -> Build:
    """Children with viral pneumonia have a smaller, rounder chest, a wider heart and flatter ribs."""
    child = kind == VIRAL_PNEUMONIA
    vary = random.uniform(-1, 1, 5)
    return Build(
        width=(1.00 if child else 1.13) + 0.03 * vary[0],
        height=(0.92 if child else 1.10) + 0.02 * vary[1],
        heart=(1.18 if child else 1.0) + 0.06 * vary[2],
        slope=(0.55 if child else 1.0) + 0.1 * vary[3],
        air=0.56 + 0.03 * vary[4],
    )


def _pattern(kind: str, build: Build, lungs: tuple[Plane, Plane], random: np.random.Generator) -> Plane:
    if kind == NORMAL:
        return np.zeros((SIDE, SIDE), np.float32)
    if kind == LUNG_OPACITY:
        return _consolidation(build, lungs, random)
    drawn = {COVID: _ground_glass, VIRAL_PNEUMONIA: _interstitial}[kind]
    return drawn(build, random)


def _ground_glass(build: Build, random: np.random.Generator) -> Plane:
    """Hazy patches near the chest wall of both lungs, most in the lower zones."""
    haze = np.zeros((SIDE, SIDE), np.float32)
    for side in (-1, 1):
        for y in (0.40, 0.50, 0.58, 0.655):
            x = 0.5 + side * (0.215 + 0.14 * (y - 0.3) + random.uniform(-0.03, 0.03))
            spot = placed([(x, y + random.uniform(-0.03, 0.03))], build)[0]
            wide, high = random.uniform(0.06, 0.09), random.uniform(0.06, 0.085)
            haze = np.maximum(haze, random.uniform(0.75, 1.0) * bump(spot, wide, high, 0.3 * side))
    rough = 1 + 0.10 * texture(random, 2.5) + 0.16 * texture(random, 14)
    return np.asarray(0.31 * haze * rough, np.float32)


def _consolidation(build: Build, lungs: tuple[Plane, Plane], random: np.random.Generator) -> Plane:
    """One dense patch in one lung, with a ragged edge."""
    side = int(random.integers(2))
    x, y = 0.5 + (0.205 if side else -0.215) + random.uniform(-0.02, 0.02), random.choice([0.33, 0.56, 0.60])
    spot = placed([(x, y)], build)[0]
    hill = bump(spot, 0.115, 0.10, random.uniform(-0.4, 0.4)) + 0.09 * texture(random, 20)
    dense = 1 / (1 + np.exp(-(hill - 0.5) / 0.09))
    return np.asarray(0.40 * dense * (1 + 0.05 * texture(random, 6)) * lungs[side], np.float32)


def _interstitial(build: Build, random: np.random.Generator) -> Plane:
    """A fine net and thickened bronchial walls through both lungs, densest about the hila."""
    net = np.exp(-((texture(random, 4.5) / 0.28) ** 2))
    right, left = placed([(0.40, 0.47), (0.60, 0.47)], build)
    hilar = bump(right, 0.15, 0.24) + bump(left, 0.15, 0.24)
    haze = 0.05 + 0.08 * hilar + (0.035 + 0.055 * hilar) * blurred(np.asarray(net, np.float32), 0.8)
    return np.asarray(haze, np.float32)


def _developed(matter: Plane) -> Plane:
    """Turn matter into grey with the shoulder and toe of a film's curve."""
    return np.asarray(1 / (1 + np.exp(-(matter - 0.47) / 0.165)), np.float32)


def _marked(picture: Plane) -> Plane:
    """Burn the word SYNTHETIC into the lower left corner, white with a black rim."""
    size = picture.shape[0]
    scale, thick = size / 900, max(1, size // 400)
    place = (round(size * 0.03), round(size * 0.97))
    for white, width in ((0, 3 * thick), (1, thick)):
        letters = np.zeros(picture.shape, np.uint8)  # OpenCV smooths the edges of letters in 8 bits only
        cv2.putText(letters, "SYNTHETIC", place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, width, cv2.LINE_AA)
        cover = letters.astype(np.float32) / 255
        picture = np.asarray(picture * (1 - cover) + white * cover, np.float32)
    return picture
