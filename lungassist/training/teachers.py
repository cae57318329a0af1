"""Distillation: a network learns what trained models think of every changed image, besides what its label says.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015; that teacher and pupil must see the same
view of an image: Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", CVPR 2022. Where the
pupil sees a chest in the surroundings of another image, or with other local contrast, its teachers see it as it came,
so that the pupil learns to say there what they say here. A pupil whose images are enhanced after they are changed may
have teachers that want them as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from lungassist.errors import UsageError
from lungassist.flip_test import logits_of
from lungassist.models.card import Card
from lungassist.models.weights import load_members
from lungassist.preprocess import Preprocessing
from lungassist.settings import Settings
from lungassist.training.recipe import Recipe
from lungassist.training.starting import model_folder
from lungassist.training.state import placed

#: What all logits are divided by before the softmax: it lets through what a teacher thinks of the classes it rejects.
_SOFTENING: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Teacher:
    network: nn.Module
    preprocessing: Preprocessing
    temperature: float
    flip_test: bool


class Teachers:
    """Trained models and their common opinion: the mean of their calibrated, softened probabilities.

    Attributes:
        want_raw: whether one of them sees images that are not enhanced, where the pupil's are.
    """

    def __init__(self, teachers: list[_Teacher], recipe: Recipe) -> None:
        self._teachers = teachers
        self._preprocessing = recipe.preprocessing
        self.want_raw = any(teacher.preprocessing.enhancement != recipe.enhancement for teacher in teachers)
        self._share = recipe.distillation
        self._bfloat16 = recipe.precision == "bfloat16"

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        classes: tuple[str, ...],
        settings: Settings,
        device: torch.device | None = None,
        folders: Sequence[Path] | None = None,
    ) -> Teachers | None:
        """Load the recipe's teachers; None where it has none.

        Args:
            recipe: names them.
            classes: of the pupil's outputs; the teachers' must be the same.
            settings: where `weights/` is.
            device: where they will compute; the CPU unless given.
            folders: of the teachers, where they are not those of the names.

        Raises:
            UsageError: there is no such model, it knows other classes, or it sees images enhanced in a way that the
                recipe's images cannot be had in.
            WeightsError: its weights are missing or damaged.
        """
        if not recipe.teachers:
            return None
        found = []
        for name, network, card in _networks(recipe, settings, folders):
            if card.classes != classes:
                raise UsageError(
                    f"The teacher {name} tells {', '.join(card.classes)} apart; the images are of {', '.join(classes)}."
                )
            own = card.preprocessing.enhancement
            if own != recipe.enhancement and not (own == "none" and recipe.enhance_changed):
                raise UsageError(
                    f"The teacher {name} sees images with the enhancement {own!r}, the "
                    f"recipe asks for {recipe.enhancement!r}. Choose the same; with enhance_changed, teachers "
                    "without any can be had too."
                )
            placed_network = placed(network, device or torch.device("cpu"))
            found.append(_Teacher(placed_network, card.preprocessing, card.temperature, card.flip_test))
        return cls(found, recipe)

    @torch.no_grad()
    def opinion(self, batch: torch.Tensor, raw: torch.Tensor | None = None) -> torch.Tensor:
        """Mean probabilities, softened.

        Args:
            batch: `(N, 3, S, S)` float32, as the pupil sees it.
            raw: the same, not enhanced; needed where they `want_raw`.

        Returns:
            `(N, K)` float32; rows add up to 1.
        """
        total: torch.Tensor | None = None
        for teacher in self._teachers:
            view = batch if teacher.preprocessing.enhancement == self._preprocessing.enhancement else raw
            assert view is not None, "not all of them see enhanced images"
            seen = _restandardised(view, self._preprocessing, teacher.preprocessing)
            with torch.autocast(batch.device.type, torch.bfloat16, enabled=self._bfloat16):
                logits = logits_of(teacher.network, seen, flip_test=teacher.flip_test)
            own = (logits / (teacher.temperature * _SOFTENING)).softmax(1)
            total = own if total is None else total + own
        assert total is not None, "without teachers there is no Teachers"
        return total / len(self._teachers)

    def blended(
        self, losses: torch.Tensor, logits: torch.Tensor, batch: torch.Tensor, raw: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Losses by the labels `(N,)`, blended with the divergence from the teachers' opinion; `(N,)`.

        Args:
            losses: cross-entropies of the images with their labels.
            logits: `(N, K)` float32, the pupil's.
            batch: what the teachers see: the pupil's batch, changed in the same way, but every chest in its own
                surroundings and with its own local contrast.
            raw: the same, not enhanced.
        """
        own = (logits / _SOFTENING).log_softmax(1)
        divergence = functional.kl_div(own, self.opinion(batch, raw), reduction="none").sum(1)
        # Gradients of softened probabilities are smaller by the square (Hinton et al., section 2).
        return (1 - self._share) * losses + self._share * _SOFTENING**2 * divergence


def _networks(
    recipe: Recipe, settings: Settings, folders: Sequence[Path] | None
) -> Iterator[tuple[str, nn.Module, Card]]:
    """Every teacher; of an ensemble each member, as if it had been named itself."""
    places = [model_folder(name, settings) for name in recipe.teachers] if folders is None else folders
    for name, place in zip(recipe.teachers, places, strict=True):
        members, whole = load_members(place)
        for network, card in members:
            yield f"{name} ({card.name})" if whole.members else name, network, card


def _restandardised(batch: torch.Tensor, own: Preprocessing, other: Preprocessing) -> torch.Tensor:
    """What the pupil sees, as a teacher was trained to see it."""
    if (own.mean, own.std) != (other.mean, other.std):
        (mean, std), (their_mean, their_std) = (
            tuple(batch.new_tensor(triple).view(1, 3, 1, 1) for triple in (p.mean, p.std)) for p in (own, other)
        )
        batch = (batch * std + (mean - their_mean)) / their_std
    if own.size != other.size:
        side = (other.size, other.size)
        batch = functional.interpolate(batch, size=side, mode="bilinear", antialias=True, align_corners=False)
    return batch
