"""Small drawn images, folders of them, and small networks: quick to make, the same every time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lungassist.classes import CLASSES, COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA
from lungassist.models.card import Card
from lungassist.models.operating_point import HIGHEST_PROBABILITY
from lungassist.models.registry import build
from lungassist.preprocess import Preprocessing, prepare_image

#: The smallest network of the registry.
SMALL = "mobilenet_v3_small"

_SPOTS = {COVID: (0.3, 0.3), LUNG_OPACITY: (0.3, 0.7), NORMAL: (0.7, 0.3), VIRAL_PNEUMONIA: (0.7, 0.7)}


def film(label: str, seed: int, shape: tuple[int, int] = (72, 60)) -> NDArray[np.uint8]:
    """A noisy grey slope with a bright blob where the class has its place: `(H, W)` uint8."""
    rng = np.random.default_rng((seed, CLASSES.index(label)))
    rows, columns = np.indices(shape) / np.array(shape).reshape(2, 1, 1)
    down, right = np.array(_SPOTS[label]) + rng.uniform(-0.08, 0.08, 2)
    blob = 110 * np.exp(-((rows - down) ** 2 + (columns - right) ** 2) / 0.02)
    return np.asarray(np.clip(40 + 60 * rows + blob + rng.normal(0, 6, shape), 0, 255), dtype=np.uint8)


def png(image: NDArray[Any]) -> bytes:
    """An image as the bytes of a PNG."""
    done, data = cv2.imencode(".png", image)
    assert done
    return bytes(data)


def prepared_films(count: int, size: int = 64) -> NDArray[np.uint8]:
    """Films of all classes in turn, as a model takes them: `(count, size, size)`."""
    films = [film(CLASSES[i % len(CLASSES)], i).astype(np.float32) for i in range(count)]
    return np.stack([prepare_image(pixels, Preprocessing(size=size)) for pixels in films])


def write_films(root: Path, images: Mapping[str, int], inner: str = "images") -> Path:
    """Write `images` films a class to `root/CLASS/images/CLASS-1.png`, ...; returns `root`."""
    for label, count in images.items():
        folder = root / label / inner
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, count + 1):
            (folder / f"{label}-{number}.png").write_bytes(png(film(label, number)))
    return root


def card_of(**changes: Any) -> Card:
    """A card with everything in it but figures."""
    values: dict[str, Any] = {
        "name": "small",
        "version": "1.0",
        "architecture": SMALL,
        "classes": CLASSES,
        "preprocessing": Preprocessing(size=64),
        "temperature": 1.0,
        "operating_point": HIGHEST_PROBABILITY,
        "data": {"images": 0},
        "split": {},
        "hyper_parameters": {},
        "libraries": {},
        "figures": {},
        "limitations": ("Drawn images only.",),
        "weights_sha256": "",
    }
    return Card(**{**values, **changes})


def network_of(name: str = SMALL, *, size: int = 64, classes: int = len(CLASSES), seed: int = 1) -> nn.Module:
    """A network with random weights whose activations are neither all zero nor huge, in evaluation mode.

    Its batch norm holds the statistics of a few noisy images. Large layers repeat a short random sequence, because
    drawing a hundred million numbers takes longer than the test.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        network = build(name, classes)
    network.to_empty(device="cpu")
    short = torch.randn(1_000_003, generator=generator)
    with torch.no_grad():
        for parameter in network.parameters():
            count = parameter.numel()
            repeated = short.repeat(count // len(short) + 1)[:count].view_as(parameter)
            fan_in = count // len(parameter)
            parameter.copy_(repeated * (2 / fan_in) ** 0.5 if parameter.ndim > 1 else repeated * 0.05)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        nn.init.ones_(norm.weight)
        norm.momentum = 1.0
    if norms:
        with torch.no_grad():
            network.train()(torch.randn(4, 3, size, size, generator=generator))
    for norm in norms:
        norm.momentum = 0.1
    return network.eval()
