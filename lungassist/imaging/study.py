"""One study of a batch, before anything of it is read."""

from collections.abc import Callable
from dataclasses import dataclass, field

from lungassist.errors import StudyError


@dataclass(frozen=True, slots=True)
class Study:
    """A name and a way to get its bytes; or a name and the reason why there are none.

    A batch of thousands is a stream of these: no bytes are held until `read_bytes`, and none after it. What fails as
    a whole (a damaged ZIP, a folder that may not be opened) is one study with an `error`, so that every input has a
    row in the result and the rest of the batch goes on.

    Attributes:
        name: what a result calls it: `scan.png`, `folder/scan.png`, `archive.zip/folder/scan.png`. Not unique.
        source: returns the bytes or raises a StudyError.
        error: known before reading; `read_bytes` raises it.
    """

    name: str
    source: Callable[[], bytes] = field(repr=False, compare=False)
    error: StudyError | None = None

    @classmethod
    def failing(cls, name: str, error: StudyError) -> "Study":
        """Return a study that stands for something that cannot be read."""
        return cls(name=name, source=bytes, error=error)

    def read_bytes(self) -> bytes:
        """Return the file's bytes, read anew at each call.

        Raises:
            StudyError: `error`, or what reading brings: MissingFileError, ImageTooLargeError, ArchiveError,
                DamagedImageError.
        """
        if self.error is not None:
            raise self.error
        return self.source()
