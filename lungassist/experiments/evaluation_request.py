"""What an evaluation is asked to do, as its folder records it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from lungassist.errors import UsageError
from lungassist.training.run import RunDirectory

#: The kind of its job.
EVALUATION_JOB: Final = "evaluate"

#: In its folder: what came of each model.
RESULT_FILE: Final = "result.json"


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """Models of the shelf to be asked about every image of a folder.

    Attributes:
        name: of the evaluation, and so of its folder.
        models: folders of `weights/`.
        data: folder of the images.
        metadata: CSV with `file` and properties of the images.
        split_file: CSV with `file` and `split`; None: the models' own, see `splits_for`.
        lungs: also measure how much of the evidence lies inside the lungs.
        device: `cpu`, `cuda` or `auto`.
    """

    name: str
    models: tuple[str, ...]
    data: Path
    metadata: Path | None = None
    split_file: Path | None = None
    lungs: bool = False
    device: str = "auto"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        paths = {key: None if (path := getattr(self, key)) is None else str(path) for key in _OPTIONAL}
        return {
            **asdict(self),
            "models": list(self.models),
            "data": str(self.data),
            **paths,
            "kind": EVALUATION_JOB,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EvaluationRequest:
        """The reverse of `to_json`.

        Raises:
            UsageError: it is of something else, or not complete.
        """
        try:
            if values["kind"] != EVALUATION_JOB:
                raise UsageError(f"Expected an evaluation; it is a {values['kind']}.")
            metadata, split_file = (None if values[key] is None else Path(values[key]) for key in _OPTIONAL)
            return cls(
                name=str(values["name"]),
                models=tuple(map(str, values["models"])),
                data=Path(values["data"]),
                metadata=metadata,
                split_file=split_file,
                lungs=bool(values["lungs"]),
                device=str(values["device"]),
            )
        except (KeyError, TypeError) as error:
            raise UsageError(f"The request of an evaluation is not complete: {error}. Launch it anew.") from error


_OPTIONAL: Final = ("metadata", "split_file")


def request_of(folder: Path) -> EvaluationRequest:
    """What the evaluation in a folder was asked to do.

    Raises:
        UsageError: there is none.
    """
    path = RunDirectory(folder).config_file
    try:
        return EvaluationRequest.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"{folder} holds no evaluation: {path.name} cannot be read. Launch one anew.") from error
