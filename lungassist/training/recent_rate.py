"""How fast something goes now."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

#: Seconds that the rate is of, so that a pause shows.
_WINDOW: Final = 15.0


class RecentRate:
    """Images a second over the last seconds, from how many were done when."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def at(self, done: int) -> float | None:
        """The rate now that `done` images are done in all; None as long as nothing can be said."""
        now = time.monotonic()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > _WINDOW:
            self._seen.popleft()
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return (last - first) / (ended - began) if last > first and ended > began else None

    def clear(self) -> None:
        """Forget, for what was spent on something else says nothing of the speed."""
        self._seen.clear()
