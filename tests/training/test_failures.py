"""However a run ends, its status says so in a sentence; what can be advised is advised."""

from __future__ import annotations

import errno
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lungassist.errors import TrainingError
from lungassist.training.failures import cause_of, is_disk_full, is_out_of_memory
from lungassist.training.run import RunDirectory
from tests.training.runs import RECIPE, config_of, run_of, status_of
from tests.training.test_resume import ROOT, environment


def test_a_full_disk_promises_no_checkpoint_that_there_is_not(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert cause_of(full, tmp_path).endswith("then resume: it begins anew, since there is no checkpoint yet.")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert cause_of(full, tmp_path).endswith("then resume: the last checkpoint was kept.")


def fails_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def failing(*given: Any, **named: Any) -> Iterator[None]:
        raise error
        yield

    monkeypatch.setattr("lungassist.training.journey.fit", failing)


@pytest.mark.parametrize(
    ("error", "comes_out", "words"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory"),
            TrainingError,
            "Out of memory at a batch size of 8. 4 would fit",
        ),
        (MemoryError(), TrainingError, "Out of memory at a batch size of 8. 4 would fit"),
        (RuntimeError("Calculated padded input size\nper channel"), TrainingError, "Calculated padded input size. The"),
        (OSError(errno.ENOSPC, "No space left on device"), TrainingError, "is full"),
        (FileNotFoundError(2, "No such file", "/data/x.png"), TrainingError, "/data/x.png has vanished"),
        (TrainingError("The loss became nan"), TrainingError, "The loss became nan"),
        (KeyboardInterrupt(), KeyboardInterrupt, "KeyboardInterrupt"),
        (KeyError("no such thing"), KeyError, "no such thing"),
    ],
)
def test_however_a_run_ends_its_status_says_so(
    films: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    comes_out: type[BaseException],
    words: str,
) -> None:
    fails_with(monkeypatch, error)
    with pytest.raises(comes_out):
        run_of(tmp_path / "run", films)
    status = status_of(tmp_path / "run")
    assert status["state"] == "failed"
    assert words in status["cause"]
    assert len(status["cause"]) < 300


def test_a_loss_that_is_no_number_ends_with_advice(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch.nn.functional, "cross_entropy", lambda *given, **named: torch.tensor(math.nan, requires_grad=True)
    )
    with pytest.raises(TrainingError, match="Lower the learning rate"):
        run_of(tmp_path / "run", films)
    assert "Lower the learning rate" in status_of(tmp_path / "run")["cause"]


LIMITED = """
import resource, sys
import torch
from train.finetune import main
vast = 2**62
pages = int(open("/proc/self/statm").read().split()[0])
import lungassist.training.journey as journey
fit = journey._fit
# Limited from the beginning, as a process is whose user or service is; the run sees to it that nothing freed is kept.
resource.setrlimit(resource.RLIMIT_AS, (vast, vast))
def limited(*given):
    # Only now: what is loaded before takes much address space and little memory.
    used = int(open("/proc/self/statm").read().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (used + 1000 * 2**20, vast))
    return fit(*given)
journey._fit = limited
sys.exit(main(sys.argv[1:]))
"""


def test_memory_that_runs_out_names_the_batch_size_that_would_fit(films: Path, tmp_path: Path) -> None:
    """The kernel refuses more than 1000 MiB: 32 images of 448 pixels do not fit into it, some do."""
    run = RunDirectory(tmp_path / "run")
    run.prepare(config_of(films, replace(RECIPE, size=448, batch_size=32, averaging=0.0)))
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "--resume", str(run.path)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    cause = status_of(run.path)["cause"]
    assert cause.startswith("Out of memory at a batch size of 32. ")
    fitting = int(cause.split(". ")[1].split(" ")[0])
    assert 2 <= fitting < 32
    assert "Traceback" in (run.path / "log.txt").read_text()


def test_what_torch_and_the_system_call_memory_and_disk() -> None:
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert is_disk_full(RuntimeError("[enforce fail] PytorchStreamWriter failed writing file data/0"))
    outer = RuntimeError("writing failed")
    outer.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    assert is_disk_full(outer)
    assert not is_disk_full(OSError(errno.EACCES, "Permission denied"))
    assert "log says more" in cause_of(RuntimeError(""), Path("/"))
