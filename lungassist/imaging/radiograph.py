"""What every reader returns: one frontal image, ready to look at and to prepare for a model."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """One image of a study, without anything that names the patient.

    Attributes:
        name: the file's name as the user gave it (a ZIP member: `archive.zip/folder/member.png`).
        sha256: hex digest of the file's bytes.
        pixels: `(H, W)` float32, contiguous, read-only, finite, in [0, 1]; 0 is shown black and 1 white, that is
            the standard's P-values after modality LUT, VOI LUT or window, and the inversion of MONOCHROME1.
        bit_depth: bits stored per sample in the file (8, 12, 16, ...).
        photometric_interpretation: the standard's term (`MONOCHROME1`, `MONOCHROME2`, `RGB`, `PALETTE COLOR`).
        file_format: `PNG`, `JPEG`, `TIFF`, `WEBP` or `DICOM`.
        pixel_spacing_mm: millimetres between row centres and between column centres, None where unknown.
        view_position: `PA`, `AP`, `LL`, ... as DICOM spells it, None where unknown.
        colourfulness: mean of (max - min) over the RGB samples of a pixel, in [0, 1]; 0 for a grey image.
        warnings: sentences for the reader of the result, such as that only the first frame was used.
        contradictions: sentences on what the file itself says against its being a frontal chest radiograph.
    """

    name: str
    sha256: str
    pixels: NDArray[np.float32] = field(repr=False)
    bit_depth: int
    photometric_interpretation: str
    file_format: str
    pixel_spacing_mm: tuple[float, float] | None = None
    view_position: str | None = None
    colourfulness: float = 0.0
    warnings: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.pixels.shape
        return rows, columns
