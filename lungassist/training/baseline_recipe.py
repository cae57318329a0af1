"""Every setting of the logistic-regression baseline, and what a run of it is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from lungassist.errors import TrainingError, UsageError
from lungassist.training.config import FORMAT, RunConfig
from lungassist.training.recipe import Recipe, Setting

#: In a run's `config.json`, which for fine-tuning has no such key.
KIND: Final = "baseline"

_OWN: Final = (
    Setting("size", int, 64, "Images", "Side in pixels of the square whose grey values are the features.", 32, 1024),
    Setting(
        "regularisation",
        float,
        0.0003,
        "Fit",
        "Inverse strength of the pull of the coefficients towards 0 (scikit-learn's C); smaller pulls harder.",
        1e-8,
        1e4,
    ),
    Setting(
        "iterations", int, 300, "Fit", "Of the solver (L-BFGS) at most; it ends earlier once it is there.", 1, 10_000
    ),
)
_SHARED: Final = ("enhancement", "split", "split_seed", "duplicates_together", "workers")
_SETTINGS: Final[Mapping[str, Setting]] = MappingProxyType(
    {setting.name: setting for setting in (*_OWN, *(Recipe.settings()[name] for name in _SHARED))}
)


@dataclass(frozen=True, slots=True)
class BaselineRecipe:
    """How the baseline is fitted; values are checked on construction. `BaselineRecipe.settings()` describes them.

    The paper names multinomial logistic regression and its figures, no more: all of this is ours.

    Raises:
        UsageError: a value of another kind or out of its range.
    """

    size: int = 64
    regularisation: float = 0.0003
    iterations: int = 300
    enhancement: str = "none"
    split: str = "patient"
    split_seed: int = 1
    duplicates_together: bool = True
    workers: int = 4

    def __post_init__(self) -> None:
        for setting in _SETTINGS.values():
            setting.check(getattr(self, setting.name))

    @classmethod
    def settings(cls) -> Mapping[str, Setting]:
        """What can be set, by name."""
        return _SETTINGS

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> BaselineRecipe:
        """Read a recipe; what is not named keeps its default.

        Raises:
            UsageError: an unknown key, or a value of another kind or out of its range.
        """
        if unknown := sorted(set(values) - set(_SETTINGS)):
            raise UsageError(f"The baseline has no setting {unknown[0]!r}. It has: {', '.join(sorted(_SETTINGS))}.")
        return cls(**values)


@dataclass(frozen=True, slots=True)
class BaselineConfig:
    """One run of the baseline; `name`, `data`, `metadata` and `split_file` as in `RunConfig`."""

    name: str
    data: Path
    metadata: Path | None = None
    split_file: Path | None = None
    recipe: BaselineRecipe = field(default_factory=BaselineRecipe)

    def __post_init__(self) -> None:
        self.as_run_config()  # checks the name

    def as_run_config(self) -> RunConfig:
        """The fine-tuning run that sees the same images in the same splits."""
        own = self.recipe
        recipe = Recipe(size=own.size, **{name: getattr(own, name) for name in _SHARED})
        return RunConfig(self.name, self.data, self.metadata, self.split_file, "cpu", recipe)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back."""
        return {**self.as_run_config().to_json(), "kind": KIND, "recipe": self.recipe.to_json()}

    @classmethod
    def from_json(cls, values: Any) -> BaselineConfig:
        """Read what `to_json` wrote.

        Raises:
            TrainingError: it is of another version of LungAssist.
            UsageError: it is no baseline's, or a setting is unknown or out of range.
        """
        if not isinstance(values, Mapping) or values.get("format") != FORMAT:
            raise TrainingError(
                f"The run is of another version of LungAssist (expected format {FORMAT}). Start it again."
            )
        if values.get("kind") != KIND:
            raise UsageError("The run is none of the baseline. Go on with it by python -m train.finetune --resume RUN.")
        common = {key: value for key, value in values.items() if key not in ("kind", "recipe")}
        shell = RunConfig.from_json({**common, "recipe": {}})
        recipe = BaselineRecipe.from_json(values.get("recipe", {}))
        return cls(shell.name, shell.data, shell.metadata, shell.split_file, recipe)
