"""What a run is asked to do: the recipe, and where its data lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lungassist.errors import TrainingError, UsageError
from lungassist.training.recipe import Recipe

#: Of the run directory; rises when a run begun before could not be gone on with.
FORMAT: Final = 2

_DEVICES: Final = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True)
class RunConfig:
    """One run.

    Attributes:
        name: for the model's card.
        data: folder of the images.
        metadata: CSV with patient ids, sources and more, or None.
        split_file: CSV with `file` and `split` that is used instead of a new split, or None.
        device: `auto`, `cpu` or `cuda`.
        recipe: the settings.
    """

    name: str
    data: Path
    metadata: Path | None = None
    split_file: Path | None = None
    device: str = "auto"
    recipe: Recipe = field(default_factory=Recipe)

    def __post_init__(self) -> None:
        if (
            not self.name
            or self.name != self.name.strip()
            or set(self.name) & set("/\\\0")
            or self.name.startswith(".")
        ):
            raise UsageError(f"{self.name!r} cannot name a model: it becomes a folder. Use letters, digits, - and _.")
        if self.device not in _DEVICES:
            raise UsageError(f"The device must be one of {', '.join(_DEVICES)}, not {self.device!r}.")

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back. Paths are absolute, so that a run can be gone on with anywhere."""
        return {
            "format": FORMAT,
            "name": self.name,
            "data": str(self.data.absolute()),
            "metadata": _text(self.metadata),
            "split_file": _text(self.split_file),
            "device": self.device,
            "recipe": self.recipe.to_json(),
        }

    @classmethod
    def from_json(cls, values: Any) -> RunConfig:
        """Read what `to_json` wrote.

        Raises:
            TrainingError: it is of another version of LungAssist, or no configuration at all.
            UsageError: a setting is unknown or out of range.
        """
        if not isinstance(values, Mapping) or values.get("format") != FORMAT:
            found = values.get("format", "none") if isinstance(values, Mapping) else "none"
            raise TrainingError(
                f"The run is of another version of LungAssist (format {found}, expected {FORMAT}). "
                "Go on with it there, or start it again here."
            )
        known = {"format", "name", "data", "metadata", "split_file", "device", "recipe"}
        if unknown := sorted(set(values) - known):
            raise UsageError(f"A run has no setting {unknown[0]!r}. It has: {', '.join(sorted(known))}.")
        try:
            name, data = str(values["name"]), Path(values["data"])
            metadata, split_file = _path(values.get("metadata")), _path(values.get("split_file"))
            recipe = Recipe.from_json(values["recipe"])
        except (KeyError, TypeError) as error:
            raise UsageError(
                f"The run's configuration is not complete: {error} is missing or of another kind."
            ) from error
        return cls(name, data, metadata, split_file, str(values.get("device", "auto")), recipe)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
