"""The shelf of trained models: `weights/NAME/` with `model.safetensors`, `card.json` and `predictions.csv`.

An ensemble has no weights of its own: its card names other models of the shelf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save_file
from torch import nn

from lungassist.errors import UsageError, WeightsError
from lungassist.files import sha256_of, write_atomically
from lungassist.models.card import Card
from lungassist.models.members import Member
from lungassist.models.registry import ARCHITECTURES, build

WEIGHTS_FILE: Final = "model.safetensors"
CARD_FILE: Final = "card.json"
PREDICTIONS_FILE: Final = "predictions.csv"
#: What the model answered to the phantoms where it was made, see `lungassist.golden`.
GOLDEN_FILE: Final = "golden.json"
#: Beside the models' folders: cards and tables of models that were trained and judged, without their weights.
RECORDS: Final = "records"
#: Beside the models' folders: models that were replaced or taken back. Its dot keeps it off the shelf's list.
PREVIOUS: Final = ".previous"
#: Beside the models' folders: the name of the one that triage starts with.
DEFAULT_FILE: Final = "DEFAULT"
#: Ends what is said of a default that cannot be used.
_NAME_ANOTHER: Final = "Or name another with --model or LUNGASSIST_MODEL."


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
            _check_there(card, folder)
    except WeightsError as error:
        return ShelfEntry(folder.name, folder, None, str(error))
    return ShelfEntry(folder.name, folder, card, None)


def _known(card: Card, folder: Path) -> Card:
    if not card.members and card.architecture not in ARCHITECTURES:
        raise WeightsError(
            f"The card of {folder} names the architecture {card.architecture!r}, which is unknown here. "
            f"Known: {', '.join(ARCHITECTURES)}."
        )
    return card


def _check_there(card: Card, folder: Path) -> None:
    if card.members:
        member_folders(folder, card)
    else:
        _weights_path(folder)


def _weights_path(folder: Path) -> Path:
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise WeightsError(f"{folder} has a card but no {WEIGHTS_FILE}. Restore it, or train the model again.")
    return path


def member_folders(folder: Path, card: Card, shelf: Path | None = None) -> list[Path]:
    """The folders of an ensemble's members, in its order; none for a single network.

    A member is looked for under its name, then among all models of the shelf and those that were replaced: an ensemble
    keeps its answers when a member is trained anew under the same name.

    Args:
        folder: the ensemble's.
        card: the ensemble's.
        shelf: where the members are; the folder's own by default.

    Raises:
        WeightsError: one is not there; says which.
    """
    within = _shelf_of(folder, shelf)
    return [_member_folder(member, within, folder.name) for member in card.members]


def _shelf_of(folder: Path, shelf: Path | None) -> Path:
    parent = folder.absolute().parent
    return shelf or (parent.parent if parent.name == PREVIOUS else parent)


def _member_folder(member: Member, shelf: Path, ensemble: str) -> Path:
    named = [shelf / member.name] if (shelf / member.name).name == member.name else []
    for place in (*named, *_cards_below(shelf), *_cards_below(shelf / PREVIOUS)):
        if (place / WEIGHTS_FILE).is_file() and _is(member, place):
            return place
    raise WeightsError(
        f"{ensemble} is an ensemble, and its member {member.name} {member.version} (weights "
        f"{member.weights_sha256[:8]}) is not in {shelf}. Restore that model, or put the ensemble together anew with "
        "python -m lungassist ensemble."
    )


def _cards_below(place: Path) -> Iterator[Path]:
    return (path.parent for path in sorted(place.glob(f"*/{CARD_FILE}")))


def _is(member: Member, place: Path) -> bool:
    try:
        return Member.of(Card.read(place / CARD_FILE, forget_point=True)).is_meant_by(member)
    except WeightsError:
        return False


def choose_model(weights_dir: Path, wanted: str | None) -> str:
    """The model to use: the one wanted, else the one that the file `DEFAULT` names, else the first usable.

    A default that cannot be used is never replaced by another model: where a point was chosen for it and readers know
    it, another one would answer otherwise without a word.

    Raises:
        UsageError: there is no folder of the wanted name, or no shelf.
        WeightsError: there is no usable model at all, or `DEFAULT` is there and names none.
    """
    if not weights_dir.is_dir():
        raise UsageError(
            f"There is no folder {weights_dir}, in which models are looked for; LUNGASSIST_WEIGHTS names it."
        )
    entries = read_shelf(weights_dir)
    names = [entry.name for entry in entries]
    if wanted is not None:
        if wanted not in names:
            raise UsageError(f"There is no model {wanted!r} in {weights_dir}. There: {', '.join(names) or 'none'}.")
        return wanted
    usable = [entry.name for entry in entries if entry.card is not None]
    if not usable:
        reasons = "; ".join(str(entry.problem) for entry in entries)
        raise WeightsError(
            f"There is no usable model in {weights_dir}{': ' + reasons if reasons else ''}. "
            "Restore the bundled one, or train one with python -m train.finetune."
        )
    named = _named_default(weights_dir)
    if named is None:
        return usable[0]
    if named not in usable:
        there = f"There is no such model; there: {', '.join(usable)}."
        problem = next((entry.problem for entry in entries if entry.name == named), None)
        raise WeightsError(
            f"{weights_dir / DEFAULT_FILE} says that {_quoted(named)} is the model to start with. {problem or there} "
            f"{_NAME_ANOTHER}"
        )
    return named


def _named_default(weights_dir: Path) -> str | None:
    """What the file `DEFAULT` says; None where there is no such file.

    Raises:
        WeightsError: it cannot be read.
    """
    path = weights_dir / DEFAULT_FILE
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return None  # no wish was recorded
        raise WeightsError(
            f"{path}, which names the model to start with, cannot be read as text ({error}). Write a model's name "
            f"into it. {_NAME_ANOTHER}"
        ) from error


def _quoted(name: str) -> str:
    """For a sentence: a file that was overwritten may hold anything."""
    return repr(name if len(name) <= 64 else name[:63] + "…")


def verify(folder: Path, shelf: Path | None = None) -> Card:
    """Check a model's weights, or those of an ensemble's members, and its predictions against the hashes in its card.

    Args:
        folder: the model's.
        shelf: where the members of an ensemble are; the folder's own by default.

    Raises:
        WeightsError: missing, damaged, or not what the card describes.
    """
    card = Card.read(folder / CARD_FILE)
    if card.members:
        for place, member in zip(member_folders(folder, card, shelf), card.members, strict=True):
            _check_hash(place / WEIGHTS_FILE, member.weights_sha256)
    else:
        _check_hash(_weights_path(folder), card.weights_sha256)
    _check_predictions(folder, card)
    return card


def _check_predictions(folder: Path, card: Card) -> None:
    if card.predictions_sha256 and (folder / PREDICTIONS_FILE).is_file():
        _check_hash(folder / PREDICTIONS_FILE, card.predictions_sha256)


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


def load_members(folder: Path, shelf: Path | None = None) -> tuple[list[tuple[nn.Module, Card]], Card]:
    """Load the networks of a verified model, and the card of the whole.

    Args:
        folder: the model's.
        shelf: where the members of an ensemble are; the folder's own by default.

    Returns:
        Each network with its own card, as `load_model` gives it: the model itself, or an ensemble's members.

    Raises:
        WeightsError: see `load_model`; or a member is not there.
    """
    card = Card.read(folder / CARD_FILE)
    if not card.members:
        network, card = load_model(folder)
        return [(network, card)], card
    _check_predictions(folder, card)
    within = _shelf_of(folder, shelf)
    return [_loaded_member(member, within, folder.name) for member in card.members], card


def _loaded_member(member: Member, shelf: Path, ensemble: str) -> tuple[nn.Module, Card]:
    """What is loaded is what was hashed: while one member loads, another may be replaced by a promotion."""
    for _ in range(2):
        place = _member_folder(member, shelf, ensemble)
        try:
            card, data = Card.read(place / CARD_FILE, forget_point=True), (place / WEIGHTS_FILE).read_bytes()
        except (OSError, WeightsError):
            continue  # replaced in this moment: it is elsewhere now
        if Member.of(card).is_meant_by(member) and sha256(data).hexdigest() == member.weights_sha256:
            return _filled(place, _known(card, place), lambda data=data: load(data)), card  # type: ignore[misc]
    place = _member_folder(member, shelf, ensemble)
    _check_hash(place / WEIGHTS_FILE, member.weights_sha256)
    raise WeightsError(f"{place} is being replaced. Try again in a moment.")


def load_model(folder: Path) -> tuple[nn.Module, Card]:
    """Load a verified model of one network in evaluation mode, in single precision, on the CPU.

    No code is ever unpickled.

    Raises:
        WeightsError: see `verify`; or the tensors do not fit the architecture that the card names.
        UsageError: it is an ensemble.
    """
    card = _known(verify(folder), folder)
    if card.members:
        names = ", ".join(member.name for member in card.members)
        raise UsageError(f"{folder} is an ensemble of {names}; one network was expected. Name one of these.")
    return _filled(folder, card, lambda: load_file(folder / WEIGHTS_FILE)), card


def _filled(folder: Path, card: Card, read: Callable[[], Mapping[str, torch.Tensor]]) -> nn.Module:
    model = build(card.architecture, len(card.classes))
    try:
        model.load_state_dict({key: _single(value) for key, value in read().items()})
    except (SafetensorError, RuntimeError, OSError) as error:
        last_line = str(error).strip().rpartition("\n")[2].strip()
        raise WeightsError(
            f"The weights of {folder} do not fit its card, which says {card.architecture} with "
            f"{len(card.classes)} classes: {last_line}"
        ) from error
    return model.eval().requires_grad_(False)


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
