"""A model that answers in milliseconds, for tests that need some model and not a good one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from lungassist.models.card import Card
from lungassist.models.registry import build
from lungassist.models.weights import save_model
from lungassist.preprocess import Preprocessing
from tests.drawn import card_of


def tiny_card(name: str = "tiny", **changes: Any) -> Card:
    """The card of a small network at 32 pixels; `changes` replace its fields."""
    return card_of(**{"name": name, "preprocessing": Preprocessing(size=32), "weights_sha256": "0" * 64, **changes})


def save_tiny_model(folder: Path, *, seed: int = 0, **changes: Any) -> Card:
    """Write a tiny model of random weights to `folder`, named as the folder; returns its card."""
    torch.manual_seed(seed)
    card = tiny_card(folder.name, **changes)
    return save_model(folder, build(card.architecture, len(card.classes)).state_dict(), card)
