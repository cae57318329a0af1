"""The shelf of trained models: `weights/NAME/` with `model.safetensors`, `card.json` and `predictions.csv`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from lungassist.errors import UsageError, WeightsError
from lungassist.files import sha256_of, write_atomically
from lungassist.models.card import Card
from lungassist.models.registry import ARCHITECTURES, build

WEIGHTS_FILE: Final = "model.safetensors"
CARD_FILE: Final = "card.json"
PREDICTIONS_FILE: Final = "predictions.csv"
#: What the model answered to the phantoms where it was made, see `lungassist.golden`.
GOLDEN_FILE: Final = "golden.json"
#: Beside the models' folders: cards and tables of models that were trained and judged, without their weights.
RECORDS: Final = "records"
#: Beside the models' folders: the name of the one that triage starts with.
DEFAULT_FILE: Final = "DEFAULT"


@dataclass(frozen=True, slots=True)
class ShelfEntry:
    """One folder of the shelf: its card, or why it cannot be used."""

    name: str
    folder: Path
    card: Card | None
    problem: str | None


def read_shelf(weights_dir: Path) -> list[ShelfEntry]:
    """List every folder of `weights_dir` that holds a card or weights, sorted by name; weights are not opened.

    What begins with a dot is not on the shelf: models that are being put there, and those that were replaced.
    """
    if not weights_dir.is_dir():
        return []
    folders = [path for path in sorted(weights_dir.iterdir()) if not path.name.startswith(".")]
    return [_entry(p) for p in folders if (p / CARD_FILE).exists() or (p / WEIGHTS_FILE).exists()]


def read_records(weights_dir: Path) -> list[ShelfEntry]:
    """List the models that are kept as a record alone, sorted by name: to compare with, not to use."""
    folders = sorted(path.parent for path in (weights_dir / RECORDS).glob(f"[!.]*/{CARD_FILE}"))
    return [_entry(folder, usable=False) for folder in folders]


def _entry(folder: Path, *, usable: bool = True) -> ShelfEntry:
    try:
        card = _known(Card.read(folder / CARD_FILE), folder)
        if usable:
            _weights_path(folder)
    except WeightsError as error:
        return ShelfEntry(folder.name, folder, None, str(error))
    return ShelfEntry(folder.name, folder, card, None)


def _known(card: Card, folder: Path) -> Card:
    if card.architecture not in ARCHITECTURES:
        raise WeightsError(
            f"The card of {folder} names the architecture {card.architecture!r}, which is unknown here. "
            f"Known: {', '.join(ARCHITECTURES)}."
        )
    return card


def _weights_path(folder: Path) -> Path:
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise WeightsError(f"{folder} has a card but no {WEIGHTS_FILE}. Restore it, or train the model again.")
    return path


def choose_model(weights_dir: Path, wanted: str | None) -> str:
    """The model to use: the one wanted, else the one that the file `DEFAULT` names, else the first usable.

    Raises:
        UsageError: there is no folder of the wanted name.
        WeightsError: there is no usable model at all.
    """
    entries = read_shelf(weights_dir)
    names = [entry.name for entry in entries]
    if wanted is not None:
        if wanted not in names:
            raise UsageError(f"There is no model {wanted!r} in {weights_dir}. There: {', '.join(names) or 'none'}.")
        return wanted
    usable = [entry for entry in entries if entry.card is not None]
    if not usable:
        reasons = "; ".join(str(entry.problem) for entry in entries)
        raise WeightsError(
            f"There is no usable model in {weights_dir}{': ' + reasons if reasons else ''}. "
            "Restore the bundled one, or train one with python -m train.finetune."
        )
    named = _named_default(weights_dir)
    return next((entry.name for entry in usable if entry.name == named), usable[0].name)


def _named_default(weights_dir: Path) -> str | None:
    try:
        return (weights_dir / DEFAULT_FILE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None  # no wish was recorded, or nobody can read it: any usable model is better than none


def verify(folder: Path) -> Card:
    """Check a model's weights and predictions against the hashes in its card.

    Raises:
        WeightsError: missing, damaged, or not what the card describes.
    """
    card = Card.read(folder / CARD_FILE)
    _check_hash(_weights_path(folder), card.weights_sha256)
    if card.predictions_sha256 and (folder / PREDICTIONS_FILE).is_file():
        _check_hash(folder / PREDICTIONS_FILE, card.predictions_sha256)
    return card


def _check_hash(path: Path, expected: str) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error}). Check its permissions.") from error
    if found != expected:
        raise WeightsError(
            f"{path} is damaged or not the one its card describes: expected SHA-256 {expected[:12] or '(none)'}…, "
            f"found {found[:12]}…. Restore the folder from where it came."
        )


def load_model(folder: Path) -> tuple[nn.Module, Card]:
    """Load a verified model in evaluation mode, in single precision, on the CPU. No code is ever unpickled.

    Raises:
        WeightsError: see `verify`; or the tensors do not fit the architecture that the card names.
    """
    card = _known(verify(folder), folder)
    model = build(card.architecture, len(card.classes))
    try:
        state = load_file(folder / WEIGHTS_FILE)
        model.load_state_dict({key: _single(value) for key, value in state.items()})
    except (SafetensorError, RuntimeError, OSError) as error:
        last_line = str(error).strip().rpartition("\n")[2].strip()
        raise WeightsError(
            f"The weights of {folder} do not fit its card, which says {card.architecture} with "
            f"{len(card.classes)} classes: {last_line}"
        ) from error
    return model.eval().requires_grad_(False), card


def _single(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def save_model(folder: Path, state: Mapping[str, torch.Tensor], card: Card) -> Card:
    """Write weights in half precision and the card with their hashes; returns the card as written.

    The predictions table, if any, must be in place already: its hash goes into the card.
    """
    half = {k: (v.half() if v.is_floating_point() else v).contiguous().cpu() for k, v in state.items()}
    write_atomically(folder / WEIGHTS_FILE, lambda path: save_file(half, path))
    table = folder / PREDICTIONS_FILE
    complete = replace(
        card,
        weights_sha256=sha256_of(folder / WEIGHTS_FILE),
        predictions_sha256=sha256_of(table) if table.is_file() else "",
    )
    complete.write(folder / CARD_FILE)
    return complete
