"""Undo contrast-limited adaptive histogram equalisation (CLAHE) of a prepared image, where it finds that.

Some archives and viewers equalise the histograms of a film's tiles before they pass it on. Healthy lungs then show
more detail than any that a model learnt from, and are taken for sick. In a tile CLAHE is a table of grey levels,
between tiles it goes from one table to the next (Zuiderveld, Graphics Gems IV, 1994), and so is what undoes it: a small
network sees the image and the histograms of its tiles, and says how likely it is that they were equalised, and a table
for each tile. After Gharbi et al., "Deep bilateral learning for real-time image enhancement", ACM Transactions on
Graphics 36 (2017), whose tables are affine in colour.

`python -m train.undo_clahe --data DIR` trains it, `python -m benchmarks.undo_clahe --data DIR` judges it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

#: Part of the preparation of images, not a model of the shelf.
WEIGHTS: Final = Path(__file__).with_name("undo_clahe.safetensors")

#: From this probability on an image is taken for equalised; anything else stays as it is, to the bit. Chosen on
#: validation images, see `benchmarks.undo_clahe`.
SURE: Final = 0.9

#: Pixels a side that the network looks at, tiles a side that it gives tables for, grey levels that a table is given at.
_SIDE: Final = 112
_TILES: Final = 14
_KNOTS: Final = 9
_BINS: Final = 16
_WIDTH: Final = 48


class UndoClahe(nn.Module):
    """Images in, how likely they were equalised and a table for every tile out."""

    def __init__(self) -> None:
        """With tables that change nothing, until it is trained or loaded."""
        super().__init__()
        self.picture = nn.Sequential(_convolved(1, 16, 2), _convolved(16, 24, 2), _convolved(24, 32, 2))
        self.histograms = nn.Conv2d(2 * _BINS, _WIDTH, 1)
        self.near = nn.Sequential(_convolved(32 + _WIDTH, _WIDTH), _convolved(_WIDTH, _WIDTH))
        self.whole = nn.Sequential(nn.Linear(_WIDTH, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, _WIDTH), nn.ReLU())
        self.equalised = nn.Linear(_WIDTH, 1)
        self.both = nn.Sequential(_convolved(2 * _WIDTH, _WIDTH), _convolved(_WIDTH, _WIDTH))
        self.tables = nn.Conv2d(_WIDTH, _KNOTS, 1)
        nn.init.zeros_(self.tables.weight)
        if self.tables.bias is not None:
            nn.init.zeros_(self.tables.bias)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Look at images.

        Args:
            images: `(N, 1, S, S)` float32 in [0, 1].

        Returns:
            Log-odds `(N,)` that they were equalised, and what a tile's grey levels are to be raised by, at evenly
            spaced ones from 0 to 1, `(N, levels, tiles, tiles)`.
        """
        small = functional.adaptive_avg_pool2d(images, _SIDE)
        # Tiles may lie otherwise than these, and other tiles' tables reach into them.
        own = functional.adaptive_avg_pool2d(_memberships(small, _BINS), _TILES)
        around = functional.avg_pool2d(own, 5, 1, 2, count_include_pad=False)
        near = self.near(torch.cat([self.picture(small), self.histograms(torch.cat([own, around], 1))], 1))
        whole = self.whole(near.mean((2, 3)))
        everywhere = whole[:, :, None, None].expand_as(near)
        return self.equalised(whole).squeeze(1), self.tables(self.both(torch.cat([near, everywhere], 1)))


def _convolved(channels: int, result: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, result, 3, stride, 1, bias=False), nn.BatchNorm2d(result), nn.ReLU(inplace=True)
    )


def with_tables(images: torch.Tensor, tables: torch.Tensor) -> torch.Tensor:
    """Images `(N, 1, S, S)` in [0, 1] with tables applied, linear between grey levels and between tiles.

    Args:
        images: `(N, 1, S, S)` float32 in [0, 1].
        tables: from the network for them.

    Returns:
        Of the same shape, of any range.
    """
    here = functional.interpolate(tables, size=list(images.shape[2:]), mode="bilinear", align_corners=False)
    return images + (here * _memberships(images, _KNOTS)).sum(1, keepdim=True)


def _memberships(images: torch.Tensor, levels: int) -> torch.Tensor:
    """How much each pixel belongs to each of so many evenly spaced grey levels; sums to 1."""
    places = torch.linspace(0, 1, levels, device=images.device).view(1, levels, 1, 1)
    return (1 - (images - places).abs() * (levels - 1)).clamp(min=0)


def probability_of_clahe(image: NDArray[np.uint8]) -> float:
    """How likely a prepared image `(S, S)` was equalised in tiles, in [0, 1]."""
    return _looked_at(image)[0]


def undo_clahe(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A prepared image `(S, S)` as it may have been before CLAHE; the very image where none is found."""
    if np.ptp(image) == 0:
        return image
    probability, tables = _looked_at(image)
    if probability < SURE:
        return image
    with torch.inference_mode():
        restored = with_tables(_as_batch(image), tables)[0, 0]
        return np.asarray((restored.clamp(0, 1) * 255).round().to(torch.uint8).numpy())


def _looked_at(image: NDArray[np.uint8]) -> tuple[float, torch.Tensor]:
    with torch.inference_mode():
        log_odds, tables = _network()(_as_batch(image))
        return float(log_odds.sigmoid()), tables


def _as_batch(image: NDArray[np.uint8]) -> torch.Tensor:
    # A copy: torch warns of arrays that are read-only, and takes none with negative strides.
    return torch.from_numpy(image.copy())[None, None].to(torch.float32) / 255


@lru_cache(maxsize=1)
def _network() -> UndoClahe:
    network = UndoClahe()
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(WEIGHTS).items()})
    return network.eval().requires_grad_(False)
