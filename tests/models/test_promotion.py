"""Promotion: the shelf has the model whole, nothing is lost, and all of it can be taken back."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from lungassist.errors import UsageError, WeightsError
from lungassist.files import sha256_of
from lungassist.models.card import Card
from lungassist.models.promotion import PREVIOUS, promote, promotions, undo_promotion
from lungassist.models.promotion_journal import JOURNAL_FILE
from lungassist.models.weights import choose_model, read_shelf, verify
from tests.tiny import save_tiny_model


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A shelf with one model, `bundled`, which is the default."""
    save_tiny_model(tmp_path / "weights" / "bundled", seed=1)
    (tmp_path / "weights" / "DEFAULT").write_text("bundled\n")
    return tmp_path / "weights"


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A run's model."""
    folder = tmp_path / "run" / "model"
    folder.mkdir(parents=True)
    (folder / "predictions.csv").write_text("file,label\n")
    save_tiny_model(folder, seed=2)
    return folder


def contents(shelf: Path) -> dict[str, str]:
    """Path and hash of everything that a reader of the shelf sees."""
    files = [path for path in shelf.rglob("*") if path.is_file()]
    visible = [path for path in files if not path.relative_to(shelf).parts[0].startswith(".")]
    return {path.relative_to(shelf).as_posix(): sha256_of(path) for path in visible}


def names(shelf: Path) -> list[str]:
    return [entry.name for entry in read_shelf(shelf)]


def test_a_promoted_model_is_offered_at_once_and_starts(shelf: Path, trained: Path) -> None:
    before = contents(shelf)
    card = promote(trained, shelf, name="mine")
    assert verify(shelf / "mine") == card
    assert (card.name, card.version) == ("mine", "1.0")
    assert names(shelf) == ["bundled", "mine"]
    assert choose_model(shelf, None) == "mine"
    assert (shelf / "mine" / "predictions.csv").read_bytes() == (trained / "predictions.csv").read_bytes()
    assert contents(shelf).items() >= {key: value for key, value in before.items() if key != "DEFAULT"}.items()
    assert verify(trained).name == "model", "the run's own card stays as it was"


def test_it_need_not_become_the_default(shelf: Path, trained: Path) -> None:
    promote(trained, shelf, name="mine", make_default=False)
    assert choose_model(shelf, None) == "bundled"


def test_undoing_restores_exactly_what_was_there(shelf: Path, trained: Path) -> None:
    before = contents(shelf)
    promote(trained, shelf, name="bundled")
    assert contents(shelf) != before
    undone = undo_promotion(shelf)
    assert contents(shelf) == before
    assert (undone.name, undone.is_undone) == ("bundled", True)
    assert undone.taken_back is not None
    assert verify(shelf / PREVIOUS / undone.taken_back).weights_sha256 == verify(trained).weights_sha256


def test_where_there_was_nothing_nothing_is_left(tmp_path: Path, trained: Path) -> None:
    shelf = tmp_path / "new" / "weights"
    promote(trained, shelf, name="mine")
    assert choose_model(shelf, None) == "mine"
    undo_promotion(shelf)
    assert contents(shelf) == {}


def test_several_are_undone_one_after_the_other(shelf: Path, trained: Path) -> None:
    states = [contents(shelf)]
    for name in ("a", "bundled", "a"):
        promote(trained, shelf, name=name)
        states.append(contents(shelf))
    assert len({json.dumps(state) for state in states}) == 4
    for expected in reversed(states[:-1]):
        undo_promotion(shelf)
        assert contents(shelf) == expected
    with pytest.raises(UsageError, match="is left to be taken back"):
        undo_promotion(shelf)


def test_the_version_rises_and_none_is_used_twice(shelf: Path, trained: Path) -> None:
    versions = [promote(trained, shelf, name="bundled").version]
    versions.append(promote(trained, shelf, name="bundled").version)
    undo_promotion(shelf)
    versions.append(promote(trained, shelf, name="bundled").version)
    assert versions == ["2.0", "3.0", "4.0"]
    assert Card.read(shelf / "bundled" / "card.json").version == "4.0"


def test_the_history_is_told_newest_first(shelf: Path, trained: Path) -> None:
    promote(trained, shelf, name="bundled")
    promote(trained, shelf, name="other", make_default=False)
    undo_promotion(shelf)
    newest, oldest = promotions(shelf)
    assert (newest.name, newest.is_undone, newest.replaced) == ("other", True, None)
    assert (oldest.name, oldest.is_undone, oldest.default_before) == ("bundled", False, "bundled\n")
    assert oldest.replaced is not None
    assert oldest.source == str(trained)


def test_what_is_kept_is_not_on_the_shelf(shelf: Path, trained: Path) -> None:
    promote(trained, shelf, name="bundled")
    assert len(list((shelf / PREVIOUS).iterdir())) == 1
    assert names(shelf) == ["bundled"]
    save_tiny_model(shelf / ".half")
    assert names(shelf) == ["bundled"]


def test_a_default_that_somebody_chose_since_stays(shelf: Path, trained: Path) -> None:
    save_tiny_model(shelf / "third", seed=3)
    promote(trained, shelf, name="mine")
    (shelf / "DEFAULT").write_text("third\n")
    undo_promotion(shelf)
    assert choose_model(shelf, None) == "third"


