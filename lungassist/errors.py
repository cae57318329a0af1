"""Everything LungAssist raises on purpose, named for the cause.

A message says what was expected, what came, and what to do next. `code` is the same word for the same cause on
the page, in JSON and in logs, and does not change between versions.
"""

from typing import ClassVar


class LungAssistError(Exception):
    """Base of all errors whose message may be shown to a user as it is."""

    code: ClassVar[str] = "error"


class UsageError(LungAssistError):
    """A command or function was asked for something that does not exist (a model, a method, a device)."""

    code = "usage"


class StudyError(LungAssistError):
    """A study cannot be used; the rest of a batch can."""

    code = "study"


class MissingFileError(StudyError):
    """The path does not exist or may not be read."""

    code = "missing_file"


class EmptyFileError(StudyError):
    """The file has no bytes."""

    code = "empty_file"


class UnsupportedFormatError(StudyError):
    """The bytes are of no format that LungAssist reads (text, HTML, PDF, video)."""

    code = "unsupported_format"


class DamagedImageError(StudyError):
    """The format is known, but the bytes are truncated or do not decode."""

    code = "damaged_image"


class ImageTooLargeError(StudyError):
    """The declared pixels, bytes or members are beyond what LungAssist opens (image and archive bombs)."""

    code = "too_large"


class NoPixelsError(StudyError):
    """A DICOM object without pixel data, or pixels that hold no finite number."""

    code = "no_pixels"


class NotARadiographError(StudyError):
    """The file says itself that it is something else: a CT or MR slice, an ultrasound, a report."""

    code = "not_a_radiograph"


class ArchiveError(StudyError):
    """A ZIP that is damaged, encrypted, or whose members lead out of it."""

    code = "archive"


class WeightsError(LungAssistError):
    """A model's folder cannot be used: missing, damaged, or its card does not match."""

    code = "weights"


class DatasetError(LungAssistError):
    """A training folder cannot be used: empty, one class only, too few images."""

    code = "dataset"


class CacheError(LungAssistError):
    """Prepared images cannot be kept on disk: no room, no permission, or the cache is damaged or in use."""

    code = "cache"


class StoppedError(LungAssistError):
    """The user asked for what was going on to stop; what was done until then is kept."""

    code = "stopped"


class TrainingError(LungAssistError):
    """A training run ended without a result: loss not finite, memory or disk exhausted."""

    code = "training"


class StoreError(LungAssistError):
    """The database cannot be used: locked, read-only, damaged, unreachable, or of a newer LungAssist."""

    code = "store"


class JobError(LungAssistError):
    """A job cannot be had as asked: unknown, in another state, or its folder is in use."""

    code = "job"


class PredictionsError(LungAssistError):
    """A table of predictions cannot be used, or tables cannot be compared as asked."""

    code = "predictions"
