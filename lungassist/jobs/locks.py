"""One job a GPU at a time, kept by the kernel: a lock that is free the moment its last holder is dead.

`flock(2)` belongs to the open file, which a runner inherits from whoever starts it and hands on to the job's process.
So there is no moment between the decision to start a job and its end when another could take the same GPU.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from lungassist.errors import StoreError
from lungassist.settings import Settings


def names_of(resource: str) -> tuple[str, ...]:
    """The single resources of "cpu", "gpu:0" or "gpu:0,gpu:1", in the order in which they are taken."""
    return tuple(sorted({name.strip() for name in resource.split(",")}))


def lock_file(name: str, settings: Settings) -> Path:
    """Where the lock of "gpu:0" or "cpu" lies."""
    return settings.home / "locks" / f"{name.replace(':', '-')}.lock"


def take(resource: str, settings: Settings) -> list[int] | None:
    """Take all locks of a resource, or none.

    Returns:
        Open file descriptors; whoever has one holds the lock. None if any is held.

    Raises:
        StoreError: the locks' folder cannot be written.
    """
    taken: list[int] = []
    for name in names_of(resource):
        descriptor = _try_lock(lock_file(name, settings), fcntl.LOCK_EX)
        if descriptor is None:
            release(taken)
            return None
        taken.append(descriptor)
    return taken


def release(descriptors: Sequence[int]) -> None:
    """Close this process's share in locks; each is free once nobody has one."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def is_held(name: str, settings: Settings) -> bool:
    """Whether a job runs on "gpu:0" or "cpu" now, for instance so that triage takes the CPU meanwhile.

    Costs microseconds. Looking never keeps a job from being started for longer than the look.
    """
    path = lock_file(name, settings)
    if not path.exists():
        return False
    try:
        descriptor = _try_lock(path, fcntl.LOCK_SH)
    except StoreError:
        return False
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def _try_lock(path: Path, how: int) -> int | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(
            f"The lock {path} cannot be opened: {error.strerror}. LungAssist must be able to write its data folder; "
            "LUNGASSIST_HOME names another."
        ) from error
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
