"""What an ensemble is made of: other models, each as it was when they were put together.

An ensemble has no weights of its own. It names its members by all that their answers depend on, so that one which was
trained anew under the same name is told from the one that is meant.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from lungassist.preprocess import Preprocessing

if TYPE_CHECKING:
    from lungassist.models.card import Card

#: What the card of an ensemble has for an architecture.
ENSEMBLE: Final = "ensemble"

#: A single network is no ensemble.
FEWEST: Final = 2


@dataclass(frozen=True, slots=True)
class Member:
    """One model of an ensemble.

    Attributes:
        name, version: what it was called then.
        architecture, weights_sha256, preprocessing, temperature, flip_test: see `Card`; its answers follow from them.
    """

    name: str
    version: str
    architecture: str
    weights_sha256: str
    preprocessing: Preprocessing
    temperature: float
    flip_test: bool

    @classmethod
    def of(cls, card: Card) -> Member:
        """A model as it is now."""
        return cls(
            card.name,
            card.version,
            card.architecture,
            card.weights_sha256,
            card.preprocessing,
            card.temperature,
            card.flip_test,
        )

    def is_meant_by(self, other: Member) -> bool:
        """Whether the other answers the same, whatever the two are called."""
        return replace(self, name=other.name, version=other.version) == other

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Member:
        """Read what a card holds. Raises KeyError, TypeError, ValueError or UsageError when it is something else."""
        given = dict(values)
        name, version, architecture, digest = texts = [
            given.pop(key) for key in ("name", "version", "architecture", "weights_sha256")
        ]
        preprocessing = Preprocessing.from_json(given.pop("preprocessing"))
        temperature, flip_test = float(given.pop("temperature")), given.pop("flip_test")
        if given or not all(isinstance(text, str) for text in texts) or not isinstance(flip_test, bool):
            raise TypeError(f"a member is {dict(values)!r}")
        if not (math.isfinite(temperature) and temperature > 0):
            raise ValueError(f"a member's temperature is {temperature}; it must be above 0")
        return cls(name, version, architecture, digest, preprocessing, temperature, flip_test)


def digest_of(members: Sequence[Member]) -> str:
    """SHA-256 of all that an ensemble's answers depend on: it stands on its card in the place of the weights' own."""
    parts = [{k: v for k, v in asdict(member).items() if k not in ("name", "version")} for member in members]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def check_members(architecture: str, members: Sequence[Member], weights_sha256: str) -> None:
    """Raise ValueError where a card is half an ensemble's, or its members are not those of its hash."""
    if (architecture == ENSEMBLE) != bool(members):
        raise ValueError(f"only an ensemble has members; this is {architecture!r} with {len(members)}")
    if not members:
        return
    if len(members) < FEWEST:
        raise ValueError(f"an ensemble needs at least {FEWEST} members; it has {len(members)}")
    if len({member.preprocessing.size for member in members}) > 1:
        raise ValueError("the members of an ensemble take images of one size")
    if digest_of(members) != weights_sha256:
        raise ValueError("the hash on the card is not that of its members")
