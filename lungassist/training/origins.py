"""What a run began from: which weights its start and teachers had then, so that it goes on with these and no others.

Names are used again: a model that is promoted under one takes its place, and a run that is resumed must not learn its
second half from another teacher.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lungassist.errors import TrainingError, UsageError, WeightsError
from lungassist.files import sha256_of
from lungassist.models.card import Card
from lungassist.models.weights import CARD_FILE, PREVIOUS
from lungassist.settings import Settings
from lungassist.training.recipe import Recipe
from lungassist.training.starting import model_folder, start_folders

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """A model that a run began from.

    Attributes:
        name: as the recipe has it.
        version: on its card; '' of a checkpoint.
        weights_sha256: on its card; of a checkpoint, of the file.
    """

    name: str
    version: str
    weights_sha256: str

    @classmethod
    def of(cls, name: str, place: Path) -> Origin:
        """What lies at `place` now."""
        if place.is_file():
            return cls(name, "", sha256_of(place))
        card = Card.read(place / CARD_FILE)
        return cls(name, card.version, card.weights_sha256)


@dataclass(frozen=True, slots=True)
class Origins:
    """What a run began from, as `origins.json` holds it.

    Attributes:
        starts, teachers: in the recipe's order; no starts where it starts from ImageNet or scratch.
        images_seen: by split, see `starting.images_seen_before`.
        content_sha256: of the images' bytes and labels, see `PreparedImages.content_hash`; '' where unknown.
    """

    starts: tuple[Origin, ...] = ()
    teachers: tuple[Origin, ...] = ()
    images_seen: Mapping[str, int] = field(default_factory=dict)
    content_sha256: str = ""

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        teachers: Sequence[Path],
        settings: Settings,
        *,
        images_seen: Mapping[str, int],
        content_sha256: str,
    ) -> Origins:
        """What a run of `recipe` begins from now; `teachers` are the folders of its teachers."""
        starts = () if recipe.start in ("imagenet", "scratch") else start_folders(recipe, settings)
        return cls(
            tuple(Origin.of(*pair) for pair in zip(recipe.starts, starts, strict=False)),
            tuple(Origin.of(*pair) for pair in zip(recipe.teachers, teachers, strict=True)),
            dict(images_seen),
            content_sha256,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values; `read` reads them back."""
        models = {
            "starts": [asdict(each) for each in self.starts],
            "teachers": [asdict(each) for each in self.teachers],
        }
        return {**models, "images_seen": dict(self.images_seen), "content_sha256": self.content_sha256}

    @classmethod
    def read(cls, path: Path) -> Origins | None:
        """What was written at the first start; None of a run that was begun before this was.

        Raises:
            TrainingError: it cannot be read.
        """
        if not path.exists():
            return None
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            starts, teachers = (tuple(Origin(**each) for each in values[key]) for key in ("starts", "teachers"))
            seen = {str(split): int(count) for split, count in values["images_seen"].items()}
            return cls(starts, teachers, seen, str(values["content_sha256"]))
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise TrainingError(
                f"{path} cannot be read ({error}). Restore it, or start again in another run directory."
            ) from error


def check_content(recorded: Origins | None, content_sha256: str) -> None:
    """Refuse to go on with other images than a run began with, under the same names.

    Raises:
        TrainingError: the bytes or labels of the images are not what they were.
    """
    if recorded is not None and recorded.content_sha256 not in ("", content_sha256):
        raise TrainingError(
            "Images have other content than when the run began, under the same names (SHA-256 over all of them "
            f"{recorded.content_sha256[:8]}, now {content_sha256[:8]}), so what it learnt would be mixed. Restore the "
            "data, or start again in another run directory."
        )


def teacher_folders(recipe: Recipe, settings: Settings, recorded: Origins | None) -> list[Path]:
    """Where a recipe's teachers are: those of its names or, where a run goes on, those that it began with.

    Raises:
        UsageError: there is no such model.
        TrainingError: what the run began with is gone.
    """
    if recorded is None:
        return [model_folder(name, settings) for name in recipe.teachers]
    return [_found_again(origin, settings) for origin in recorded.teachers]


def _found_again(origin: Origin, settings: Settings) -> Path:
    """By its name, else among all models of the shelf and those that were replaced, as an ensemble's members are."""
    for place in _places(origin.name, settings):
        try:
            if Card.read(place / CARD_FILE, forget_point=True).weights_sha256 == origin.weights_sha256:
                log.info("the teacher %s is the model in %s", origin.name, place)
                return place
        except WeightsError:
            continue
    raise TrainingError(
        f"The run began with the teacher {origin.name} {origin.version} (weights {origin.weights_sha256[:8]}), which "
        f"is gone: another model has its name or none, and it is not among those in {settings.weights_dir} and those "
        "replaced there. Restore it, or start again in another run directory."
    )


def _places(name: str, settings: Settings) -> Iterator[Path]:
    with suppress(UsageError):  # perhaps nothing has that name any more
        yield model_folder(name, settings)
    for shelf in (settings.weights_dir, settings.weights_dir / PREVIOUS):
        yield from (card.parent for card in sorted(shelf.glob(f"*/{CARD_FILE}")))
