"""What an installation may set, and what it is told when a setting cannot be meant."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lungassist.errors import UsageError
from lungassist.settings import Settings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = ("MAX_PIXELS", "MAX_FILE_BYTES", "MAX_ARCHIVE_BYTES", "BATCH_SIZE")
    for name in ("WEIGHTS", "MODEL", "SECOND_MODEL", "HOME", "DATA_ROOTS", *numbers):
        monkeypatch.delenv(f"LUNGASSIST_{name}", raising=False)


def test_unset_and_empty_variables_keep_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Settings.from_environment()
    assert plain.weights_dir == Path(__file__).parent.parent / "weights"
    assert plain.default_model is None
    assert plain.second_model is None
    for name in ("WEIGHTS", "MODEL", "SECOND_MODEL", "BATCH_SIZE"):
        monkeypatch.setenv(f"LUNGASSIST_{name}", "")
    assert Settings.from_environment() == plain


def test_what_is_set_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("LUNGASSIST_MODEL", "resnet18")
    monkeypatch.setenv("LUNGASSIST_SECOND_MODEL", "other")
    monkeypatch.setenv("LUNGASSIST_BATCH_SIZE", "3")
    settings = Settings.from_environment()
    assert (settings.weights_dir, settings.default_model, settings.batch_size) == (tmp_path, "resnet18", 3)
    assert settings.second_model == "other"


def test_a_tilde_is_the_users_home_in_every_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, text in (("WEIGHTS", "~/models"), ("HOME", "~/data"), ("DATA_ROOTS", "/a:~/b")):
        monkeypatch.setenv(f"LUNGASSIST_{name}", text)
    settings = Settings.from_environment()
    assert (settings.weights_dir, settings.home) == (tmp_path / "models", (tmp_path / "data").resolve())
    assert settings.data_roots == (Path("/a"), tmp_path / "b")


@pytest.mark.parametrize("name", ["WEIGHTS", "HOME", "DATA_ROOTS"])
def test_the_home_of_nobody_is_told_with_the_variables_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"LUNGASSIST_{name}", "~nobody-of-this-name/x")
    with pytest.raises(UsageError, match=f"LUNGASSIST_{name}: '~nobody-of-this-name/x' begins with the home"):
        Settings.from_environment()


@pytest.mark.parametrize("text", ["0", "-1", "many", "2.5", "1e3", "1000001", "9" * 40])
def test_a_number_that_is_none_is_told_with_its_name(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("LUNGASSIST_BATCH_SIZE", text)
    with pytest.raises(UsageError, match=rf"LUNGASSIST_BATCH_SIZE must be .* from 1 to 1,000,000; it is '{text}'"):
        Settings.from_environment()


@pytest.mark.parametrize("name", ["MAX_PIXELS", "MAX_FILE_BYTES", "MAX_ARCHIVE_BYTES", "MAX_ARCHIVE_MEMBERS"])
def test_a_limit_beyond_what_can_be_counted_is_told(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"LUNGASSIST_{name}", "9" * 20)
    with pytest.raises(UsageError, match=f"LUNGASSIST_{name} must be a whole number from"):
        Settings.from_environment()


def test_settings_are_read_once_and_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.from_environment().batch_size = 1  # type: ignore[misc]
