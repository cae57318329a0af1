"""The COVID-19 Radiography Database's own workbooks, `CLASS.metadata.xlsx`: where every image comes from."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final
from xml.etree.ElementTree import ParseError

_SUFFIX: Final = ".metadata.xlsx"

_EXPECTED: Final = "FILE NAME and URL"

#: What openpyxl raises for a file that is no workbook, is cut off, or holds other parts than it should.
_UNREADABLE: Final = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, ParseError)


def read_sources(root: Path, files: Sequence[str]) -> tuple[list[str], list[str]]:
    """Look up the source of every image in the workbooks beside the class folders.

    Names there are without suffix and spelled freely (NORMAL-1 for Normal-1.png); they are compared within their
    class, by letters and digits alone.

    Args:
        root: the folder of the class folders and workbooks.
        files: relative to `root`, as in the index.

    Returns:
        A source (a URL) a file, '' where none was found, and sentences on what could not be used.
    """
    # A file that does not say which class it belongs to is no match for any folder, and so not looked at.
    workbooks = sorted(path for path in root.iterdir() if path.name.lower().endswith(_SUFFIX) and path.is_file())
    notes: list[str] = []
    sources: dict[tuple[str, str], str] = {}
    for workbook in workbooks:
        label = _key(workbook.name[: -len(_SUFFIX)])
        try:
            sources |= {(label, _key(name)): url for name, url in _rows(workbook)}
        except ImportError:
            notes.append(f"{workbook.name} and its like were passed over: reading them needs the package openpyxl.")
            break
        except (*_UNREADABLE, zipfile.BadZipFile) as error:
            notes.append(f"{workbook.name} cannot be read ({error or type(error).__name__}); sources stay unknown.")
    found = [sources.get((_key(PurePosixPath(file).parts[0]), _key(PurePosixPath(file).stem)), "") for file in files]
    lost = found.count("") if any(found) else 0
    if sources and not any(found):
        notes.append("The workbooks beside the folders name none of the images; sources stay unknown.")
    elif lost:
        notes.append(f"The workbooks beside the folders do not name {lost:,} of {len(files):,} images.")
    return found, notes


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _rows(workbook: Path) -> Iterator[tuple[str, str]]:
    import openpyxl  # type: ignore[import-untyped]

    book = openpyxl.load_workbook(workbook, read_only=True, data_only=True)
    try:
        rows = book.worksheets[0].iter_rows(values_only=True)
        heads = [_key(str(cell or "")) for cell in next(rows, ())]
        if "filename" not in heads or "url" not in heads:
            raise ValueError(f"expected the columns {_EXPECTED}")
        name, url = heads.index("filename"), heads.index("url")
        for row in rows:
            if len(row) > max(name, url) and row[name] is not None:
                yield PurePosixPath(str(row[name])).name, str(row[url] or "").strip()
    finally:
        book.close()
