"""What a format's reader hands to the one that makes a Radiograph of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded image before it has a name and a digest; the fields are those of `Radiograph`."""

    pixels: NDArray[np.float32]
    bit_depth: int
    photometric_interpretation: str
    pixel_spacing_mm: tuple[float, float] | None = None
    view_position: str | None = None
    colourfulness: float = 0.0
    warnings: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()
