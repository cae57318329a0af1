"""Heat maps as files: a study's radiograph with the evidence for one class painted over it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lungassist.errors import UsageError
from lungassist.files import write_atomically
from lungassist.takeaway import overlay_name, overlay_png
from lungassist.triage import Triaged

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class HeatMapFolder:
    """Where heat maps go and how they look.

    Attributes:
        folder: exists and can be written.
        classes: of the model, in the order of its maps.
        wanted: the class to explain; None for each study's finding.
        colour_map: one of `overlay.COLOUR_MAPS`.
        method: that explains, one of `explain.METHODS`.
    """

    folder: Path
    classes: tuple[str, ...]
    wanted: str | None
    colour_map: str
    method: str

    def __post_init__(self) -> None:
        if self.wanted is not None and self.wanted not in self.classes:
            raise UsageError(f"The model has no class {self.wanted!r}. It has: {', '.join(self.classes)}.")

    def write(self, study: Triaged[Picture | None]) -> Path:
        """Write a study's heat map at the radiograph's own resolution, atomically; returns where.

        Raises:
            OSError: the disk is full or the folder is gone.
        """
        if study.kept is None or study.heat_maps is None:
            raise ValueError("a heat map needs the radiograph and the evidence")
        label = self.wanted or study.finding.finding
        path = self.folder / overlay_name(study.finding, label, self.method)
        data = overlay_png(study, study.kept, label, self.method, self.colour_map)
        write_atomically(path, lambda temporary: temporary.write_bytes(data))
        return path
