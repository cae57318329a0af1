"""Files that systems and discs leave in a folder, which nobody means as a study."""

from typing import Final

_SYSTEM: Final = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "dicomdir", "__macosx", "$recycle.bin"})
#: Tables that data sets put beside their images.
_TABLES: Final = (".csv", ".tsv", ".xlsx")


def is_clutter(part: str) -> bool:
    """Whether a file or folder name, met inside a folder or ZIP, is passed over without a row in the result.

    Hidden names, system files, a disc's DICOMDIR, and tables. Everything else is reported, were it only as not
    readable: a study that silently goes missing from a batch is worse than a row too many.
    """
    lowered = part.lower()
    return lowered.startswith(".") or lowered in _SYSTEM or lowered.endswith(_TABLES)
