"""Which format some bytes are, told from the bytes: an extension is only a claim."""

import string
from typing import Final

PNG: Final = "PNG"
JPEG: Final = "JPEG"
TIFF: Final = "TIFF"
WEBP: Final = "WEBP"
DICOM: Final = "DICOM"
ZIP: Final = "ZIP"

#: What a message says it expected.
EXPECTED: Final = "a chest X-ray as PNG, JPEG, TIFF, WebP or DICOM"

_MAGIC: Final[dict[str, tuple[bytes, ...]]] = {
    PNG: (b"\x89PNG\r\n\x1a\n",),
    JPEG: (b"\xff\xd8\xff",),
    TIFF: (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ZIP: (b"PK\x03\x04", b"PK\x05\x06"),
}

#: Value representations that a first explicit element may have: file meta, identifying and command groups.
_FIRST_VRS: Final = frozenset({b"UL", b"OB", b"UI", b"CS", b"DA", b"TM", b"SH", b"LO", b"DT", b"US", b"SQ"})

_FOREIGN: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"%PDF", "a PDF document"),
    (0, b"GIF8", "a GIF image"),
    (0, b"BM", "a BMP image"),
    (0, b"\0\0\0\x0cjP", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 codestream"),
    (4, b"ftypheic", "a HEIC photograph"),
    (4, b"ftypmif1", "a HEIC photograph"),
    (4, b"ftypavif", "an AVIF image"),
    (4, b"ftyp", "a video"),
    (0, b"\x1aE\xdf\xa3", "a video"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\xd0\xcf\x11\xe0", "an old Office document"),
    (0, b"{\\rtf", "an RTF document"),
    (0, b"MZ", "a Windows program"),
    (0, b"\x7fELF", "a program"),
)


def sniff(data: bytes) -> str | None:
    """Return `PNG`, `JPEG`, `TIFF`, `WEBP`, `DICOM`, `ZIP`, or None for anything else.

    A DICOM prefix wins over what its free 128-byte preamble resembles (PS3.10 section 7.1 lets it be a TIFF).
    A data set without preamble is only likely DICOM: its reader asks for a modality or SOP class as well.
    """
    if data[128:132] == b"DICM":
        return DICOM
    for file_format, magics in _MAGIC.items():
        if data.startswith(magics):
            return file_format
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    return DICOM if _starts_like_a_data_set(data) else None


def describe(data: bytes) -> str:
    """Say in a few words what bytes of no readable format seem to be, without quoting them."""
    for offset, magic, words in _FOREIGN:
        if data[offset : offset + len(magic)] == magic:
            return words
    head = data[:4096]
    if not head.strip(b"\0"):
        return "only zero bytes"
    if _is_text(head):
        start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        if start.startswith((b"<!doctype html", b"<html")):
            return "an HTML page"
        return "an XML document" if start.startswith(b"<?xml") else "plain text"
    return "bytes of no known image format"


def _is_text(head: bytes) -> bool:
    printable = string.printable.encode()
    plain = sum(byte in printable or byte >= 0x80 for byte in head)
    control = len(head) - plain
    ascii_share = sum(byte in printable for byte in head) / len(head)
    return control == 0 and ascii_share > 0.7


def _starts_like_a_data_set(data: bytes) -> bool:
    """Whether the first 8 bytes are a plausible element of group 0002 or 0008, implicit or explicit."""
    little, big = data[:2], data[1::-1]
    groups = (b"\x02\0", b"\x08\0")
    if len(data) < 16 or (little not in groups and big not in groups):
        return False
    if data[4:6] in _FIRST_VRS:
        return True
    return little in groups and data[3] == 0 and int.from_bytes(data[4:8], "little") <= 256
