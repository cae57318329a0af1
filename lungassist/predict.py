"""A loaded model that answers: probabilities and heat maps for prepared images, for many callers at once."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.fx.experimental.optimization import fuse

from lungassist.enhance import ENHANCERS
from lungassist.errors import UsageError, WeightsError
from lungassist.explain import (
    GRAD_CAM,
    ChannelWeights,
    check_method,
    class_gradients,
    grad_cam,
    heat_maps,
    mean_of_members,
)
from lungassist.flip_test import mean_of_logits, mean_of_maps, with_mirrored
from lungassist.models.card import Card
from lungassist.models.efficientnet_lite import with_plain_convolutions
from lungassist.models.members import pooled, shares_of
from lungassist.models.registry import Halves, architecture
from lungassist.models.weights import load_members
from lungassist.preprocess import to_batch


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a model says of `N` images.

    Attributes:
        probabilities: `(N, K)` float64, calibrated by the card's temperature, rows sum to 1.
        heat_maps: `(N, K, h, w)` float32 evidence, see `explain.heat_maps`; None when not asked for.
        members: `(M, N, K)` float64, what each member of an ensemble says, calibrated by its own temperature; M is 0
            for a single network.
    """

    probabilities: NDArray[np.float64]
    heat_maps: NDArray[np.float32] | None
    members: NDArray[np.float64]


