"""Which epoch of a run is the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lungassist.classes import CONTAGIOUS, NORMAL
from lungassist.metrics import Matrix

Rank = tuple[float, ...]

#: No epoch is worse.
WORST: Final[Rank] = (float("inf"),)


def missed(matrix: Matrix, classes: Sequence[str]) -> int:
    """Sick called Normal: COVID and Viral Pneumonia where there are such classes, else every class but Normal.

    Args:
        matrix: `(K, K)`, true class in rows.
        classes: their `K` names. Without a class Normal, nothing can be called so: 0.
    """
    if NORMAL not in classes:
        return 0
    sick = [name for name in classes if name in CONTAGIOUS] or [name for name in classes if name != NORMAL]
    return int(sum(matrix[classes.index(name), classes.index(NORMAL)] for name in sick))


def rank(rule: str, *, called_normal: int, accuracy: float, loss: float) -> Rank:
    """Smaller is better.

    Args:
        rule: `paper` (section 5: fewest COVID and Viral Pneumonia called Normal, then accuracy; then loss, since on few
            images both often tie) or `validation_loss`.
        called_normal, accuracy, loss: of the validation images.
    """
    if rule == "validation_loss":
        return (loss,)
    return (float(called_normal), -accuracy, loss)
