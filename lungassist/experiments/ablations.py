"""Models that were trained alike but for one setting: what the setting did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.paired import HeadToHead

#: Settings that say how a run was carried out and not what was learnt.
_NO_MATTER: Final = frozenset({"name", "workers", "device", "threads"})


@dataclass(frozen=True, slots=True)
class Ablation:
    """Two models whose recipes differ in one setting.

    Attributes:
        setting: the one, as the recipe has it.
        value_a, value_b: of models a and b; None where one recipe does not have it.
        pair: the models on the same images.
    """

    setting: str
    value_a: object
    value_b: object
    pair: HeadToHead


def ablations(comparison: Comparison) -> tuple[Ablation, ...]:
    """Every such pair of models that saw the same images, by setting."""
    recipes = {
        table.name: table.card.hyper_parameters
        for table in comparison.tables
        if table.card is not None and table.card.hyper_parameters
    }
    found = []
    for a, b in combinations(recipes, 2):
        different = _different(recipes[a], recipes[b])
        if len(different) == 1 and comparison.images_of(a) is comparison.images_of(b):
            (setting,) = different
            pair = comparison.head_to_head(a, b)
            found.append(Ablation(setting, recipes[a].get(setting), recipes[b].get(setting), pair))
    return tuple(sorted(found, key=lambda each: each.setting))


def _different(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    names = (set(one) | set(other)) - _NO_MATTER
    return sorted(name for name in names if one.get(name) != other.get(name))
