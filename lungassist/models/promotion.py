"""Putting a trained model on the shelf that triage reads, and taking it back.

Nothing is lost: a model that is replaced, or taken back, moves to `weights/.previous`. Every step is recorded in
`weights/.promotions.json` before it is done, so that one which a crash cut short is undone by the next.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from lungassist.errors import UsageError, WeightsError
from lungassist.files import write_atomically
from lungassist.models.card import Card
from lungassist.models.promotion_journal import (
    BEGUN,
    DONE,
    UNDOING,
    UNDONE,
    Promotion,
    read_journal,
    write_journal,
)
from lungassist.models.weights import (
    CARD_FILE,
    DEFAULT_FILE,
    GOLDEN_FILE,
    PREDICTIONS_FILE,
    PREVIOUS,
    RECORDS,
    WEIGHTS_FILE,
    load_members,
    verify,
)

#: There a copy is made and checked before it is put in its place; dots keep it apart from a model's name.
_INCOMING: Final = "..incoming-"
_LOCK: Final = ".promotions.lock"
_LOCK_SECONDS: Final = 30

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,62}[A-Za-z0-9]|[A-Za-z0-9]")

#: Of other things on the shelf, in lower case: not every file system tells cases apart.
_TAKEN: Final = frozenset({DEFAULT_FILE.lower(), RECORDS.lower()})


def promote(model_folder: Path, weights_dir: Path, *, name: str, make_default: bool = True) -> Card:
    """Copy a trained model to `weights_dir/NAME`, where triage offers it at once.

    The version on the card rises above every earlier one of that name.

    Args:
        model_folder: with weights and card, such as `RUN/model`, or with the card of an ensemble of models of the
            shelf; it stays as it is.
        weights_dir: the shelf.
        name: the folder's name there; a model of that name is kept, and `undo_promotion` brings it back.
        make_default: let triage start with it.

    Returns:
        The card as it lies on the shelf.

    Raises:
        UsageError: the name cannot be a folder's.
        WeightsError: the model is damaged, or the shelf cannot be written to.
    """
    check_name(name)
    _, card = load_members(model_folder, weights_dir)  # what triage will do; better now than there
    with changing(weights_dir):
        history = _settled(weights_dir)
        promoted = replace(card, name=name, version=_next_version(card, name, weights_dir, history))
        incoming = _copied(model_folder, promoted, weights_dir)
        try:
            _put_in_place(incoming, promoted, weights_dir, history, make_default, model_folder)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
    return promoted


def undo_promotion(weights_dir: Path) -> Promotion:
    """Take back the last promotion that was not taken back yet; the shelf is then as it was before.

    The model that is taken back is kept below `weights/.previous`.

    Returns:
        What was taken back.

    Raises:
        UsageError: there is none, or the model was changed by other means since.
        WeightsError: the shelf or its history cannot be read or written.
    """
    with changing(weights_dir):
        history = _settled(weights_dir)
        last = next((entry for entry in reversed(history) if entry.state == DONE), None)
        if last is None:
            raise UsageError(f"No promotion in {weights_dir} is left to be taken back.")
        _refuse_if_changed(last, weights_dir)
        undoing = replace(last, state=UNDOING, taken_back=_kept_name(last.name))
        _record(weights_dir, history, undoing)
        _restore(undoing, weights_dir)
        undone = replace(undoing, state=UNDONE)
        _record(weights_dir, history, undone)
        return undone


def promotions(weights_dir: Path) -> list[Promotion]:
    """Every promotion to this shelf, the newest first, those taken back among them.

    Raises:
        WeightsError: the history is damaged.
    """
    return [entry for entry in reversed(read_journal(weights_dir)) if entry.state != BEGUN]


def check_name(name: str) -> None:
    """Refuse what cannot name a model's folder.

    Raises:
        UsageError: with what is allowed.
    """
    if not _NAME.fullmatch(name) or name.lower() in _TAKEN:
        raise UsageError(
            f"{name!r} cannot name a model. Use up to 64 letters, digits, spaces and . _ + -, with a letter or digit "
            f"at either end; {DEFAULT_FILE} and {RECORDS} are taken."
        )


@contextmanager
def changing(weights_dir: Path) -> Iterator[None]:
    """One change of the shelf at a time, in all processes; what the system refuses is told in words.

    Raises:
        WeightsError: somebody else is at it, or the shelf cannot be written to; says what to do.
    """
    try:
        weights_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(weights_dir / _LOCK, timeout=_LOCK_SECONDS):
            yield
    except Timeout as error:
        raise WeightsError(f"Somebody else is changing {weights_dir}. Try again in a moment.") from error
    except OSError as error:
        raise WeightsError(
            f"{weights_dir} cannot be changed ({error.strerror or error}). Models and their operating points are "
            "kept there: make it writable, make room on its disk, or name another folder by LUNGASSIST_WEIGHTS."
        ) from error


def _copied(model_folder: Path, card: Card, weights_dir: Path) -> Path:
    """A whole copy beside its place, on the same file system, so that a rename puts it there."""
    (weights_dir / PREVIOUS).mkdir(exist_ok=True)
    incoming = Path(tempfile.mkdtemp(prefix=_INCOMING, dir=weights_dir / PREVIOUS))
    try:
        for file in (WEIGHTS_FILE, PREDICTIONS_FILE, GOLDEN_FILE):
            if (model_folder / file).is_file():
                shutil.copyfile(model_folder / file, incoming / file)
        card.write(incoming / CARD_FILE)
        verify(incoming, weights_dir)
        incoming.chmod(0o755)
    except (OSError, WeightsError):
        shutil.rmtree(incoming, ignore_errors=True)
        raise
    return incoming


def _put_in_place(
    incoming: Path, card: Card, weights_dir: Path, history: list[Promotion], make_default: bool, source: Path
) -> None:
    place, default = weights_dir / card.name, _default_of(weights_dir)
    entry = Promotion(
        name=card.name,
        version=card.version,
        weights_sha256=card.weights_sha256,
        source=str(source.absolute()),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        replaced=_kept_name(card.name) if _is_there(place) else None,
        default_before=default,
        default_after=f"{card.name}\n" if make_default else default,
        state=BEGUN,
    )
    _record(weights_dir, history, entry)
    try:
        if entry.replaced:
            place.rename(weights_dir / PREVIOUS / entry.replaced)
        incoming.rename(place)
        _set_default(weights_dir, entry.default_after)
        _record(weights_dir, history, replace(entry, state=DONE))
    except OSError:
        _settled(weights_dir)
        raise


def _settled(weights_dir: Path) -> list[Promotion]:
    """The history, after undoing a promotion, or finishing an undoing, that a crash or a full disk cut short."""
    for left in (weights_dir / PREVIOUS).glob(f"{_INCOMING}*"):
        shutil.rmtree(left, ignore_errors=True)
    history = read_journal(weights_dir)
    if history and history[-1].state == BEGUN:
        begun = history.pop()
        _restore(replace(begun, taken_back=_kept_name(begun.name)), weights_dir)
        write_journal(weights_dir, history)
    for entry in [entry for entry in history if entry.state == UNDOING]:
        _restore(entry, weights_dir)
        _record(weights_dir, history, replace(entry, state=UNDONE))
    return history


def _restore(entry: Promotion, weights_dir: Path) -> None:
    """Bring the shelf back to where it was before `entry`, however far that came. May be done twice."""
    place, previous = weights_dir / entry.name, weights_dir / PREVIOUS
    kept = previous / entry.replaced if entry.replaced else None
    # While the earlier model is still in its place, or back in it already, there is nothing to move.
    moved = kept is None or _is_there(kept)
    if moved and _is_there(place) and _hash_on_card(place) == entry.weights_sha256 and entry.taken_back:
        place.rename(previous / entry.taken_back)
    if kept is not None and moved and not _is_there(place):
        kept.rename(place)
    if _default_of(weights_dir) == entry.default_after:  # else somebody chose another one since
        _set_default(weights_dir, entry.default_before)


def _refuse_if_changed(entry: Promotion, weights_dir: Path) -> None:
    place, kept = weights_dir / entry.name, weights_dir / PREVIOUS / (entry.replaced or "")
    if _is_there(place) and _hash_on_card(place) != entry.weights_sha256:
        raise UsageError(f"{place} is not what was promoted any more. Put things right there by hand.")
    if entry.replaced and not _is_there(kept):
        raise UsageError(f"{kept}, which was replaced, is gone, so it cannot be brought back.")


def _record(weights_dir: Path, history: list[Promotion], entry: Promotion) -> None:
    """Replace the entry of the same promotion in `history`, or add it, and write it down."""
    for i, other in enumerate(history):
        if (other.name, other.version) == (entry.name, entry.version):
            history[i] = entry
            break
    else:
        history.append(entry)
    write_journal(weights_dir, history)


def _next_version(card: Card, name: str, weights_dir: Path, history: list[Promotion]) -> str:
    earlier = [_major(entry.version) for entry in history if entry.name == name]
    if (weights_dir / name / CARD_FILE).is_file():
        try:
            earlier.append(_major(Card.read(weights_dir / name / CARD_FILE).version))
        except WeightsError:
            earlier.append(0)  # a damaged model is replaced like any other
    return f"{max(earlier) + 1}.0" if earlier else card.version


def _major(version: str) -> int:
    found = re.match(r"\d+", version)
    return int(found.group()) if found else 0


def _kept_name(name: str) -> str:
    return f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"


def _hash_on_card(folder: Path) -> str:
    try:
        return Card.read(folder / CARD_FILE).weights_sha256
    except WeightsError:
        return ""


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _default_of(weights_dir: Path) -> str | None:
    path = weights_dir / DEFAULT_FILE
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else None


def _set_default(weights_dir: Path, text: str | None) -> None:
    path = weights_dir / DEFAULT_FILE
    if text is None:
        path.unlink(missing_ok=True)
    else:
        write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
