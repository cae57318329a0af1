"""Random changes to a whole batch at once, on the training device, from a seeded generator.

They stand for what differs between hospitals and not between diseases: how the patient stood (rotation, shift,
scale), how the film was exposed and windowed, how it was scanned and stored, what was printed on it.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from lungassist.training.recipe import Recipe


def augment(images: torch.Tensor, recipe: Recipe, generator: torch.Generator) -> torch.Tensor:
    """Change every image of a batch in its own random way.

    Args:
        images: `(N, S, S)` uint8.
        recipe: says how strongly.
        generator: on the images' device; the same state gives the same result.

    Returns:
        `(N, S, S)` float32 in [0, 255].
    """
    batch = _move(images.float().unsqueeze(1) / 255, recipe, generator)
    if recipe.exposure:
        batch = _expose(batch, recipe.exposure, generator)
    if recipe.degrade:
        batch = _degrade(batch, generator)
    return (batch.clamp(0, 1) * 255).squeeze(1)


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(n, generator=generator, device=generator.device) * (high - low) + low


def _chance(n: int, share: float, generator: torch.Generator) -> torch.Tensor:
    return _uniform(n, 0, 1, generator) < share


def _move(batch: torch.Tensor, recipe: Recipe, generator: torch.Generator) -> torch.Tensor:
    n = len(batch)
    angle = _uniform(n, -recipe.rotation, recipe.rotation, generator) * (math.pi / 180)
    width = 1 + _uniform(n, -recipe.scale, recipe.scale, generator)
    # Height follows width but for a little: the squash to a square makes aspect ratio a property of the scanner.
    height = width * (1 + _uniform(n, -recipe.scale, recipe.scale, generator) / 2)
    if recipe.flip:
        width = torch.where(_chance(n, 0.5, generator), -width, width)
    matrix = torch.zeros(n, 2, 3, device=batch.device)
    matrix[:, 0, 0], matrix[:, 0, 1] = angle.cos() / width, -angle.sin() / height
    matrix[:, 1, 0], matrix[:, 1, 1] = angle.sin() / width, angle.cos() / height
    matrix[:, 0, 2] = _uniform(n, -2 * recipe.shift, 2 * recipe.shift, generator)
    matrix[:, 1, 2] = _uniform(n, -2 * recipe.shift, 2 * recipe.shift, generator)
    grid = functional.affine_grid(matrix, list(batch.shape), align_corners=False)
    return functional.grid_sample(batch, grid, padding_mode="zeros", align_corners=False)


def _expose(batch: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    n = len(batch)
    gamma = _uniform(n, -strength, strength, generator).exp().view(n, 1, 1, 1)
    contrast = 1 + _uniform(n, -strength, strength, generator).view(n, 1, 1, 1)
    brightness = _uniform(n, -strength, strength, generator).view(n, 1, 1, 1) / 2
    return ((batch.clamp(1e-4, 1) ** gamma - 0.5) * contrast + 0.5 + brightness).clamp(0, 1)


def _degrade(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    n, side = len(batch), batch.shape[-1]
    pick = _uniform(n, 0, 1, generator)
    factor = float(_uniform(1, 0.4, 0.9, generator))
    coarse = functional.interpolate(batch, scale_factor=factor, mode="bilinear", antialias=True)
    coarse = functional.interpolate(coarse, size=(side, side), mode="bilinear")
    batch = torch.where((pick < 0.3).view(n, 1, 1, 1), coarse, batch)
    noise = torch.randn(batch.shape, generator=generator, device=batch.device)
    spread = _uniform(n, 0, 0.06, generator).view(n, 1, 1, 1)
    batch = batch + noise * spread * (pick > 0.6).view(n, 1, 1, 1)
    return _cover(_cover(batch, 0.3, 0.02, 0.12, 1.0, generator), 0.25, 0.1, 0.35, None, generator)


def _cover(
    batch: torch.Tensor,
    share: float,
    smallest: float,
    largest: float,
    brightness: float | None,
    generator: torch.Generator,
) -> torch.Tensor:
    """Paint a box over `share` of the images: white like a burned-in marker, or any one grey like a device."""
    n, side = len(batch), batch.shape[-1]
    axis = torch.arange(side, device=batch.device) / side
    x, y = (_uniform(n, -0.05, 0.95, generator).view(n, 1) for _ in range(2))
    w, h = (_uniform(n, smallest, largest, generator).view(n, 1) for _ in range(2))
    inside_x = (axis >= x) & (axis < x + w)
    inside_y = (axis >= y) & (axis < y + h)
    box = inside_y.unsqueeze(2) & inside_x.unsqueeze(1) & _chance(n, share, generator).view(n, 1, 1)
    grey = _uniform(n, 0, 1, generator) if brightness is None else torch.full((n,), brightness, device=batch.device)
    return torch.where(box.unsqueeze(1), grey.view(n, 1, 1, 1), batch)
