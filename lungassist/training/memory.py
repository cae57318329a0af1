"""How large a batch fits, found out by trying."""

from __future__ import annotations

import gc
import logging
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from lungassist.preprocess import to_batch
from lungassist.training.failures import is_out_of_memory
from lungassist.training.recipe import Recipe
from lungassist.training.state import FitState

log = logging.getLogger(__name__)

#: What is recommended is smaller than what just fits: memory breaks into pieces during a long run.
_RESERVE: Final = 0.85


def fitting_batch_size(state: FitState, recipe: Recipe) -> int | None:
    """The largest batch size below the recipe's, by halves, with which a step can be made; 0 where none fits.

    The network's weights are of no use afterwards. None where it cannot be found out.
    """
    state.optimiser.zero_grad(set_to_none=True)
    size = recipe.batch_size // 2
    while size >= 2:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            _try(state.model, state.optimiser, recipe, size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                log.warning("the batch size that would fit could not be measured: %s", error)
                return None
            size //= 2
        else:
            return size
    return 0


def _try(model: nn.Module, optimiser: torch.optim.Optimizer, recipe: Recipe, size: int) -> None:
    device = next(model.parameters()).device
    reserve = int(size / _RESERVE) + 1
    images = torch.zeros(reserve, recipe.size, recipe.size, dtype=torch.uint8, device=device)
    batch = to_batch(images, recipe.preprocessing).contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
        logits = model(batch).float()
    labels = torch.zeros(reserve, dtype=torch.int64, device=device)
    functional.cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
