"""The shelf of models: what was saved is what is loaded, and nothing else is."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lungassist.classes import CLASSES
from lungassist.errors import UsageError, WeightsError
from lungassist.files import sha256_of, write_atomically
from lungassist.models.card import Card
from lungassist.models.weights import choose_model, load_model, read_records, read_shelf, save_model, verify
from tests.drawn import card_of, network_of
from tests.models.harmful import Harmful


@pytest.fixture
def folder(small_model: Path, tmp_path: Path) -> Path:
    """A copy of a good model that a test may spoil."""
    return Path(shutil.copytree(small_model, tmp_path / "weights" / "small"))


def rewrite_card(folder: Path, **changes: object) -> None:
    card = Card.read(folder / "card.json")
    replace(card, **changes).write(folder / "card.json")  # type: ignore[arg-type]


def test_weights_come_back_in_single_precision_rounded_to_half(folder: Path) -> None:
    saved = network_of().state_dict()
    model, card = load_model(folder)
    loaded = model.state_dict()
    assert loaded.keys() == saved.keys()
    for key, value in saved.items():
        expected = value.half().float() if value.is_floating_point() else value
        assert loaded[key].dtype == expected.dtype
        torch.testing.assert_close(loaded[key], expected, rtol=0, atol=0)
    assert card.classes == CLASSES
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_file_is_half_as_large(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    assert {value.dtype for value in tensors.values()} == {torch.float16, torch.int64}


def test_the_card_has_the_hashes_of_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text("file,label\n")
    card = save_model(tmp_path, network_of().state_dict(), card_of())
    assert card == Card.read(tmp_path / "card.json")
    assert card.weights_sha256 == sha256_of(tmp_path / "model.safetensors")
    assert card.predictions_sha256 == sha256_of(tmp_path / "predictions.csv")
    assert verify(tmp_path) == card
    (tmp_path / "predictions.csv").write_text("file,label\nx,COVID\n")
    with pytest.raises(WeightsError, match=r"predictions\.csv is damaged"):
        verify(tmp_path)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.999])
def test_one_damaged_byte_is_found_and_named(folder: Path, place: float) -> None:
    path = folder / "model.safetensors"
    expected = sha256_of(path)
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError) as caught:
        load_model(folder)
    message = str(caught.value)
    assert str(path) in message
    assert expected[:12] in message
    assert sha256_of(path)[:12] in message


def test_weights_without_a_hash_in_their_card_are_not_trusted(folder: Path) -> None:
    rewrite_card(folder, weights_sha256="")
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        load_model(folder)


def test_missing_weights_and_a_missing_card(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"no model\.safetensors"):
        load_model(folder)
    (folder / "card.json").unlink()
    with pytest.raises(WeightsError, match=r"no card\.json"):
        load_model(folder)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"architecture": "resnet18"}, "resnet18"),
        ({"architecture": "vision_transformer"}, "unknown here"),
        ({"classes": ("COVID", "Normal")}, "2 classes"),
    ],
)
def test_a_card_of_another_model_is_refused(folder: Path, changes: dict[str, object], word: str) -> None:
    rewrite_card(folder, **changes)
    with pytest.raises(WeightsError, match=word):
        load_model(folder)


@pytest.mark.parametrize("with_torch", [True, False])
def test_a_pickle_in_place_of_the_weights_is_never_executed(folder: Path, tmp_path: Path, with_torch: bool) -> None:
    mark, path = tmp_path / "executed", folder / "model.safetensors"
    if with_torch:
        torch.save({"weights": Harmful(mark)}, path)
    else:
        path.write_bytes(pickle.dumps(Harmful(mark)))
    with pytest.raises(WeightsError, match="damaged"):
        load_model(folder)
    rewrite_card(folder, weights_sha256=sha256_of(path))
    with pytest.raises(WeightsError, match="do not fit"):
        load_model(folder)
    assert not mark.exists()


def test_the_pickle_of_this_test_would_have_done_harm(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Harmful(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()


def test_the_shelf_lists_what_is_usable_and_what_is_wrong_with_the_rest(folder: Path) -> None:
    shelf = folder.parent
    (shelf / "notes.txt").write_text("no folder")
    (shelf / "empty").mkdir()
    for name, spoil in {
        "no_weights": lambda f: (f / "model.safetensors").unlink(),
        "no_card": lambda f: (f / "card.json").unlink(),
        "no_json": lambda f: (f / "card.json").write_text("{"),
        "unknown_kind": lambda f: rewrite_card(f, architecture="vision_transformer"),
    }.items():
        spoil(Path(shutil.copytree(folder, shelf / name)))
    entries = {entry.name: entry for entry in read_shelf(shelf)}
    assert list(entries) == ["no_card", "no_json", "no_weights", "small", "unknown_kind"]
    assert entries["small"].card is not None
    assert entries["small"].problem is None
    for name, word in {
        "no_card": "no card.json",
        "no_json": "JSON",
        "no_weights": "no model.safetensors",
        "unknown_kind": "vision_transformer",
    }.items():
        assert entries[name].card is None
        assert word in str(entries[name].problem)


def test_records_are_cards_without_weights_and_not_on_the_shelf(folder: Path) -> None:
    shelf = folder.parent
    for name in ("vgg19_bn", "broken"):
        (shelf / "records" / name).mkdir(parents=True)
        shutil.copyfile(folder / "card.json", shelf / "records" / name / "card.json")
    (shelf / "records" / "broken" / "card.json").write_text("{}")
    broken, record = read_records(shelf)
    assert (record.name, record.problem) == ("vgg19_bn", None)
    assert record.card == Card.read(folder / "card.json")
    assert broken.card is None
    assert broken.problem
    assert [entry.name for entry in read_shelf(shelf)] == [folder.name]


def test_a_shelf_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert read_shelf(tmp_path / "nowhere") == []


def test_the_model_that_is_wanted_else_the_default_else_the_first(folder: Path) -> None:
    shelf = folder.parent
    shutil.copytree(folder, shelf / "a_first")
    broken = Path(shutil.copytree(folder, shelf / "a_broken"))
    (broken / "card.json").write_text("{")
    assert choose_model(shelf, "small") == "small"
    assert choose_model(shelf, None) == "a_first"
    (folder.parent / "DEFAULT").write_text(f"{folder.name}\n")
    assert choose_model(shelf, None) == "small"
    with pytest.raises(UsageError, match=r"'other'.*a_first, small"):
        choose_model(shelf, "other")


@pytest.mark.parametrize("named", [b"gone\n", b"", b" \n", b"\xff\xfe", b"a_broken", b"x" * 1000, None])
def test_a_default_that_cannot_be_used_is_not_replaced_by_another_model(folder: Path, named: bytes | None) -> None:
    """Readers know the default, and a point was chosen for it: another one must not answer in its name."""
    shelf = folder.parent
    broken = Path(shutil.copytree(folder, shelf / "a_broken"))
    (broken / "model.safetensors").unlink()
    (shelf / "DEFAULT").mkdir() if named is None else (shelf / "DEFAULT").write_bytes(named)
    with pytest.raises(WeightsError, match=r"DEFAULT.*--model or LUNGASSIST_MODEL") as told:
        choose_model(shelf, None)
    assert len(str(told.value)) < 500 + len(str(shelf)) * 2
    if named == b"a_broken":
        assert "'a_broken'" in str(told.value)
        assert "no model.safetensors" in str(told.value)
    if named == b"gone\n":
        assert "There is no such model; there: small." in str(told.value)
    assert choose_model(shelf, "small") == "small"


def test_no_usable_model_says_why(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"no usable model.*no model\.safetensors.*python -m train\.finetune"):
        choose_model(folder.parent, None)
    with pytest.raises(UsageError, match="none"):
        choose_model(tmp_path, "small")
    for wanted in (None, "small"):
        with pytest.raises(UsageError, match=r"no folder .*nowhere"):
            choose_model(tmp_path / "nowhere", wanted)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "file"
    write_atomically(path, lambda temporary: temporary.write_text("old"))

    def half(temporary: Path) -> None:
        temporary.write_text("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, half)
    assert path.read_text() == "old"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