class Classifier:
    """A trained network, or an ensemble of several, with its card, ready to answer.

    It has no state that an answer changes: no hooks, no mode switches, no buffers. Threads may share one.
    """

    def __init__(
        self,
        network: nn.Module | Sequence[tuple[nn.Module, Card]],
        card: Card,
        device: torch.device | None = None,
    ) -> None:
        """Take networks over: they are put in evaluation mode, their batch norm folded into their convolutions.

        Args:
            network: of the card's architecture; of an ensemble, every member's with its own card.
            card: what it is.
            device: where it computes; the CPU by default.
        """
        self.card = card
        self.device = device or torch.device("cpu")
        parts = [(network, card)] if isinstance(network, nn.Module) else network
        self._members = [_Network(part, own, self.device) for part, own in parts]

    @classmethod
    def load(cls, folder: Path, device: torch.device | None = None, shelf: Path | None = None) -> Classifier:
        """Load a verified model from its folder in `weights/`.

        Args:
            folder: the model's.
            device: where it computes; the CPU by default.
            shelf: where the members of an ensemble are; the folder's own by default.

        Raises:
            WeightsError: missing, damaged, or not what its card says; of an ensemble, one of its members.
        """
        return cls(*load_members(folder, shelf), device)

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the probabilities."""
        return self.card.classes

    def predict(self, images: NDArray[np.uint8], explain: str | None = GRAD_CAM) -> Prediction:
        """Classify prepared images and, unless `explain` is None, map the evidence for every class.

        Args:
            images: `(N, S, S)` uint8 from `prepare_image` with this card's preprocessing.
            explain: a method of `explain.METHODS`, or None for probabilities alone.

        Raises:
            UsageError: the images are of another size or kind, or the method is unknown.
            WeightsError: the network's answer is not finite.
        """
        side = self.card.preprocessing.size
        if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (side, side):
            raise UsageError(
                f"{self.card.name} takes prepared images of {side} x {side} pixels in 8 bits; "
                f"it got {images.dtype} of shape {images.shape}."
            )
        if explain is not None:
            check_method(explain)
        logits, maps, members = self._answer(images, explain)
        probabilities = torch.softmax(logits.double() / self.card.temperature, dim=1).cpu().numpy()
        _refuse_not_finite(probabilities, self.card.name)
        return Prediction(probabilities, maps, members)

    # Inference mode is switched off, should the caller be in it: there are no gradients inside.
    @torch.inference_mode(False)
    @torch.no_grad()
    def _answer(
        self, images: NDArray[np.uint8], explain: str | None
    ) -> tuple[torch.Tensor, NDArray[np.float32] | None, NDArray[np.float64]]:
        if not self.card.members:
            return *self._members[0].answer(images, explain), np.zeros((0, len(images), len(self.classes)))
        logits, maps = zip(*(member.answer_of_member(images, explain) for member in self._members), strict=True)
        shares, found = shares_of(self.card.members), [each for each in maps if each is not None]
        together = mean_of_members(explain, found, shares) if explain is not None else None
        said = torch.stack(logits).softmax(2).cpu().numpy()
        for member, own in zip(self.card.members, said, strict=True):
            _refuse_not_finite(own, f"{member.name}, a member of {self.card.name},")
        return torch.from_numpy(pooled(said, shares)), together, said


def _refuse_not_finite(probabilities: NDArray[np.float64], who: str) -> None:
    if not np.isfinite(probabilities).all():
        raise WeightsError(f"{who} answers with numbers that are not finite. Train or restore it anew.")


class _Network:
    """One network with what its images go through, folded for inference."""

    def __init__(self, network: nn.Module, card: Card, device: torch.device) -> None:
        self._card, self._device = card, device
        self._body, self._tail = fold(network, card.architecture)
        self._body.to(device)
        self._tail.to(device)
        self._channel_weights = ChannelWeights(self._tail)

    def answer_of_member(
        self, images: NDArray[np.uint8], explain: str | None
    ) -> tuple[torch.Tensor, NDArray[np.float32] | None]:
        """Calibrated logits and maps of images that were prepared without the network's own enhancement."""
        enhance = ENHANCERS[self._card.preprocessing.enhancement]
        logits, maps = self.answer(np.stack([enhance(image) for image in images]), explain)
        temperature = self._card.temperature
        return logits.double() / temperature, None if maps is None else maps / np.float32(temperature)

    def answer(self, images: NDArray[np.uint8], explain: str | None) -> tuple[torch.Tensor, NDArray[np.float32] | None]:
        """Logits `(N, K)` and maps of prepared images."""
        # A copy: torch warns of arrays that are read-only, and takes none with negative strides.
        batch = to_batch(torch.from_numpy(images.copy()).to(self._device), self._card.preprocessing)
        if not self._card.flip_test:
            return self._asked(batch, explain)
        logits, maps = self._asked(with_mirrored(batch), explain)
        return mean_of_logits(logits), None if maps is None else mean_of_maps(maps)

    def _asked(self, batch: torch.Tensor, explain: str | None) -> tuple[torch.Tensor, NDArray[np.float32] | None]:
        activations = self._body(batch.contiguous(memory_format=torch.channels_last))
        if explain is None:
            return self._tail(activations), None
        if explain == GRAD_CAM:
            logits, weights = self._channel_weights(activations)
            return logits, grad_cam(activations, weights)
        logits, gradients = class_gradients(self._tail, activations)
        return logits, heat_maps(explain, activations, gradients)


def fold(network: nn.Module, name: str) -> Halves:
    """Cut a network into body and tail for inference, batch norm folded into the convolutions before it.

    The result shares nothing with `network`, computes the same up to rounding, and is frozen. Channels last, because
    convolutions on a CPU are faster so (`python -m benchmarks.explain`).
    """
    body, tail = architecture(name).halve(network.eval().requires_grad_(False))
    return fuse(with_plain_convolutions(body)).to(memory_format=torch.channels_last), _without_in_place(
        copy.deepcopy(tail)
    )


def _without_in_place(tail: nn.Module) -> nn.Module:
    """Switch off what overwrites its input: the tail's input is the activations that the maps still need."""
    for module in tail.modules():
        if "inplace" in vars(module):
            vars(module)["inplace"] = False
    return tail


def margin(probabilities: NDArray[np.float64]) -> float:
    """Distance between the two largest of `(K,)` probabilities; NaN for fewer than two."""
    if len(probabilities) < 2:
        return math.nan
    second, first = np.sort(probabilities)[-2:]
    return float(first - second)
