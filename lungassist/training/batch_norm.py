"""Batch norm's statistics, measured afresh on images as they come.

While a network trains, its batch norm sees augmented images: darker, noisier, partly covered. The statistics that it
gathers from them do not fit the clean images that a reader sends. But a network may lean on the statistics of clean
images so much that a little noise, which changes them, changes its mind; then those of the images that it trains on,
held while it does, are the better ones.
"""

from __future__ import annotations

import copy
from typing import Final

import torch
from torch import nn

from lungassist.training.augment import augment_batch, unchanged_batch
from lungassist.training.pixels import Images, taken
from lungassist.training.processes import own_batch_norm
from lungassist.training.recipe import Recipe
from lungassist.training.surroundings import Surroundings

#: Images that the statistics are measured on: a quarter of the database, for some seconds an epoch.
_SAMPLE: Final = 2048
_BATCH: Final = 64


@torch.no_grad()
def with_clean_statistics(model: nn.Module, images: torch.Tensor | Images, recipe: Recipe) -> nn.Module:
    """Return a copy of `model` whose trained batch norm has the statistics of clean training images.

    The mean over all batches is taken, not a running one. Frozen layers keep the statistics that they came with, and a
    network without batch norm is copied unchanged.

    Args:
        model: any network of the registry.
        images: `(N, S, S)` uint8 training images, not augmented; a sample of them is used, the same at every call.
        recipe: says how they are prepared and in which precision the network runs.
    """
    return _measured(model, images, recipe, changed=False)


def with_training_statistics(
    model: nn.Module, images: torch.Tensor | Images, recipe: Recipe, surroundings: Surroundings | None = None
) -> nn.Module:
    """As `with_clean_statistics`, but of images that are changed as in training, each once.

    Args:
        model, images: as there.
        recipe: says how they are changed too; its seed gives the same changes at every call.
        surroundings: of the images, where the recipe exchanges them.
    """
    return _measured(model, images, recipe, changed=True, surroundings=surroundings)


def _measured(
    model: nn.Module,
    images: torch.Tensor | Images,
    recipe: Recipe,
    *,
    changed: bool,
    surroundings: Surroundings | None = None,
) -> nn.Module:
    settled = copy.deepcopy(model).eval()
    own_batch_norm(settled)  # several processes show themselves the same images
    layers = [m for m in settled.modules() if isinstance(m, nn.BatchNorm2d) and m.weight.requires_grad]
    usual = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch's word for the plain mean over batches
        layer.train()
    if layers:
        _show(settled, images, recipe, changed, surroundings)
    for layer, momentum in zip(layers, usual, strict=True):
        layer.momentum = momentum
    return settled.eval()


def _show(
    model: nn.Module,
    images: torch.Tensor | Images,
    recipe: Recipe,
    changed: bool,
    surroundings: Surroundings | None,
) -> None:
    generator = torch.Generator().manual_seed(recipe.seed)
    chosen = torch.randperm(len(images), generator=generator)[:_SAMPLE]
    device = next(model.parameters()).device
    random = torch.Generator(device).manual_seed(recipe.seed)
    for first in range(0, len(chosen), _BATCH):
        if first and first + 1 == len(chosen):
            break  # a last batch of a single image has no variance
        rows = chosen[first : first + _BATCH]
        shown = taken(images, rows, device)
        if surroundings:
            shown = surroundings.exchanged(shown, rows, recipe.seed + first)
        batch = augment_batch(shown, recipe, random) if changed else unchanged_batch(shown, recipe)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            model(batch.contiguous(memory_format=torch.channels_last))
