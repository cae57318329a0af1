"""The one way an image is prepared for a model, in training, evaluation and triage alike.

Two stages. `prepare_image` turns pixels of any size into the 8-bit square that a data set's cache holds;
`to_batch` turns such squares into the z-scored tensor that a network takes. Quantising to 8 bit between the two
makes a cached training image and a freshly read study the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lungassist.enhance import ENHANCERS
from lungassist.errors import UsageError

if TYPE_CHECKING:
    import torch

Triple = tuple[float, float, float]

#: Mean and standard deviation per channel of values in [0, 1] (paper, equation 4).
#: `radiograph` is measured by `python -m train.normalisation --data DIR` on the training split of 9,970 images of
#: the COVID-19 Radiography Database's layout; `imagenet` is what torchvision's ImageNet weights were trained with.
NORMALISATIONS: Final[Mapping[str, tuple[Triple, Triple]]] = MappingProxyType(
    {
        "radiograph": ((0.5783, 0.5783, 0.5783), (0.2816, 0.2816, 0.2816)),
        "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    }
)

#: Of contrast, see `lungassist.enhance`; the paper found CLAHE harmful.
ENHANCEMENTS: Final = tuple(ENHANCERS)

#: A range below this share of the values themselves is rounding, not anatomy: an empty film stays empty.
FLATTEST: Final = 1e-4

#: Share of pixels clipped at either end of the stretch. Burned-in markers and a collimator's edge otherwise decide
#: how bright the lungs come out.
CLIPPED_PERCENT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a model wants its images: a square of `size` pixels, z-scored with `mean` and `std` per channel."""

    size: int = 224
    normalisation: str = "radiograph"
    mean: Triple = NORMALISATIONS["radiograph"][0]
    std: Triple = NORMALISATIONS["radiograph"][1]
    enhancement: str = "none"

    def __post_init__(self) -> None:
        if not 32 <= self.size <= 1024:
            raise UsageError(f"The input size must be 32 to 1024 pixels; {self.size} was asked for.")
        if self.enhancement not in ENHANCEMENTS:
            raise UsageError(f"The enhancement must be one of {', '.join(ENHANCEMENTS)}, not {self.enhancement!r}.")
        if not all(math.isfinite(value) for value in (*self.mean, *self.std)) or min(self.std) <= 0:
            raise UsageError(
                f"Means must be finite and standard deviations above 0; {self.mean} and {self.std} were given."
            )

    @classmethod
    def named(cls, normalisation: str = "radiograph", *, size: int = 224, enhancement: str = "none") -> Preprocessing:
        """Build from one of the named normalisation sets.

        Raises:
            UsageError: there is no set of that name, or a value is out of range.
        """
        if normalisation not in NORMALISATIONS:
            known = ", ".join(NORMALISATIONS)
            raise UsageError(f"The normalisation must be one of {known}, not {normalisation!r}.")
        mean, std = NORMALISATIONS[normalisation]
        return cls(size, normalisation, mean, std, enhancement)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a card; `from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Read what `to_json` wrote; raises KeyError, TypeError, an error of numbers or UsageError for other things."""
        mean, std = _triple(values["mean"]), _triple(values["std"])
        return cls(int(values["size"]), str(values["normalisation"]), mean, std, str(values["enhancement"]))


def _triple(values: Sequence[float]) -> Triple:
    if len(values) != 3:
        raise UsageError("A card's normalisation needs three means and three standard deviations.")
    red, green, blue = map(float, values)
    return red, green, blue


def prepare_image(pixels: NDArray[np.float32], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Turn a radiograph's pixels into the square that a model sees.

    The image is squashed to the square, not cropped or padded, because the database's images were; then its range
    is stretched, so that exposure and window do not matter; then enhanced where the recipe says so.

    Args:
        pixels: `(H, W)` float32, finite, brighter where the film is whiter; any range.
        preprocessing: the model's wishes.

    Returns:
        `(size, size)` uint8.
    """
    square = (preprocessing.size, preprocessing.size)
    shrinking = pixels.shape[0] >= square[0] and pixels.shape[1] >= square[1]
    resized = cv2.resize(pixels, square, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
    return ENHANCERS[preprocessing.enhancement](stretched(np.asarray(resized, np.float32)))


def stretched(grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Grey levels `(H, W)` float32 of any range in 8 bits, `CLIPPED_PERCENT` of the pixels clipped at either end."""
    low, high = np.percentile(grey, (CLIPPED_PERCENT, 100 - CLIPPED_PERCENT))
    span = max(float(high - low), 1e-6, FLATTEST * abs(float(high)), FLATTEST * abs(float(low)))
    result = np.clip((grey - np.float32(low)) * np.float32(255 / span), 0, 255)
    return np.asarray(np.rint(result), np.uint8)


def to_batch(images: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Turn prepared images into a network's input, on the device that they are on.

    Args:
        images: `(N, S, S)` uint8, or float in [0, 255] after augmentation.
        preprocessing: whose `mean` and `std` apply to values in [0, 1].

    Returns:
        `(N, 3, S, S)` float32, the grey value in every channel.
    """
    import torch

    grey = images.to(torch.float32) / 255
    batch = grey.new_empty(len(grey), 3, *grey.shape[1:])
    for channel, (mean, std) in enumerate(zip(preprocessing.mean, preprocessing.std, strict=True)):
        torch.sub(grey, mean, out=batch[:, channel]).div_(std)
    return batch
