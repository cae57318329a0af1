"""Probabilities on their way to a table, kept on disk row by row, so that an evaluation that was killed goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lungassist.files import write_atomically

_KIND: Final = np.dtype("<f8")


class PartialProbabilities:
    """A file of `(n, K + E)` float64 rows, K probabilities and E further numbers, behind one line of JSON that says
    what they belong to.

    A process may be killed while it appends: a row that is cut short, or whose probabilities do not sum to 1 because
    the machine went down with it, is dropped with all that follow.
    """

    def __init__(self, path: Path, key: Mapping[str, Any], classes: int, extra: int = 0) -> None:
        """Open `path` to go on with it if it was begun with the same `key`; begin anew otherwise.

        Raises:
            OSError: it cannot be written.
        """
        self.path, self._classes, self._width = path, classes, classes + extra
        head = json.dumps(dict(key), sort_keys=True).encode() + b"\n"
        rows = self._rows_after(head)
        # Written anew even if it goes on: what was dropped must not lie behind what is appended.
        write_atomically(path, lambda temporary: temporary.write_bytes(head + rows.tobytes()))
        self._rows = [rows] if len(rows) else []
        self._file = path.open("ab")

    def __enter__(self) -> PartialProbabilities:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return sum(map(len, self._rows))

    def keep_multiple_of(self, size: int) -> None:
        """Drop the last rows down to a multiple of `size`: batches then begin where they would have without a break."""
        rows = self.rows()
        kept = rows[: len(rows) // size * size]
        dropped = (len(rows) - len(kept)) * self._width * _KIND.itemsize
        self._file.truncate(self._file.seek(0, 2) - dropped)
        self._rows = [kept]

    def append(self, rows: NDArray[np.float64]) -> None:
        """Add `(n, K + E)` rows, at once."""
        self._file.write(rows.astype(_KIND).tobytes())
        self._file.flush()
        self._rows.append(rows)

    def rows(self) -> NDArray[np.float64]:
        """All `(N, K + E)` of them."""
        return np.concatenate([*self._rows, np.empty((0, self._width))])

    def _rows_after(self, head: bytes) -> NDArray[np.float64]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            data = b""
        if not data.startswith(head):
            return np.empty((0, self._width))
        whole = (len(data) - len(head)) // (_KIND.itemsize * self._width) * self._width
        rows = np.frombuffer(data, _KIND, whole, len(head)).reshape(-1, self._width).astype(np.float64)
        sound = np.isclose(rows[:, : self._classes].sum(axis=1), 1, atol=1e-6)
        return rows if sound.all() else rows[: int(np.argmin(sound))]
