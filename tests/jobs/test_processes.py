"""Whose process a pid is, what a host has to run jobs on, and who holds a lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lungassist.errors import StoreError
from lungassist.jobs import is_held, locks, resources
from lungassist.jobs.processes import Identity, descendants, marked
from lungassist.settings import Settings

from .test_cancel import bystander
from .waiting import until

__all__ = ["bystander"]


def test_a_process_is_itself_and_no_other_that_gets_its_number(bystander: subprocess.Popen[bytes]) -> None:
    identity = Identity.of(bystander.pid)
    assert identity is not None
    assert identity.is_alive()
    assert Identity.from_json(identity.to_json()) == identity
    for other in (replace(identity, started=identity.started + 1), replace(identity, boot="another")):
        assert not other.is_alive()
        other.send(signal.SIGKILL)
    assert bystander.poll() is None
    identity.send(signal.SIGKILL)
    assert bystander.wait() == -signal.SIGKILL
    assert not identity.is_alive()


def test_a_process_that_ended_and_was_not_collected_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    identity = until(lambda: Identity.of(process.pid))
    assert identity is not None
    until(lambda: not identity.is_alive())
    assert Path(f"/proc/{process.pid}").exists(), "still a zombie"
    assert Identity.of(process.pid) is None
    process.wait()


@pytest.mark.parametrize("wrong", [None, 7, "x", {}, {"pid": "1", "started": 1, "boot": "b"}, {"pid": 1}])
def test_a_record_that_names_no_process_is_none(wrong: object) -> None:
    assert Identity.from_json(wrong) is None


def test_a_start_without_a_token_marks_nothing() -> None:
    assert marked("") == []


def test_the_runner_of_another_job_is_no_part_of_the_tree() -> None:
    """A job may submit a job; cancelling the first must not end the second."""
    sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]
    own = subprocess.Popen(sleeping)
    runner = subprocess.Popen(sleeping, env={**os.environ, "LUNGASSIST_JOB_RUNNER": "2"})
    try:
        until(lambda: own.pid in (found := {process.pid for process in descendants(os.getpid())}) and found)
        until(lambda: runner.pid not in {process.pid for process in descendants(os.getpid())})
    finally:
        for process in (own, runner):
            process.kill()
            process.wait()


def test_locks_of_several_are_taken_all_or_none(settings: Settings) -> None:
    held = locks.take("gpu:1", settings)
    assert held
    assert locks.take("gpu:0,gpu:1", settings) is None
    assert not is_held("gpu:0", settings), "what was taken first was let go"
    locks.release(held)
    assert not is_held("gpu:1", settings)
    both = locks.take("gpu:1,gpu:0", settings)
    assert both
    assert is_held("gpu:0", settings)
    assert is_held("gpu:1", settings)
    locks.release(both)


def test_a_data_folder_without_room_for_locks_says_so(settings: Settings) -> None:
    (settings.home / "locks").write_text("")
    with pytest.raises(StoreError, match=r"locks/cpu\.lock cannot be opened: .*LUNGASSIST_HOME"):
        locks.take("cpu", settings)
    assert not is_held("cpu", settings)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    """GPUs are looked for once a process."""
    resources._gpus.cache_clear()
    yield
    resources._gpus.cache_clear()


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An nvidia-smi that lists two GPUs, one of them divided (MIG)."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\n"
        'echo "GPU 0: NVIDIA H200 (UUID: GPU-aaaa-1)"\n'
        'echo "  MIG 1g.18gb     Device  0: (UUID: MIG-cccc)"\n'
        'echo "GPU 1: Quadro RTX 6000 (x) (UUID: GPU-bbbb-2)"\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["gpu:0", "gpu:1", "cpu"]),
        ("1", ["gpu:1", "cpu"]),
        ("GPU-aaaa", ["gpu:0", "cpu"]),
        ("", ["cpu"]),
    ],
)
def test_gpus_are_listed_as_far_as_they_may_be_used(
    visible: str | None, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = resources.resources()
    assert [each.name for each in found] == names
    titles = {each.name: each.title for each in found}
    assert titles.get("gpu:1", "Quadro RTX 6000 (x) (GPU 1)") == "Quadro RTX 6000 (x) (GPU 1)"


def test_a_host_without_gpus_has_its_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(resources, "_DRIVER", tmp_path / "absent")
    assert [each.name for each in resources.resources()] == ["cpu"]


def test_a_driver_without_its_tool_is_read_from_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for address, model in (("0000:41:00.0", "NVIDIA A40"), ("0000:01:00.0", "NVIDIA L4")):
        (tmp_path / "gpus" / address).mkdir(parents=True)
        (tmp_path / "gpus" / address / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 1\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(resources, "_DRIVER", tmp_path / "gpus")
    assert [each.title for each in resources.resources()][:2] == ["NVIDIA L4 (GPU 0)", "NVIDIA A40 (GPU 1)"]


def test_jobs_load_no_framework_and_no_page() -> None:
    code = "import sys, lungassist.jobs.runner; print({'torch', 'streamlit', 'pandas', 'alembic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
