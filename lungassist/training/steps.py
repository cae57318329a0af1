"""How many steps a run takes, and whether its moving average of weights gets away from where it began in them."""

from __future__ import annotations

from typing import Final

from lungassist.training.recipe import Recipe

#: Share of the weights before training from which the average is called too slow, and which a better one stays below.
_TOO_MUCH: Final = 0.1
_LITTLE: Final = 0.05
_ROUND: Final = (0.998, 0.995, 0.99, 0.98, 0.95, 0.9, 0.8, 0.5)


def steps_in_epoch(images: int, batch_size: int, processes: int = 1) -> int:
    """Batches in an epoch; a last one with a single image a process is dropped, since batch norm cannot use it."""
    return images // batch_size + (images % batch_size >= 2 * processes)


def suiting_averaging(steps: int) -> float:
    """The slowest of some round decays that leaves little of the start after so many steps; 0 where none does."""
    return next((decay for decay in _ROUND if decay**steps < _LITTLE), 0.0)


def averaging_warning(recipe: Recipe, images: int, *, epochs: int | None = None, processes: int = 1) -> str:
    """Say that much of the moving average of weights is still what the run began with, and what would suit.

    Args:
        recipe: the run's.
        images: that it trains on.
        epochs: after so many; after all of them unless given.
        processes: that share a batch.

    Returns:
        Two sentences; '' where the average has got away from the start, or there is none.
    """
    an_epoch = steps_in_epoch(images, recipe.batch_size, processes)
    steps, whole = (recipe.epochs if epochs is None else epochs) * an_epoch, recipe.epochs * an_epoch
    left = recipe.averaging**steps
    if not steps or left <= _TOO_MUCH:
        return ""
    said = (
        f"After {steps:,} {'step' if steps == 1 else 'steps'} {left:.0%} of the moving average of weights, which is "
        f"what is judged and kept, is still what the run began with (averaging {recipe.averaging:g})."
    )
    if recipe.averaging**whole <= _TOO_MUCH:
        return f"{said} That passes as the run goes on."
    suiting = suiting_averaging(whole)
    return f"{said} Choose averaging {suiting:g}{'' if suiting else ' (none)'}, or more epochs."
