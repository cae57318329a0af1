"""Memory that a step has given back is kept for the next, where the C library can be told so."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

#: Parameters of glibc's mallopt(3) and what they are set to: blocks of any size come from the heap and not from maps of
#: their own; the heap is not given back below 2 GiB; and it grows by 256 MiB at a time.
_SETTINGS: Final = {"M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, 2**31 - 1), "M_TOP_PAD": (-2, 2**28)}


def keep_freed_memory() -> bool:
    """Tell glibc to keep what this process frees, for the rest of its life.

    A training step on a processor takes and gives back the same hundreds of megabytes again and again. glibc returns
    them to the system each time, and every page has to be mapped and cleared anew, which was a third of a step of
    EfficientNet-Lite0 (`python -m benchmarks.train_step --networks efficientnet_lite0`, with and without
    `--keep-memory`). A GPU has torch's own cache.

    Returns:
        Whether it was done; False where the C library is another one, and where the process may only take so much: what
        is kept counts against it, and a smaller batch might not fit where it would have.
    """
    if not sys.platform.startswith("linux") or _is_limited():
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return False
    done = [bool(mallopt(parameter, value)) for parameter, value in _SETTINGS.values()]
    return all(done)


def _is_limited() -> bool:
    import resource  # not on every system

    kinds = (resource.RLIMIT_DATA, resource.RLIMIT_AS)
    return any(resource.getrlimit(kind)[0] != resource.RLIM_INFINITY for kind in kinds)
