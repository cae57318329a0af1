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

import numpy as np
from numpy.typing import NDArray

from lungassist.models.decision import DECIMALS
from lungassist.preprocess import Preprocessing

if TYPE_CHECKING:
    from lungassist.models.card import Card

#: What the card of an ensemble has for an architecture.
ENSEMBLE: Final = "ensemble"

#: A single network is no ensemble.
FEWEST: Final = 2

#: Of the sum of the weights; with less a member is asked in vain.
SMALLEST_SHARE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Member:
    """One model of an ensemble.

    Attributes:
        name, version: what it was called then.
        architecture, weights_sha256, preprocessing, temperature, flip_test: see `Card`; its answers follow from them.
        weight: how much its answer counts beside the others', above 0.
    """

    name: str
    version: str
    architecture: str
    weights_sha256: str
    preprocessing: Preprocessing
    temperature: float
    flip_test: bool
    weight: float = 1.0

    @classmethod
    def of(cls, card: Card, weight: float = 1.0) -> Member:
        """A model as it is now."""
        return cls(
            card.name,
            card.version,
            card.architecture,
            card.weights_sha256,
            card.preprocessing,
            card.temperature,
            card.flip_test,
            weight,
        )

    def is_meant_by(self, other: Member) -> bool:
        """Whether the other answers the same, whatever the two are called and however much they count."""
        return replace(self, name=other.name, version=other.version, weight=other.weight) == other

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Member:
        """Read what a card holds. Raises KeyError, TypeError, ValueError or UsageError when it is something else."""
        given = dict(values)
        name, version, architecture, digest = texts = [
            given.pop(key) for key in ("name", "version", "architecture", "weights_sha256")
        ]
        preprocessing = Preprocessing.from_json(given.pop("preprocessing"))
        temperature, flip_test = float(given.pop("temperature")), given.pop("flip_test")
        weight = float(given.pop("weight"))
        if given or not all(isinstance(text, str) for text in texts) or not isinstance(flip_test, bool):
            raise TypeError(f"a member is {dict(values)!r}")
        for what, number in (("temperature", temperature), ("weight", weight)):
            if not (math.isfinite(number) and number > 0):
                raise ValueError(f"a member's {what} is {number}; it must be above 0")
        return cls(name, version, architecture, digest, preprocessing, temperature, flip_test, weight)


def can_count(weights: Sequence[float]) -> bool:
    """Whether weights can say how much each member counts: all and their sum finite, and none vanishes beside it."""
    whole = sum(weights)
    return math.isfinite(whole) and all(weight > 0 and weight / whole >= SMALLEST_SHARE for weight in weights)


def shares_of(members: Sequence[Member]) -> list[float]:
    """How much each member counts; together 1."""
    whole = sum(member.weight for member in members)
    return [member.weight / whole for member in members]


def pooled(probabilities: NDArray[np.float64], shares: Sequence[float]) -> NDArray[np.float64]:
    """An ensemble's logits: the weighted mean of the logarithms of its members' calibrated probabilities.

    The logarithmic opinion pool (Genest and Zidek, "Combining Probability Distributions: A Critique and an Annotated
    Bibliography", Statistical Science 1, 1986): what all members think possible is probable. In the mean of the
    probabilities themselves one member that is sure would be enough to pass a low threshold. Probabilities count as a
    table has them written, so that an ensemble's table follows from its members'.

    Args:
        probabilities: `(M, N, K)`, rows sum to 1.
        shares: of the members, `M`; together 1.

    Returns:
        `(N, K)`, for a softmax.
    """
    written = np.maximum(np.round(probabilities, DECIMALS), 10.0**-DECIMALS)
    return np.asarray(np.tensordot(np.asarray(shares), np.log(written), axes=1), np.float64)


def digest_of(members: Sequence[Member], enhancement: str = "none") -> str:
    """SHA-256 of all that an ensemble's answers depend on: it stands on its card in the place of the weights' own.

    What an enhancement does, and what it was taught, belongs to the version of LungAssist.

    Args:
        members: the ensemble's.
        enhancement: that images go through before each member adds its own.
    """
    parts: Any = [{k: v for k, v in asdict(member).items() if k not in ("name", "version")} for member in members]
    if enhancement != "none":
        parts = {"members": parts, "enhancement": enhancement}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def check_members(architecture: str, members: Sequence[Member], weights_sha256: str, enhancement: str) -> None:
    """Raise ValueError where a card is half an ensemble's, or its members are not those of its hash."""
    if (architecture == ENSEMBLE) != bool(members):
        raise ValueError(f"only an ensemble has members; this is {architecture!r} with {len(members)}")
    if not members:
        return
    if len(members) < FEWEST:
        raise ValueError(f"an ensemble needs at least {FEWEST} members; it has {len(members)}")
    if not can_count([member.weight for member in members]):
        weights = ", ".join(f"{member.weight:g}" for member in members)
        raise ValueError(f"the weights of its members are {weights}; each must be a part of their sum")
    if len({member.preprocessing.size for member in members}) > 1:
        raise ValueError("the members of an ensemble take images of one size")
    if digest_of(members, enhancement) != weights_sha256:
        raise ValueError("the hash on the card is not that of its members")
