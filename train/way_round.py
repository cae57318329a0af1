"""Train what tells upright chests from turned ones and negatives (`lungassist.imaging.way_round`), and write it.

python -m train.way_round --data DIR [--metadata CSV] [--split-file CSV] --out FILE

Every training image is shown in all eight ways, cut, shifted, stretched, turned a little, lighter, darker, noisy, and
with a part covered. The file comes into use where it takes the place of `lungassist/imaging/way_round.safetensors`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from lungassist.errors import LungAssistError
from lungassist.imaging.way_round import CELLS, WAYS, features, turned
from train.prepared_images import parser, training_images, write_weights

#: Pixels a side that images are changed at.
_SIDE: Final = 96
_HIDDEN: Final = 128
_BATCH: Final = 128
_DROPPED: Final = 0.3
_LEARNING_RATE: Final = 3e-3
_WEIGHT_DECAY: Final = 0.02


class Perceptron(nn.Module):
    """Cells in, log-odds of the eight ways out."""

    def __init__(self) -> None:
        """With random weights."""
        super().__init__()
        self.hidden = nn.Linear(CELLS * CELLS, _HIDDEN)
        self.ways = nn.Linear(_HIDDEN, len(WAYS))

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Logits `(N, 8)` of `(N, 1024)` features."""
        logits: torch.Tensor = self.ways(functional.dropout(self.hidden(seen).relu(), _DROPPED, self.training))
        return logits


def changed(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.float32]:
    """An upright image `(S, S)` as another hospital might send it, `(h, w)` float32 in [0, 1]."""
    side = len(image)
    middle = (side - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), random.uniform(-12, 12), float(np.exp(random.uniform(-0.25, 0.3))))
    widened = float(np.exp(random.uniform(-0.12, 0.12)))
    shift = random.uniform(-0.1, 0.1, 2) * side
    put = np.array([[widened, 0, (1 - widened) * middle + shift[0]], [0, 1, shift[1]], [0, 0, 1]]) @ [*turn, [0, 0, 1]]
    edge = cv2.BORDER_REPLICATE if random.random() < 1 / 2 else cv2.BORDER_CONSTANT
    blank = 255 if random.random() < 1 / 3 else 0  # a plate that was not exposed outside the collimator is white
    moved = cv2.warpAffine(image, put[:2], (side, side), flags=cv2.INTER_LINEAR, borderMode=edge, borderValue=[blank])
    grey = (np.asarray(moved, np.float32) / 255) ** float(np.exp(random.uniform(-0.5, 0.5)))
    if random.random() < 1 / 3:
        grey = grey + random.normal(0, random.uniform(0, 0.1), grey.shape)
    if random.random() < 1 / 3:
        down, across = random.integers(0, side - side // 8, 2)
        high, wide = random.integers(side // 16, side // 4, 2)
        grey[down : down + high, across : across + wide] = random.uniform()
    low, top = np.percentile(grey, (2, 98))
    shown = np.clip((grey - low) / max(float(top - low), 1e-3), 0, 1)
    return np.asarray(shown[:, ::-1] if random.random() < 1 / 2 else shown, np.float32)


def train(images: NDArray[np.uint8], epochs: int, seed: int) -> Perceptron:
    """Train on upright images `(N, S, S)`, telling how it goes on standard error."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    network = Perceptron().train()
    optimiser = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    steps = max(1, len(images) * len(WAYS) // (2 * _BATCH))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=epochs * steps)
    for epoch in range(epochs):
        wrong, lost = 0.0, 0.0
        for _ in range(steps):
            seen, ways = _drawn(images, random)
            logits = network(seen)
            loss = functional.cross_entropy(logits, ways)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            lost += float(loss.detach()) / steps
            wrong += float((logits.argmax(1) != ways).float().mean()) / steps
        sys.stderr.write(f"epoch {epoch + 1} of {epochs}: loss {lost:.4f}, {wrong:.2%} misjudged\n")
    return network.eval()


def _drawn(images: NDArray[np.uint8], random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch of features `(N, 1024)` and of places in `WAYS`; each image is shown in two ways."""
    seen: list[NDArray[np.float32]] = []
    ways: list[int] = []
    while len(seen) < _BATCH:
        grey = changed(images[random.integers(len(images))], random)
        for way in random.integers(len(WAYS), size=2):
            cells = features(np.ascontiguousarray(turned(grey, WAYS[way])))
            if cells is not None:
                seen.append(cells)
                ways.append(int(way))
    return torch.from_numpy(np.stack(seen)), torch.tensor(ways)


def main(argv: Sequence[str] | None = None) -> int:
    """Train and write; returns 0, or 1 with a message."""
    arguments = parser("train.way_round", __doc__, epochs=12).parse_args(argv)
    torch.set_num_threads(1)  # so small a network is slower with more, and the same to the bit with one
    try:
        images, chosen = training_images(arguments)
    except LungAssistError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not len(chosen):
        sys.stderr.write("No training image can be read.\n")
        return 1
    small = [cv2.resize(images[row], (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for row in chosen]
    network = train(np.stack(small).astype(np.uint8), arguments.epochs, arguments.seed)
    write_weights(arguments.out, network.state_dict())
    return 0


if __name__ == "__main__":
    sys.exit(main())
