"""What triage does while a job trains, and after a model was promoted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lungassist.settings import Settings
from pages.parts import session
from tests.tiny import save_tiny_model


@pytest.mark.parametrize(
    ("has_gpu", "held", "expected"), [(True, True, "cpu"), (True, False, "cuda"), (False, True, "cpu")]
)
def test_triage_takes_the_cpu_while_a_job_holds_the_gpu(
    has_gpu: bool, held: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_held(name: str, settings: Settings) -> bool:
        assert name == "gpu:0"
        return held

    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(session, "is_held", is_held)
    assert session.device() == expected


def test_a_model_that_was_loaded_is_loaded_anew_for_another_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path))
    save_tiny_model(tmp_path / "tiny")
    asked: list[str] = []
    monkeypatch.setattr(session, "choose_device", lambda wanted: asked.append(wanted) or torch.device("cpu"))
    for device in ("cpu", "cuda", "cpu"):
        monkeypatch.setattr(session, "device", lambda device=device: device)
        session.classifier("tiny")
    assert asked == ["cpu", "cuda"]


def test_a_model_promoted_under_the_same_name_is_loaded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path))
    save_tiny_model(tmp_path / "tiny", version="1.0")
    assert session.classifier("tiny") is session.classifier("tiny")
    assert session.classifier("tiny").card.version == "1.0"
    save_tiny_model(tmp_path / "tiny", version="2.0")
    assert session.classifier("tiny").card.version == "2.0"
