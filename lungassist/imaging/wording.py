"""How a file is named in a message: on one line, whatever its name holds."""

from typing import Final

_LONGEST: Final = 200


def shown(name: str) -> str:
    """Return a name fit for a one-line message: control characters become `?`, a very long one loses its middle."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in name) or "unnamed file"
    if len(plain) <= _LONGEST:
        return plain
    half = _LONGEST // 2
    return f"{plain[:half]}...{plain[-half:]}"


def megabytes(number: int) -> str:
    """Return bytes as decimal megabytes, such as `400 MB`; less than one is given in bytes."""
    return f"{number / 1e6:,.0f} MB" if number >= 1_000_000 else f"{number:,} bytes"


def megapixels(number: int) -> str:
    """Return pixels as `100 million pixels`; less than one million is given in full."""
    return f"{number / 1e6:,.0f} million pixels" if number >= 1_000_000 else f"{number:,} pixels"
