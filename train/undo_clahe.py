"""Train the network that undoes CLAHE (`lungassist.undo_clahe`) on the training images of a folder, and write it.

python -m train.undo_clahe --data DIR [--metadata CSV] [--split-file CSV] --out FILE

Images are equalised with limits, tiles and cuts that are drawn; as many are left as they are, or changed otherwise
(sharper, softer, noisier, cut), so that only equalised ones are taken for that. The file comes into use where it takes
the place of `lungassist/undo_clahe.safetensors`; models and ensembles with this enhancement must then be made anew.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from lungassist.dataset import ImageRows
from lungassist.errors import LungAssistError
from lungassist.preprocess import stretched
from lungassist.undo_clahe import UndoClahe, with_tables
from train.prepared_images import parser, training_images, write_weights

Image = NDArray[np.uint8]

#: Of the images, those that are equalised, and those that are changed otherwise; the others are left as they are.
_EQUALISED: Final = 0.45
_OTHERWISE: Final = 0.25
#: Limits of contrast and tiles a side. OpenCV's own, and most programs', is 8.
_LIMITS: Final = (1.0, 4.0)
_TILES: Final = (4, 6, 8, 8, 8, 10, 12, 16)
_MOST_CUT: Final = 0.12
_BATCH: Final = 32
_LEARNING_RATE: Final = 3e-3
_WEIGHT_DECAY: Final = 1e-4
#: How much being sure counts beside a mean error of a whole range of grey.
_SURENESS: Final = 0.02


def equalised(image: Image, random: np.random.Generator) -> tuple[Image, Image]:
    """An image after CLAHE, and what it should be restored to: both cut alike, their ranges stretched."""
    tiles = [int(random.choice(_TILES))] * 2
    if random.random() < 1 / 4:  # of films that are longer than wide
        tiles[1] += int(random.integers(1, 3))
    changed = cv2.createCLAHE(float(random.uniform(*_LIMITS)), (tiles[0], tiles[1])).apply(image)
    if random.random() < 1 / 3:
        return _cut(np.asarray(changed, np.uint8), image, random)
    return stretched(changed.astype(np.float32)), image


def otherwise(image: Image, random: np.random.Generator) -> Image:
    """An image with more or less local contrast, or noise, which is to stay as it is."""
    grey = image.astype(np.float32)
    kind = random.random()
    if kind < 1 / 4:
        return stretched(grey + random.normal(0, random.uniform(2, 16), grey.shape).astype(np.float32))
    if kind < 1 / 3:
        return _cut(image, image, random)[0]
    mean = cv2.GaussianBlur(grey, (0, 0), float(np.exp(random.uniform(np.log(1.2), np.log(40)))))
    return stretched(mean + float(np.exp(random.uniform(np.log(0.5), np.log(2.5)))) * (grey - mean))


def _cut(changed: Image, image: Image, random: np.random.Generator) -> tuple[Image, Image]:
    side = len(image)
    left, up = (int(random.uniform(0, _MOST_CUT) * side) for _ in range(2))
    right, down = (side - int(random.uniform(0, _MOST_CUT) * side) for _ in range(2))
    one, other = (
        cv2.resize(each[up:down, left:right], (side, side), interpolation=cv2.INTER_LINEAR) for each in (changed, image)
    )
    return stretched(one.astype(np.float32)), stretched(other.astype(np.float32))


def _drawn(image: Image, seed: int) -> tuple[Image, Image, bool]:
    """What the network sees, what it should make of it, and whether that was equalised."""
    random = np.random.default_rng(seed)
    image = np.ascontiguousarray(image[:, ::-1] if random.random() < 1 / 2 else image)
    kind = random.random()
    if kind < _EQUALISED:
        return *equalised(image, random), True
    changed = otherwise(image, random) if kind < _EQUALISED + _OTHERWISE else image
    return changed, changed, False


def train(images: ImageRows, chosen: NDArray[np.int64], epochs: int, seed: int) -> UndoClahe:
    """Train on the `chosen` of prepared images `(N, S, S)`, telling how it goes on standard error."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    network = UndoClahe().train()
    optimiser = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    steps = len(chosen) // _BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=epochs * steps)
    began = time.monotonic()
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for epoch in range(epochs):
            order = random.permutation(chosen)
            seeds = random.integers(1 << 31, size=len(order))
            errors = np.zeros(3)
            for first in range(0, steps * _BATCH, _BATCH):
                rows = slice(first, first + _BATCH)
                errors += _step(network, optimiser, list(pool.map(_drawn, images[order[rows]], seeds[rows]))) / steps
                schedule.step()
            sys.stderr.write(
                f"epoch {epoch + 1} of {epochs}: error {255 * errors[0]:.2f} grey levels, {255 * errors[1]:.2f} if "
                f"nothing is undone; {errors[2]:.2%} misjudged; {time.monotonic() - began:.0f} s\n"
            )
    return network.eval()


def _step(
    network: UndoClahe, optimiser: torch.optim.Optimizer, drawn: Sequence[tuple[Image, Image, bool]]
) -> NDArray[np.float64]:
    """One step; returns mean errors after and before undoing, of 1, and the share that is misjudged."""
    seen, wanted = (torch.from_numpy(np.stack([each[i] for each in drawn]))[:, None].float() / 255 for i in (0, 1))
    was = torch.tensor([each[2] for each in drawn], dtype=torch.float32)
    log_odds, tables = network(seen)
    error = (with_tables(seen, tables) - wanted).abs().mean()
    loss = error + _SURENESS * functional.binary_cross_entropy_with_logits(log_odds, was)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    misjudged = ((log_odds > 0) != (was > 0)).float().mean()
    return np.array([float(value.detach()) for value in (error, (seen - wanted).abs().mean(), misjudged)])


def main(argv: Sequence[str] | None = None) -> int:
    """Train and write; returns 0, or 1 with a message."""
    arguments = parser("train.undo_clahe", __doc__, epochs=10).parse_args(argv)
    cv2.setNumThreads(1)  # images are spread over threads already
    try:
        images, chosen = training_images(arguments)
    except LungAssistError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if len(chosen) < _BATCH:
        sys.stderr.write(f"{len(chosen)} training images are too few: at least {_BATCH} are needed.\n")
        return 1
    network = train(images, chosen, arguments.epochs, arguments.seed)
    write_weights(arguments.out, network.state_dict())
    return 0


if __name__ == "__main__":
    sys.exit(main())
