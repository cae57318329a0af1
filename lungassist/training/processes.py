"""One process or several: what they share of a batch, and batch norm over all of them.

Lightning Fabric brings devices, precision and DDP. Every process knows the whole data set and draws the same random
numbers for the whole batch; it computes its own slice. So one process and several see the same images, and the mean
of their gradients is the gradient of the whole batch.
"""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import distributed, nn

log = logging.getLogger(__name__)


def launch(device: torch.device, precision: str) -> Fabric:
    """Start Fabric on a device; under torchrun it joins the other processes.

    Args:
        device: cpu or cuda.
        precision: `float32` or `bfloat16` (autocast).
    """
    several = int(os.environ.get("WORLD_SIZE", "1"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Fabric counts the cores and recommends loaders, which are not used here.
        fabric = Fabric(
            accelerator=device.type,
            devices=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
            num_nodes=several // int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
            strategy="ddp" if several > 1 else "auto",
            precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        )
        fabric.launch()
    return fabric


def own_slice(whole: int, fabric: Fabric) -> slice:
    """The part of a batch of `whole` images that this process computes; sizes differ by one at most."""
    first, last = (whole * (fabric.global_rank + i) // fabric.world_size for i in (0, 1))
    return slice(first, last)


def added_up(values: torch.Tensor, fabric: Fabric) -> torch.Tensor:
    """The sum of `values` over all processes."""
    if fabric.world_size == 1:
        return values
    total = values.clone()
    distributed.all_reduce(total)
    return total


def joined(part: torch.Tensor, fabric: Fabric) -> torch.Tensor:
    """The rows of all processes, `(n, K)` each, one after the other, on the CPU."""
    if fabric.world_size == 1:
        return part.cpu()
    parts: list[torch.Tensor] = [part.cpu()] * fabric.world_size
    distributed.all_gather_object(parts, part.cpu())  # of unequal lengths
    return torch.cat(parts)


class _Sum(torch.autograd.Function):
    """The sum over all processes; what speaks for it, speaks for every process's part."""

    @staticmethod
    def forward(_context: Any, own: torch.Tensor) -> torch.Tensor:
        total = own.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total


def _summed(own: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = _Sum.apply(own)
    return total


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm with the statistics of the whole batch, over all processes, on any device.

    torch's own SyncBatchNorm refuses the CPU, and two processes must train as one would there too. Parameters and
    buffers are those of BatchNorm2d, so that weights fit both.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalise `(n, C, H, W)`; in evaluation mode as BatchNorm2d does."""
        if not self.training:
            return super().forward(images)
        own = images.float()
        count = torch.tensor(float(own.numel() // own.shape[1]), device=own.device)
        distributed.all_reduce(count)
        shape = (1, -1, 1, 1)
        mean = _summed(own.sum((0, 2, 3))) / count
        centred = own - mean.view(shape)
        variance = _summed(centred.square().sum((0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        # Written out: torch's function takes given statistics as constants and would lose their gradients.
        scale = self.weight * (variance + self.eps).rsqrt()
        normalised: torch.Tensor = (centred * scale.view(shape) + self.bias.view(shape)).to(images.dtype)
        return normalised

    @torch.no_grad()
    def _remember(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def share_batch_norm(model: nn.Module) -> None:
    """Let every batch norm of `model` use the statistics of the whole batch, in place."""
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm2d


def own_batch_norm(model: nn.Module) -> None:
    """Undo `share_batch_norm`, in place."""
    for module in model.modules():
        if type(module) is SharedBatchNorm2d:
            module.__class__ = nn.BatchNorm2d  # type: ignore[assignment]
