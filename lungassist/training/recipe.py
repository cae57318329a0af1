"""Every setting of a training run, with its documented range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from lungassist.errors import UsageError
from lungassist.models.registry import architecture, group_names
from lungassist.preprocess import Preprocessing

_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "epochs": (1, 1000),
    "batch_size": (2, 4096),
    "learning_rate": (1e-7, 10),
    "weight_decay": (0, 1),
    "label_smoothing": (0, 0.5),
    "averaging": (0, 0.99999),
    "rotation": (0, 45),
    "shift": (0, 0.3),
    "scale": (0, 0.5),
    "exposure": (0, 0.9),
    "seed": (0, 2**31 - 1),
}
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "optimiser": ("adam", "adamw", "sgd"),
    "schedule": ("one_cycle", "constant"),
    "precision": ("float32", "bfloat16"),
}
_WORDS: Final[Mapping[type, str]] = {
    str: "a word",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list of names",
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is fitted.

    Attributes:
        architecture: a name in the registry.
        start: `scratch`, `imagenet`, or a folder with weights of the same architecture to go on from.
        groups: fine-tuning groups that train, `("all",)` for the whole network; the rest is frozen, and its
            batch norm's statistics are held.
        size, normalisation, enhancement: see `Preprocessing`.
        optimiser, learning_rate, weight_decay, schedule: the step; `one_cycle` peaks at `learning_rate`.
        epochs, batch_size, label_smoothing, precision, seed: the usual.
        averaging: decay per step of the exponential moving average of weights, which is what is kept; 0 for none.
        flip: mirror half of the images left to right, as the paper does.
        rotation: degrees either way; shift: share of the side; scale: share either way.
        exposure: strength of brightness, contrast and gamma changes.
        degrade: blur, noise, coarse resolution, burned-in markers and occlusion, each on a part of the images.
    """

    architecture: str = "resnet50"
    start: str = "imagenet"
    groups: tuple[str, ...] = ("all",)
    size: int = 224
    normalisation: str = "radiograph"
    enhancement: str = "none"
    optimiser: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    schedule: str = "one_cycle"
    epochs: int = 30
    batch_size: int = 64
    label_smoothing: float = 0.0
    averaging: float = 0.998
    precision: str = "float32"
    seed: int = 1
    flip: bool = True
    rotation: float = 10.0
    shift: float = 0.06
    scale: float = 0.12
    exposure: float = 0.3
    degrade: bool = True

    def __post_init__(self) -> None:
        self._check_kinds()
        group_names(architecture(self.architecture), self.groups)
        Preprocessing.named(self.normalisation, size=self.size, enhancement=self.enhancement)
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"{name} must be between {low:g} and {high:g}; {getattr(self, name)} was given.")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}.")

    def _check_kinds(self) -> None:
        for setting in fields(self):
            value, kind = getattr(self, setting.name), type(setting.default)
            fits = isinstance(value, (int, float) if kind is float else kind)
            if not fits or isinstance(value, bool) != (kind is bool):
                raise UsageError(f"{setting.name} must be {_WORDS[kind]}, not {value!r}.")

    @property
    def preprocessing(self) -> Preprocessing:
        """What the images go through."""
        return Preprocessing.named(self.normalisation, size=self.size, enhancement=self.enhancement)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back."""
        return {**asdict(self), "groups": list(self.groups)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recipe:
        """Read a recipe.

        Raises:
            UsageError: an unknown key, or a value of another kind or out of its range.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise UsageError(f"A recipe has no setting {unknown[0]!r}. It has: {', '.join(sorted(known))}.")
        groups = values.get("groups", ("all",))
        return cls(**{**values, "groups": tuple(groups) if isinstance(groups, list) else groups})
