"""Where a network computes."""

from __future__ import annotations

import torch

from lungassist.errors import UsageError


def choose_device(wanted: str) -> torch.device:
    """Turn `auto`, `cpu` or `cuda` into a device that is there.

    Raises:
        UsageError: a GPU was asked for and there is none, or the word is unknown.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted not in ("cpu", "cuda"):
        raise UsageError(f"The device must be auto, cpu or cuda, not {wanted!r}.")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("The device cuda was asked for, but torch finds no GPU here. Use cpu or auto.")
    return torch.device(wanted)