def test_a_model_that_was_changed_by_hand_since_is_not_taken_away(shelf: Path, trained: Path) -> None:
    promote(trained, shelf, name="mine")
    save_tiny_model(shelf / "mine", seed=9)
    before = contents(shelf)
    with pytest.raises(UsageError, match="not what was promoted any more"):
        undo_promotion(shelf)
    assert contents(shelf) == before


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".hidden",
        "a/b",
        "..",
        "DEFAULT",
        "default",
        "records",
        "Records",
        "a\\b",
        "ä",
        "-a",
        "a.",
        "a" * 65,
        "a\n",
    ],
)
def test_what_cannot_be_a_name_is_refused(shelf: Path, trained: Path, name: str) -> None:
    before = contents(shelf)
    with pytest.raises(UsageError, match="cannot name a model"):
        promote(trained, shelf, name=name)
    assert contents(shelf) == before


@pytest.mark.parametrize("damage", ["weights", "predictions", "card", "architecture"])
def test_a_damaged_model_is_refused(shelf: Path, trained: Path, damage: str) -> None:
    if damage == "weights":
        (trained / "model.safetensors").write_bytes(b"x" + (trained / "model.safetensors").read_bytes()[1:])
    elif damage == "predictions":
        (trained / "predictions.csv").write_text("file,label\nmore,COVID\n")
    elif damage == "card":
        (trained / "card.json").unlink()
    else:
        card = json.loads((trained / "card.json").read_text())
        (trained / "card.json").write_text(json.dumps({**card, "architecture": "alexnet"}))
    before = contents(shelf)
    with pytest.raises(WeightsError):
        promote(trained, shelf, name="bundled")
    assert contents(shelf) == before
    assert promotions(shelf) == []


def test_a_shelf_that_cannot_be_written_is_told(tmp_path: Path, trained: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(WeightsError, match=r"cannot be changed.*make it writable"):
        promote(trained, tmp_path / "file" / "weights", name="mine")
    with pytest.raises(WeightsError, match="cannot be changed"):
        undo_promotion(tmp_path / "file" / "weights")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_shelf_is_told(shelf: Path, trained: Path) -> None:
    shelf.chmod(0o555)
    try:
        with pytest.raises(WeightsError, match="make it writable"):
            promote(trained, shelf, name="mine")
    finally:
        shelf.chmod(0o755)


class Killed(BaseException):
    """Stands for the end of the process: nothing of the program runs after it."""


@pytest.mark.parametrize("name", ["bundled", "mine"])
@pytest.mark.parametrize("step", range(1, 7))
def test_a_crash_at_any_step_leaves_what_was_there_or_is_put_right(
    shelf: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, name: str, step: int
) -> None:
    """Renames are what changes the shelf and its journal; the process dies at the first, the second, ..."""
    before, count = contents(shelf), 0
    rename, move = Path.rename, Path.replace

    def dying(does: object) -> object:
        def renamed(self: Path, target: Path) -> Path:
            nonlocal count
            count += 1
            if count == step:
                raise Killed
            return does(self, target)  # type: ignore[operator,no-any-return]

        return renamed

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", dying(rename))
        patched.setattr(Path, "replace", dying(move))
        with suppress(Killed):
            promote(trained, shelf, name=name)
    died = count >= step
    if not died:
        assert promotions(shelf)[0].name == name
        undo_promotion(shelf)
        assert contents(shelf) == before
        return
    with pytest.raises(UsageError, match="is left to be taken back"):
        undo_promotion(shelf)
    assert contents(shelf) == before
    assert not list((shelf / PREVIOUS).glob("..incoming-*"))
    assert promote(trained, shelf, name=name).name == name
    undo_promotion(shelf)
    assert contents(shelf) == before


@pytest.mark.parametrize("step", range(1, 6))
def test_a_crash_while_undoing_is_finished_by_the_next(
    shelf: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    before = contents(shelf)
    promote(trained, shelf, name="bundled")
    count, rename, move = 0, Path.rename, Path.replace

    def dying(does: object) -> object:
        def renamed(self: Path, target: Path) -> Path:
            nonlocal count
            count += 1
            if count == step:
                raise Killed
            return does(self, target)  # type: ignore[operator,no-any-return]

        return renamed

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", dying(rename))
        patched.setattr(Path, "replace", dying(move))
        with pytest.raises(Killed):
            undo_promotion(shelf)
    if step > 1:
        with pytest.raises(UsageError, match="is left to be taken back"):
            undo_promotion(shelf)
    else:  # nothing had been recorded yet
        undo_promotion(shelf)
    assert contents(shelf) == before


def test_a_damaged_history_is_told_and_nothing_is_changed(shelf: Path, trained: Path) -> None:
    (shelf / JOURNAL_FILE).write_text("{")
    before = contents(shelf)
    for act in (lambda: promote(trained, shelf, name="mine"), lambda: undo_promotion(shelf), lambda: promotions(shelf)):
        with pytest.raises(WeightsError, match="history of promotions"):
            act()
    assert contents(shelf) == before
