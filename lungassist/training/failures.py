"""Why a run ended, in a sentence for a person; and the wish to end it."""

from __future__ import annotations

import errno
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import ClassVar, Final, NoReturn

import torch

from lungassist.errors import LungAssistError
from lungassist.training.progress import CHECKPOINTS, LAST

_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: What torch says when it could not write a file; it loses the system's own word.
_TORCH_WRITER: Final = ("PytorchStreamWriter failed writing", "file write failed", "unexpected pos")
#: The last is oneDNN's word, on the CPU.
_TORCH_MEMORY: Final = ("can't allocate memory", "out of memory", "not enough memory", "could not create a primitive")
#: Seconds within which signals are one wish.
_SAME_WISH: Final = 2.0


class CancelledError(LungAssistError):
    """Somebody asked the run to stop."""

    code: ClassVar[str] = "cancelled"

    def __init__(self, signal_number: int = signal.SIGTERM) -> None:
        super().__init__("The run was stopped on request. It can be gone on with from the last checkpoint.")
        self.signal_number = signal_number


class StopRequest:
    """Remembers that SIGTERM or SIGINT came, so that a run ends between two steps and not within one."""

    def __init__(self) -> None:
        self.signal_number = 0

    def __call__(self) -> bool:
        return bool(self.signal_number)

    def end(self) -> NoReturn:
        """Raises CancelledError."""
        raise CancelledError(self.signal_number or signal.SIGTERM)

    def check(self) -> None:
        """Raises CancelledError if somebody asked."""
        if self():
            self.end()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen inside; a second signal, some seconds after the first, ends the process the usual way.

        At once it would be the same wish told twice: a terminal and a parent both pass on what is typed, and the kernel
        tells of a parent's end once for each of its threads.
        """
        first = 0.0

        def remember(number: int, _frame: FrameType | None) -> None:
            nonlocal first
            now = time.monotonic()
            if not self.signal_number:
                self.signal_number, first = number, now
            elif now - first > _SAME_WISH:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)

        before = {number: signal.signal(number, remember) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the GPU or on the CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _TORCH_MEMORY)


def is_disk_full(error: BaseException) -> bool:
    """Whether a file could not be written for want of room."""
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, OSError) and chain.errno in _DISK:
            return True
        if isinstance(chain, RuntimeError) and any(words in str(chain) for words in _TORCH_WRITER):
            return True
        chain = chain.__cause__ or chain.__context__
    return False


def _from_where(run: Path) -> str:
    if (run / CHECKPOINTS / LAST).exists():
        return "the last checkpoint was kept"
    return "it begins anew, since there is no checkpoint yet"


def cause_of(error: BaseException, run: Path) -> str:
    """One or two sentences: what happened, and what to do."""
    if is_disk_full(error):
        free = None
        with suppress(OSError):
            free = shutil.disk_usage(run).free
        room = "" if free is None else f" ({free / 1024**2:,.0f} MiB free)"
        return f"The disk of {run} is full{room}. Make room, then resume: {_from_where(run)}."
    if is_out_of_memory(error):
        return "Out of memory. Choose a smaller batch size, smaller images or a smaller network, then start again."
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} has vanished. Restore it, then resume: {_from_where(run)}."
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"The run stopped: {lines[0].rstrip('.')}. The log says more."
