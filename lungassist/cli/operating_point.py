"""`python -m lungassist operating-point`: show, choose, set and take back what triage judges a model's answers by."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lungassist.cli.parser import NOTICE
from lungassist.cli.tables import new_table, output_console, write_json_line
from lungassist.errors import LungAssistError, UsageError
from lungassist.evaluation.leaderboard import Value
from lungassist.evaluation.operating import SICK
from lungassist.evaluation.own_point import Effect, effect_in_words, effect_of, own_table, propose
from lungassist.evaluation.wording import with_percents
from lungassist.metrics.operating_point import Rate
from lungassist.models.card import Card
from lungassist.models.decision import Thresholds
from lungassist.models.operating_point import percent_exactly
from lungassist.models.point_keeping import reset_point, save_point, undo_point
from lungassist.models.weights import CARD_FILE, choose_model
from lungassist.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked, if anything, and show what holds now; returns 0.

    Raises:
        UsageError: there is no such model, or nothing to take back.
        WeightsError: the model is damaged, or its card cannot be written.
        PredictionsError: its table cannot set a point.
    """
    weights_dir = Settings.from_environment().weights_dir
    folder = weights_dir / choose_model(weights_dir, arguments.model)
    card, changed = _changed(folder, arguments)
    effects = _effects(folder, card)
    if arguments.json:
        write_json_line(_as_json(card, effects, changed=changed))
    else:
        _write(card, effects)
    return 0


def _changed(folder: Path, arguments: argparse.Namespace) -> tuple[Card, bool]:
    question = arguments.question
    if arguments.reset:
        return reset_point(folder, question), True
    if arguments.undo:
        if question is not None:
            raise UsageError("--undo takes the last change back, whatever it was for: leave --question out.")
        return undo_point(folder), True
    if arguments.sensitivity is None and arguments.threshold is None:
        if question is not None:
            raise UsageError(f"Say --sensitivity or --threshold for --question {question}, or --reset.")
        return Card.read(folder / CARD_FILE), False
    target, threshold = arguments.sensitivity, arguments.threshold
    proposal = propose(folder, question or SICK, target=target, threshold=threshold)
    return save_point(folder, proposal.question, proposal.point, weights_sha256=proposal.weights_sha256), True


def _effects(folder: Path, card: Card) -> tuple[Effect, Effect] | None:
    """What the rule and the highest probability do to the test images; None where the model has no table of its own."""
    try:
        table = own_table(folder)
    except LungAssistError:
        return None
    effect, otherwise = effect_of(table, card.operating_point.thresholds), effect_of(table, Thresholds())
    return (effect, otherwise) if effect and otherwise else None


def _as_json(card: Card, effects: tuple[Effect, Effect] | None, *, changed: bool) -> dict[str, Any]:
    rule = card.operating_point
    return {
        "model": card.name,
        "model_version": card.full_version,
        "operating_point": rule.words,
        "changed": changed,
        "points": {question: point.to_json() for question, point in rule.points.items()},
        "test": asdict(effects[0]) if effects else None,
        "test_by_highest_probability": asdict(effects[1]) if effects else None,
        "previous": rule.previous.words if rule.previous else None,
    }


def _write(card: Card, effects: tuple[Effect, Effect] | None) -> None:
    console, rule = output_console(), card.operating_point
    console.print(f"{card.name} {card.full_version}: {rule.words}.", soft_wrap=True, markup=False)
    if rule.points:
        numbers = ("Threshold", "Missed", "Sensitivity", "Specificity", "Ruled out")
        table = new_table("Question", *numbers, "Chosen on", "Date (UTC)", numbers=numbers)
        for question, point in rule.points.items():
            outcome = point.outcome
            rates = (outcome.sensitivity, outcome.specificity, outcome.ruled_out)
            table.add_row(
                question,
                percent_exactly(point.threshold),
                f"{outcome.missed:,}",
                *(with_percents(_value(rate)) for rate in rates),
                f"{point.images:,} {point.split} images" if point.split else "set by hand",
                point.date[:16].replace("T", " "),
            )
        console.print(table)
        images = max(point.outcome.images for point in rule.points.values())
        console.print(f"Figures of {images:,} test images, with 95 % intervals.", soft_wrap=True, markup=False)
    if effects and rule.points:
        console.print(effect_in_words(*effects), soft_wrap=True, markup=False)
    if rule.previous is not None:
        console.print(f"Before: {rule.previous.words}. --undo goes back there.", soft_wrap=True, markup=False)
    console.print(NOTICE, soft_wrap=True, markup=False)


def _value(rate: Rate) -> Value:
    return Value(rate.value, rate.bootstrap)
