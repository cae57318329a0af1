"""The card of a trained model: what it is, what it was trained on, how well it did, and where it is weak."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lungassist.errors import LungAssistError, WeightsError
from lungassist.files import write_json
from lungassist.models.members import Member, check_members
from lungassist.models.operating_point import HIGHEST_PROBABILITY, OperatingRule
from lungassist.preprocess import Preprocessing

_KINDS: Final[Mapping[type, tuple[str, ...]]] = {
    str: ("name", "version", "architecture", "weights_sha256", "predictions_sha256"),
    dict: ("preprocessing", "operating_point", "data", "split", "hyper_parameters", "libraries", "figures", "training"),
    list: ("classes", "limitations", "members"),
    bool: ("flip_test",),
}
_WORDS: Final[Mapping[type, str]] = {str: "text", dict: "object", list: "list", bool: "truth value"}


@dataclass(frozen=True, slots=True)
class Card:
    """One model's card, as `weights/NAME/card.json` holds it.

    Attributes:
        name: the folder's name and what a user asks for.
        version: of this model; rises with every retraining that is released.
        architecture: a name in the registry, or `members.ENSEMBLE`.
        classes: in the order of the network's outputs.
        preprocessing: what its images go through.
        temperature: what the logits are divided by before the softmax (Guo et al. 2017), fitted on validation.
        operating_point: how a finding is made from probabilities.
        data: description, counts and content hash of what it was trained on.
        split: method, seed and hash of the split.
        hyper_parameters: the recipe.
        libraries: versions that trained it.
        figures: measured, by split; computed from the predictions table beside the card.
        limitations: sentences on what is weak.
        weights_sha256: of `model.safetensors`; of an ensemble, `members.digest_of` its members.
        predictions_sha256: of `predictions.csv`, '' where there is none.
        training: epochs, which of them was kept and why, time and device.
        flip_test: whether the answer is the mean over an image and its mirror image, see `lungassist.flip_test`.
        members: of an ensemble, whose answer is the mean of theirs; none for a single network.
    """

    name: str
    version: str
    architecture: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    temperature: float
    operating_point: OperatingRule
    data: Mapping[str, Any]
    split: Mapping[str, Any]
    hyper_parameters: Mapping[str, Any]
    libraries: Mapping[str, str]
    figures: Mapping[str, Any]
    limitations: tuple[str, ...]
    weights_sha256: str
    predictions_sha256: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    flip_test: bool = False
    members: tuple[Member, ...] = ()

    @property
    def full_version(self) -> str:
        """Version and the first eight digits of the weights' hash: what a reader notes down.

        Models of the same weights share it, whatever they are called and however they ask: another temperature,
        another enhancement, image and mirror image. `Member.of` holds all that an answer depends on.
        """
        return f"{self.version}+{self.weights_sha256[:8]}"

    def write(self, path: Path) -> None:
        """Write as JSON, atomically."""
        parts = {"preprocessing": self.preprocessing.to_json(), "operating_point": self.operating_point.to_json()}
        write_json(path, {**asdict(self), **parts})

    @classmethod
    def read(cls, path: Path, *, forget_point: bool = False) -> Card:
        """Read a card.

        Args:
            path: of `card.json`.
            forget_point: take the highest probability, whatever the card says; a damaged operating point is mended so.

        Raises:
            WeightsError: missing, no JSON, a field that is missing, unknown or of the wrong kind, or an operating
                point that is damaged or of another model.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise WeightsError(f"{path.parent} has no card.json, so nothing says what its weights are.") from error
        except (OSError, ValueError) as error:
            raise WeightsError(f"{path} cannot be read as JSON ({error}). Restore it from where it came.") from error
        if forget_point and isinstance(values, dict):
            values["operating_point"] = HIGHEST_PROBABILITY.to_json()
        return cls._checked(values, path)

    @classmethod
    def _checked(cls, values: Any, path: Path) -> Card:
        try:
            _check_kinds(values)
            operating_point = values["operating_point"]
            card = cls(
                **{
                    **values,
                    "classes": tuple(map(str, values["classes"])),
                    "preprocessing": Preprocessing.from_json(values["preprocessing"]),
                    "temperature": float(values["temperature"]),
                    "operating_point": HIGHEST_PROBABILITY,
                    "limitations": tuple(map(str, values["limitations"])),
                    "members": tuple(map(Member.from_json, values.get("members", ()))),
                }
            )
            check_members(card.architecture, card.members, card.weights_sha256, card.preprocessing.enhancement)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError, LungAssistError) as error:
            raise WeightsError(f"{path} is no card of this version of LungAssist: {error}.") from error
        different = len(set(card.classes))
        if different < 2 or different < len(card.classes):
            raise WeightsError(f"{path} needs at least two classes, each named once; it has {card.classes}.")
        if not (math.isfinite(card.temperature) and card.temperature > 0):
            raise WeightsError(f"{path} needs a temperature above 0; it has {card.temperature}.")
        return replace(card, operating_point=_rule_of(card, operating_point, path))


def _rule_of(card: Card, values: Mapping[str, Any], path: Path) -> OperatingRule:
    try:
        rule = OperatingRule.from_json(values)
        for one in (rule, *([rule.previous] if rule.previous else [])):
            one.check(card.classes, card.weights_sha256, card.temperature)
    except ValueError as error:
        name = path.parent.name
        raise WeightsError(
            f"The operating point in {path} cannot be used: {error}. Go back to the highest probability with "
            f"python -m lungassist operating-point {name} --reset, then choose another."
        ) from error
    return rule


def _check_kinds(values: Mapping[str, Any]) -> None:
    for kind, names in _KINDS.items():
        for name in names:
            if name in values and not isinstance(values[name], kind):
                raise TypeError(f"{name} is {values[name]!r}, which is no {_WORDS[kind]}")
