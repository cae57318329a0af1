"""Names of models where there is little room: each short, and no two alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

_GAP: Final = "…"


def short_names(names: Sequence[str], longest: int) -> dict[str, str]:
    """Shorten names that are shown together, all in one way.

    What all of them end in goes first, such as the folder of an evaluation that stands behind each of its models. Of
    those that are still too long the middle goes, since names differ most at their ends; where that would make two
    alike, it is cut elsewhere, and where nothing else helps, less is cut.

    Args:
        names: different ones; the same again counts once.
        longest: characters that there is room for.

    Returns:
        Name -> its short one, different for each name.
    """
    whole = list(dict.fromkeys(names))
    if all(len(name) <= longest for name in whole):
        return {name: name for name in whole}
    common = len(_common_end(whole))
    kept = [name[: len(name) - common] for name in whole]
    return next(dict(zip(whole, cut, strict=True)) for cut in _cuts(kept, longest) if len(set(cut)) == len(whole))


def _common_end(names: Sequence[str]) -> str:
    """What all of several names have behind a space, as far as each is more than that."""
    first, *others = names
    ends = (first[place:] for place in range(1, len(first)) if first[place] == " ")
    return next((end for end in ends if others and all(n.endswith(end) and n != end for n in others)), "")


def _cuts(names: Sequence[str], longest: int) -> Iterator[list[str]]:
    """The names cut, the most even and shortest cut first; not at all in the end."""
    for room in range(longest, max(map(len, names)) + 1):
        for head in sorted(range(1, room - 1), key=lambda head: (abs(2 * head - (room - 1)), head)):
            yield [_cut(name, room, head) for name in names]
    yield list(names)


def _cut(name: str, room: int, head: int) -> str:
    return name if len(name) <= room else f"{name[:head]}{_GAP}{name[head + 1 - room :]}"
