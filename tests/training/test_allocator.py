"""What a run tells the C library about memory."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from lungassist.training.allocator import keep_freed_memory

_TOUCHED = """
import resource, sys
from lungassist.training.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(64 << 20)
before = faults()
for _ in range(10):
    bytearray(64 << 20)
print(faults() - before)
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "mallopt"), reason="no glibc"
)
def test_memory_that_was_freed_is_not_mapped_anew() -> None:
    faults = {
        how: int(
            subprocess.run(
                [sys.executable, "-c", _TOUCHED, how],
                capture_output=True,
                text=True,
                check=True,
                cwd=Path(__file__).parents[2],
            ).stdout
        )
        for how in ("keep", "default")
    }
    assert faults["keep"] < 0.1 * faults["default"]


def test_where_the_library_has_no_such_call_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory()


def test_a_process_that_may_only_take_so_much_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (2**30, 2**30))
    assert not keep_freed_memory()
