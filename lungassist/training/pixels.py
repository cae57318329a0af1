"""Prepared images and their labels, wherever they lie: memory-mapped on disk, in memory, or on the GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

#: Of the GPU's free memory: more of the images than this are left on the disk and sent a batch at a time.
_SHARE_OF_GPU: Final = 0.5
_CHUNK: Final = 1024


class Images(Protocol):
    """Prepared images `(N, S, S)` uint8 that are read a few rows at a time: an array, a memory map, or rows of one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of images, without copying them."""

    images: Images
    rows: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, S, S)`."""
        return (len(self.rows), *self.images.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Any, /) -> Any:
        return self.images[self.rows[chosen]]


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Prepared images `(N, S, S)` uint8, as a tensor or `Images`, and class indices `(N,)` int64."""

    images: torch.Tensor | Images
    labels: torch.Tensor

    def taken(self, chosen: torch.Tensor, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """The images `(n, S, S)` uint8 and labels `(n,)` of the rows `chosen`, on `device`."""
        labels = self.labels[chosen.to(self.labels.device)].to(device, non_blocking=True)
        return taken(self.images, chosen, device), labels


def taken(images: torch.Tensor | Images, chosen: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The rows `chosen` `(n,)` of `images`, on `device`."""
    if isinstance(images, torch.Tensor):
        return images[chosen.to(images.device)].to(device, non_blocking=True)
    rows = torch.from_numpy(np.ascontiguousarray(images[chosen.cpu().numpy()]))
    return rows.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else rows


def placed_images(data: LabelledImages, device: torch.device) -> LabelledImages:
    """Keep a data set's images on the GPU where they fit; on the CPU they stay where they are."""
    if device.type != "cuda" or isinstance(data.images, torch.Tensor):
        return data
    free, _ = torch.cuda.mem_get_info(device)
    if int(np.prod(data.images.shape)) > free * _SHARE_OF_GPU:
        return data
    there = torch.empty(data.images.shape, dtype=torch.uint8, device=device)
    for first in range(0, len(data.images), _CHUNK):
        rows = torch.arange(first, min(first + _CHUNK, len(data.images)))
        there[first : first + len(rows)] = taken(data.images, rows, device)
    return LabelledImages(there, data.labels.to(device))
