"""`python -m lungassist ensemble`: put models of the shelf together, so that they are asked as one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lungassist.classes import COVID, VIRAL_PNEUMONIA
from lungassist.cli.parser import NOTICE
from lungassist.cli.tables import new_table, output_console, write_json_line
from lungassist.cli.undone import say_undone
from lungassist.errors import UsageError, WeightsError
from lungassist.evaluation.ensemble import make_ensemble, undo_ensemble
from lungassist.evaluation.ensemble_images import SeenThrough
from lungassist.models.card import Card
from lungassist.models.weights import CARD_FILE, choose_model
from lungassist.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Make it, and show it beside its members, or take it back; returns 0.

    Raises:
        UsageError, PredictionsError, WeightsError: see `make_ensemble` and `undo_ensemble`.
    """
    weights_dir = Settings.from_environment().weights_dir
    if arguments.undo:
        return say_undone(undo_ensemble(weights_dir, arguments.name), as_json=arguments.json)
    card = make_ensemble(
        weights_dir,
        arguments.members,
        name=arguments.name,
        weights=arguments.weights,
        make_default=arguments.default,
        through=_through(arguments),
    )
    first = _is_first(weights_dir, card.name)
    if arguments.json:
        write_json_line(_as_json(card, default=first))
    else:
        _write(card, [Card.read(weights_dir / member.name / CARD_FILE) for member in card.members], first=first)
    return 0


def _is_first(weights_dir: Path, name: str) -> bool:
    """Whether the shelf's default is this one now: asked for, from before, or for want of a file that names another."""
    try:
        return choose_model(weights_dir, None) == name
    except WeightsError:
        return False


def _through(arguments: argparse.Namespace) -> SeenThrough | None:
    if arguments.enhancement == "none":
        if arguments.data or arguments.metadata:
            raise UsageError("--data and --metadata go with --enhancement; without it, tables alone are needed.")
        return None
    if arguments.data is None:
        raise UsageError(
            f"--enhancement {arguments.enhancement} needs --data DIR, the folder that the members were trained on: "
            "they are asked anew about the images that it changes."
        )
    return SeenThrough(arguments.enhancement, arguments.data, arguments.metadata, Settings.from_environment())


def _as_json(card: Card, *, default: bool) -> dict[str, Any]:
    return {
        "model": card.name,
        "model_version": card.full_version,
        "members": [member.name for member in card.members],
        "weights": [member.weight for member in card.members],
        "enhancement": card.preprocessing.enhancement,
        "temperature": card.temperature,
        "made_default": default,
        "figures": card.figures,
    }


def _write(card: Card, members: list[Card], *, first: bool) -> None:
    numbers = ("Validation accuracy", "Test accuracy", "COVID as Normal", "VP as Normal", "ECE")
    table = new_table("Model", *numbers, numbers=numbers)
    for each in (card, *members):
        test = each.figures.get("test", {})
        called = test.get("called_normal", {})
        table.add_row(
            each.name,
            _shown(each.figures.get("validation", {}).get("accuracy"), ".2%"),
            _shown(test.get("accuracy"), ".2%"),
            _shown(called.get(COVID)),
            _shown(called.get(VIRAL_PNEUMONIA)),
            _shown(test.get("expected_calibration_error"), ".3f"),
        )
    names, start = ", ".join(member.name for member in card.members), " Triage starts with it." if first else ""
    console = output_console()
    console.print(table)
    console.print(
        f"{card.name} {card.full_version} asks {names} together; keep them in weights/.{start} It judges by the "
        f"{card.operating_point.words}: python -m lungassist operating-point {card.name} chooses another point.",
        soft_wrap=True,
        markup=False,
    )
    console.print(NOTICE, soft_wrap=True, markup=False)


def _shown(value: float | None, form: str = "") -> str:
    return "—" if value is None else format(value, form)
