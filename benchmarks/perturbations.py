"""What happens to a radiograph between the detector and the reader, done to one image at a time, as a file's bytes.

Every change ends in a file that goes through the whole of reading and preparing, so that what is measured is the
product and not the network alone. Random ones draw from the generator that they are given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lungassist.enhance import with_band_gains

Picture = NDArray[np.uint8]
Change = Callable[[Picture, np.random.Generator], bytes]

_TWELVE_BITS: Final = 4095


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One thing that may happen to an image.

    Attributes:
        words: what it is, for a table.
        change: from a grey picture `(H, W)`, brighter where the film is whiter, to the bytes of a file.
        ordinary: of a strength that is met every day; else it shows where the end is.
    """

    words: str
    change: Change
    ordinary: bool = True


def png(picture: Picture) -> bytes:
    """Without loss."""
    return _encoded(".png", picture, [])


def dicom(picture: Picture, photometric_interpretation: str) -> bytes:
    """A 12-bit DICOM file that looks like `picture` on a screen; MONOCHROME1 stores the inverse."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    stored = np.rint(picture.astype(np.float64) * (_TWELVE_BITS / 255)).astype("<u2")
    if photometric_interpretation == "MONOCHROME1":
        stored = np.asarray(_TWELVE_BITS - stored, "<u2")
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality, dataset.ViewPosition, dataset.BodyPartExamined = "DX", "PA", "CHEST"
    dataset.PhotometricInterpretation = photometric_interpretation
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.Rows, dataset.Columns = picture.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def jpeg(quality: int) -> Change:
    """Stored as JPEG of that quality."""
    return lambda picture, _: _encoded(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])


def resized(side: int) -> Change:
    """Stored with `side` pixels a side."""

    def change(picture: Picture, _: np.random.Generator) -> bytes:
        smaller = side < picture.shape[0]
        how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        return png(np.asarray(cv2.resize(picture, (side, side), interpolation=how), np.uint8))

    return change


def rotated(degrees: float) -> Change:
    """Turned by so much, one way or the other; what comes into view is black."""

    def change(picture: Picture, random: np.random.Generator) -> bytes:
        rows, columns = picture.shape
        angle = degrees * random.choice((-1.0, 1.0))
        matrix = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), angle, 1.0)
        return png(np.asarray(cv2.warpAffine(picture, matrix, (columns, rows), flags=cv2.INTER_LINEAR), np.uint8))

    return change


def cropped(share: float) -> Change:
    """Without `share` of the side, divided at random between opposite edges: collimated closer."""

    def change(picture: Picture, random: np.random.Generator) -> bytes:
        cut = [round(share * side) for side in picture.shape]
        top, left = (int(random.integers(0, c + 1)) for c in cut)
        rows, columns = (side - c for side, c in zip(picture.shape, cut, strict=True))
        return png(np.ascontiguousarray(picture[top : top + rows, left : left + columns]))

    return change


def bordered(share: float) -> Change:
    """With a black border of `share` of the side all around: collimated wider, or a screenshot."""

    def change(picture: Picture, _: np.random.Generator) -> bytes:
        rows, columns = (round(share * side) for side in picture.shape)
        return png(np.pad(picture, ((rows, rows), (columns, columns))))

    return change


def graded(*, gamma: float = 1.0, contrast: float = 1.0, brightness: float = 0.0) -> Change:
    """Exposed or windowed otherwise: to the power of gamma, stretched about the middle, shifted, and clipped."""

    def change(picture: Picture, _: np.random.Generator) -> bytes:
        grey = (picture.astype(np.float64) / 255) ** gamma
        return png(_bytes((grey - 0.5) * contrast + 0.5 + brightness))

    return change


def blurred(sigma_share: float) -> Change:
    """Out of focus: a Gaussian with a standard deviation of `sigma_share` of the side."""

    def change(picture: Picture, _: np.random.Generator) -> bytes:
        return png(np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma_share * picture.shape[0]), np.uint8))

    return change


def detailed(sigma_share: float, amount: float) -> Change:
    """Local contrast raised: what stands out from a Gaussian of `sigma_share` of the side is added `amount` times."""

    def change(picture: Picture, _: np.random.Generator) -> bytes:
        grey = picture.astype(np.float64) / 255
        return png(_bytes(grey + amount * (grey - cv2.GaussianBlur(grey, (0, 0), sigma_share * picture.shape[0]))))

    return change


def processed_as_another(picture: Picture, random: np.random.Generator) -> bytes:
    """With bands of detail so much stronger or weaker as two films of the database differ.

    Logarithms of ratios of two training images' energies (`lungassist.enhance.band_energies`) deviate by 0.4 for the
    coarsest detail, and from there by 0.2, 0.2, 0.2, 0.1 and 0.1 from each band to the next finer one.
    """
    logarithms = np.cumsum(random.normal(0, (0.4, 0.2, 0.2, 0.2, 0.1, 0.1)))[::-1]
    changed = with_band_gains(picture, [*np.exp(logarithms), 1.0])
    low, high = np.percentile(changed, (0.5, 99.5))
    return png(_bytes((changed - low) / max(float(high - low), 1.0)))


def equalised_in_tiles(limit: float) -> Change:
    """CLAHE over 8 x 8 tiles, as collections of images are often prepared."""
    return lambda picture, _: png(np.asarray(cv2.createCLAHE(limit, (8, 8)).apply(picture), np.uint8))


def noisy(deviation: float) -> Change:
    """A low dose: Gaussian noise with a standard deviation of that share of the range."""

    def change(picture: Picture, random: np.random.Generator) -> bytes:
        return png(_bytes(picture.astype(np.float64) / 255 + random.normal(0, deviation, picture.shape)))

    return change


def marked(picture: Picture, random: np.random.Generator) -> bytes:
    """With a side marker and a line of text burned in, both white, in corners that are drawn."""
    rows, columns = picture.shape
    result, scale = picture.copy(), rows / 224
    right, below = (bool(random.integers(2)) for _ in range(2))
    x, y = round(columns * (0.86 if right else 0.05)), round(rows * random.uniform(0.12, 0.3))
    _write(result, "L" if right else "R", (x, y), scale)
    y = round(rows * (0.97 if below else 0.05))
    _write(result, "PORTABLE 12:40", (round(columns * random.uniform(0.03, 0.5)), y), scale * 0.4)
    return png(result)


def _write(picture: Picture, text: str, place: tuple[int, int], scale: float) -> None:
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, max(1, round(2 * scale)), cv2.LINE_AA)


def _bytes(grey: NDArray[np.float64]) -> Picture:
    return np.asarray(np.rint(np.clip(grey, 0, 1) * 255), np.uint8)


def _encoded(extension: str, picture: Picture, options: list[int]) -> bytes:
    return cv2.imencode(extension, picture, options)[1].tobytes()


#: By name. What is ordinary was fixed before any model was measured, but for local contrast, which came later: there
#: what makers of machines and of collections do by default is ordinary.
PERTURBATIONS: Final = MappingProxyType(
    {
        "size 1024": Perturbation("1,024 pixels a side", resized(1024)),
        "size 512": Perturbation("512 pixels a side", resized(512)),
        "size 160": Perturbation("160 pixels a side", resized(160)),
        "jpeg 90": Perturbation("JPEG, quality 90", jpeg(90)),
        "jpeg 75": Perturbation("JPEG, quality 75", jpeg(75)),
        "jpeg 50": Perturbation("JPEG, quality 50", jpeg(50)),
        "dicom": Perturbation("DICOM, 12 bits", lambda picture, _: dicom(picture, "MONOCHROME2")),
        "inverted dicom": Perturbation(
            "DICOM stored inverted (MONOCHROME1)", lambda picture, _: dicom(picture, "MONOCHROME1")
        ),
        "rotation 3": Perturbation("turned by 3 degrees", rotated(3)),
        "rotation 6": Perturbation("turned by 6 degrees", rotated(6)),
        "crop 5": Perturbation("5 % of the side cut off", cropped(0.05)),
        "crop 10": Perturbation("10 % of the side cut off", cropped(0.10)),
        "border 3": Perturbation("a black border of 3 % around", bordered(0.03)),
        "brighter": Perturbation("brighter by 10 % of the range", graded(brightness=0.1)),
        "darker": Perturbation("darker by 10 % of the range", graded(brightness=-0.1)),
        "contrast 0.8": Perturbation("contrast of 0.8", graded(contrast=0.8)),
        "contrast 1.2": Perturbation("contrast of 1.2", graded(contrast=1.2)),
        "gamma 0.8": Perturbation("gamma of 0.8", graded(gamma=0.8)),
        "gamma 1.25": Perturbation("gamma of 1.25", graded(gamma=1.25)),
        "noise": Perturbation("noise of 2 % of the range", noisy(0.02)),
        "blur": Perturbation("blurred by 0.3 % of the side", blurred(0.003)),
        "markers": Perturbation("a side marker and text burned in", marked),
        "softer": Perturbation("local contrast lowered to 0.6", detailed(0.07, -0.4)),
        "local contrast": Perturbation("local contrast raised to 1.5", detailed(0.07, 0.5)),
        "sharpened": Perturbation("edges sharpened, to twice", detailed(0.01, 1.0)),
        "processed": Perturbation("detail as strong as in another film", processed_as_another),
        "clahe": Perturbation("CLAHE, limited to 2", equalised_in_tiles(2.0)),
        "size 96": Perturbation("96 pixels a side", resized(96), ordinary=False),
        "jpeg 15": Perturbation("JPEG, quality 15", jpeg(15), ordinary=False),
        "rotation 12": Perturbation("turned by 12 degrees", rotated(12), ordinary=False),
        "crop 20": Perturbation("20 % of the side cut off", cropped(0.2), ordinary=False),
        "border 10": Perturbation("a black border of 10 % around", bordered(0.1), ordinary=False),
        "gamma 0.6": Perturbation("gamma of 0.6", graded(gamma=0.6), ordinary=False),
        "gamma 1.7": Perturbation("gamma of 1.7", graded(gamma=1.7), ordinary=False),
        "noise 6": Perturbation("noise of 6 % of the range", noisy(0.06), ordinary=False),
        "local contrast 2": Perturbation("local contrast raised to 2", detailed(0.07, 1.0), ordinary=False),
        "clahe 4": Perturbation("CLAHE, limited to 4", equalised_in_tiles(4.0), ordinary=False),
    }
)
