"""Networks to measure: random weights, but activations in the range that a trained network has."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.models.resnet import Bottleneck

from lungassist.classes import CLASSES
from lungassist.models.card import Card
from lungassist.models.operating_point import HIGHEST_PROBABILITY
from lungassist.models.registry import build
from lungassist.phantom import phantom
from lungassist.preprocess import Preprocessing, prepare_image, to_batch


def prepared_images(count: int, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """`(N, S, S)` synthetic studies, ready for a network."""
    pictures = (phantom(CLASSES[i % len(CLASSES)], i, 256).astype(np.float32) / np.float32(255) for i in range(count))
    return np.stack([prepare_image(picture, preprocessing) for picture in pictures])


def random_network(name: str, preprocessing: Preprocessing) -> nn.Module:
    """A network in evaluation mode with random weights; always the same one.

    Its values neither die nor explode from layer to layer, as those of a trained network do not: weights are drawn
    after He et al. 2015, and batch norm has seen images. Numbers close to 0 are slow on some processors, and maps of
    evidence close to 0 cannot be compared.
    """
    torch.manual_seed(0)
    network = build(name, len(CLASSES)).train()
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain mean of all batches
        if isinstance(module, Bottleneck):
            nn.init.constant_(module.bn3.weight, 0.3)  # residuals small beside what they are added to
    with torch.no_grad():
        network(to_batch(torch.from_numpy(prepared_images(4, preprocessing)), preprocessing))
    return network.eval()


def plain_card(architecture: str, preprocessing: Preprocessing) -> Card:
    """A card that says no more than a classifier needs."""
    return Card(
        name=architecture,
        version="0",
        architecture=architecture,
        classes=CLASSES,
        preprocessing=preprocessing,
        temperature=1.0,
        operating_point=HIGHEST_PROBABILITY,
        data={},
        split={},
        hyper_parameters={},
        libraries={},
        figures={},
        limitations=(),
        weights_sha256="",
    )
