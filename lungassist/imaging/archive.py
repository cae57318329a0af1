"""ZIP archives read in place: no member is ever written to disk, and no declared size is believed."""

import re
import stat
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import BinaryIO, Final

from lungassist.errors import ArchiveError, DamagedImageError, ImageTooLargeError, StudyError
from lungassist.imaging import formats
from lungassist.imaging.clutter import is_clutter
from lungassist.imaging.decoding import DECODER_ERRORS
from lungassist.imaging.study import Study
from lungassist.imaging.wording import megabytes, shown
from lungassist.imaging.zip_directory import directory_bytes
from lungassist.settings import Settings

#: Deflate reaches 1,032 to 1, X-rays 2 to 4, a DICOM that is half black border perhaps 20.
_HIGHEST_RATIO: Final = 200
#: Below this a high ratio harms nobody, and small blank test images do have one.
_RATIO_MATTERS: Final = 16 << 20
_CHUNK: Final = 1 << 20
#: Bytes of directory per member that are still ordinary: 46 plus a name, plus extra fields.
_DIRECTORY_ENTRY: Final = 1024
#: LZMA and bzip2 are left out: their decoders take memory as the archive says.
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ZIP_ERRORS: Final[tuple[type[Exception], ...]] = (zipfile.BadZipFile, zipfile.LargeZipFile, *DECODER_ERRORS)
_DRIVE: Final = re.compile(r"[A-Za-z]:")


class Archive:
    """An open ZIP. It stays open as long as a study of it is alive; several threads may read studies of it."""

    def __init__(self, stream: BinaryIO, name: str, settings: Settings) -> None:
        """Read the directory, within bounds.

        Raises:
            ArchiveError: damaged, or not a ZIP at all.
            ImageTooLargeError: more members than `max_archive_members`.
        """
        self._name = name
        self._settings = settings
        self._unpacked: dict[int, int] = {}
        self._counting = threading.Lock()
        try:
            directory = directory_bytes(stream)
            if directory <= settings.max_archive_members * _DIRECTORY_ENTRY:
                self._zip = zipfile.ZipFile(stream)
        except _ZIP_ERRORS:
            raise ArchiveError(
                f"{shown(name)}: expected a complete ZIP archive; it is truncated or damaged. Copy or pack it again."
            ) from None
        if directory > settings.max_archive_members * _DIRECTORY_ENTRY or self._count() > settings.max_archive_members:
            raise ImageTooLargeError(
                f"{shown(name)}: expected at most {settings.max_archive_members:,} files in a ZIP; it lists more."
                " Split it."
            )

    def studies(self) -> Iterator[Study]:
        """Yield one study per member, sorted by name; clutter and folders are passed over."""
        for info in sorted(self._zip.infolist(), key=lambda member: member.filename):
            parts = re.split(r"[/\\]", info.filename)
            if info.is_dir() or any(is_clutter(part) for part in parts if part not in {"", ".", ".."}):
                continue
            name = str(PurePosixPath(self._name) / info.filename.lstrip("/\\"))
            reason = _reason_to_refuse(info, parts)
            if reason is None:
                yield Study(name, partial(self._read, info, name))
            else:
                yield Study.failing(name, ArchiveError(f"{shown(name)}: {reason}"))

    def _count(self) -> int:
        return len(self._zip.infolist())

    def _read(self, info: zipfile.ZipInfo, name: str) -> bytes:
        """Unpack one member, counting what really comes out."""
        chunks: list[bytes] = []
        size = 0
        with self._counting:
            earlier = sum(size for at, size in self._unpacked.items() if at != info.header_offset)
        try:
            with self._zip.open(info) as stream:
                while chunk := stream.read(_CHUNK):
                    size += len(chunk)
                    self._check_size(size, earlier, info, name)
                    chunks.append(chunk)
        except _ZIP_ERRORS:
            raise DamagedImageError(
                f"{shown(name)}: expected an intact file in the ZIP; its bytes do not unpack or do not match their"
                " checksum. Copy or pack the archive again."
            ) from None
        finally:
            with self._counting:
                self._unpacked[info.header_offset] = size
        return _single_file(b"".join(chunks), name)

    def _check_size(self, size: int, earlier: int, info: zipfile.ZipInfo, name: str) -> None:
        limits = self._settings
        if size > limits.max_file_bytes:
            raise _too_large(name, f"at most {megabytes(limits.max_file_bytes)}", "it unpacks to more")
        if earlier + size > limits.max_archive_bytes:
            raise _too_large(
                name, f"at most {megabytes(limits.max_archive_bytes)} in one ZIP", "the archive unpacks to more"
            )
        if size > _RATIO_MATTERS and size > _HIGHEST_RATIO * max(info.compress_size, 1):
            raise _too_large(
                name, "an image", f"it unpacks to over {_HIGHEST_RATIO} times its size, as a ZIP bomb does"
            )


def studies_of_zip(stream: BinaryIO, name: str, settings: Settings) -> Iterator[Study]:
    """Yield the studies of a ZIP; an archive that cannot be opened, or is empty, is one failing study."""
    try:
        archive = Archive(stream, name, settings)
    except StudyError as error:
        stream.close()
        yield Study.failing(name, error)
        return
    empty = True
    for study in archive.studies():
        empty = False
        yield study
    if empty:
        yield Study.failing(name, ArchiveError(f"{shown(name)}: expected a ZIP with images; it holds no file to read."))


def _reason_to_refuse(info: zipfile.ZipInfo, parts: list[str]) -> str | None:
    """Say why a member is refused unread, in the words that follow its name."""
    if not parts[0] or _DRIVE.match(info.filename) or ".." in parts:
        return "expected a path inside the ZIP; it leads out of it. Pack the archive again."
    if stat.S_ISLNK(info.external_attr >> 16):
        return "expected a file in the ZIP; it is a symbolic link. Pack the image itself."
    if info.flag_bits & 0x1:
        return "expected a readable file in the ZIP; it is encrypted. Pack it without a password."
    if info.compress_type not in _METHODS:
        return "expected a file stored or deflated in the ZIP; it is packed by another method. Pack it as plain ZIP."
    return None


def _single_file(data: bytes, name: str) -> bytes:
    if formats.sniff(data) == formats.ZIP:
        raise ArchiveError(f"{shown(name)}: expected an image; it is a ZIP inside a ZIP. Unpack the outer one first.")
    return data


def _too_large(name: str, expected: str, came: str) -> ImageTooLargeError:
    return ImageTooLargeError(f"{shown(name)}: expected {expected}; {came}. Check where the archive comes from.")
