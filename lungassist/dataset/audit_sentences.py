"""An audit in words: what a person should know before training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lungassist.dataset.audit import Audit, Duplicates
    from lungassist.dataset.shortcuts import Shortcut

#: Images of the largest class for each of the smallest from which class weights are worth a thought.
_UNEVEN: Final = 3

#: Share of the errors of guessing the largest class that a shortcut spares, from which it is told.
_TELLING: Final = 0.1


def sentences(audit: Audit) -> Iterator[str]:
    """What stands out, the gravest first."""
    yield from _conflicts(audit.exact, "the same byte for byte")
    yield from _conflicts(audit.near, "of one film")
    yield from _leaks(audit.exact, "the same byte for byte")
    yield from _leaks(audit.near, "of one film")
    yield from _shortcut(audit.source, "the source alone")
    yield from _shortcut(audit.size, "the image's native size alone")
    if audit.unreadable:
        first = next(iter(audit.unreadable))
        yield f"{_images(len(audit.unreadable))} cannot be read and are left out, such as {first}."
    if audit.negatives:
        yield f"{_images(len(audit.negatives))} look like photographic negatives, such as {audit.negatives[0]}."
    if audit.imbalance >= _UNEVEN:
        largest = max(audit.per_class, key=audit.per_class.__getitem__)
        smallest = min(audit.per_class, key=audit.per_class.__getitem__)
        yield f"There are {audit.imbalance:.1f} images of {largest} for each of {smallest}."
    if audit.coloured:
        yield f"{_images(audit.coloured)} have colour in them; a radiograph has none. Their luminance is used."


def _conflicts(found: Duplicates, what: str) -> Iterator[str]:
    if found.across_classes:
        yield (
            f"{_groups(found.across_classes)} of images {what} have different labels, such as "
            f"{' and '.join(found.examples[0][:2])}. One of them must be wrong."
        )


def _leaks(found: Duplicates, what: str) -> Iterator[str]:
    if found.across_splits:
        yield (
            f"{_groups(found.across_splits)} of images {what} lie in more than one split: figures on test will be "
            "better than they should be. Keep duplicates within one split."
        )


def _shortcut(found: Shortcut | None, what: str) -> Iterator[str]:
    if found is not None and found.accuracy - found.majority > _TELLING * (1 - found.majority):
        yield (
            f"From {what} the class is guessed right for {found.accuracy:.1%} of the images; always guessing the "
            f"largest class is right for {found.majority:.1%}. A network may learn that instead of the disease."
        )


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _groups(count: int) -> str:
    return "1 group" if count == 1 else f"{count:,} groups"
