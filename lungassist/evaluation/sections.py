"""The tables of a comparison, in words and figures ready to show: one source for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lungassist.classes import COVID, LUNG_OPACITY, VIRAL_PNEUMONIA, spoken
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.comparison_json import operating_points
from lungassist.evaluation.lung_summary import field_words
from lungassist.evaluation.operating import QUESTIONS, OperatingPoint
from lungassist.evaluation.published_audit import audit_published
from lungassist.evaluation.slices import SMALLEST
from lungassist.evaluation.wording import (
    DASH,
    in_brackets,
    number,
    p_value,
    percent,
    percent_interval,
    with_numbers,
    with_percents,
)
from lungassist.metrics.operating_point import Rate

_COUNTED = (COVID, VIRAL_PNEUMONIA, LUNG_OPACITY)


@dataclass(frozen=True, slots=True)
class Section:
    """A table with what must be said about it.

    Attributes:
        title: of the section.
        columns, rows: of the table; texts, in order. No two columns share a name: spreadsheets and pages need that.
        numbers: columns that are set flush right.
        notes: sentences below it.
        published: the rows are the paper's, not measured.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    published: bool = False

    def __post_init__(self) -> None:
        """Refuse columns of one name, of which `numbers` could not say which it means."""
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"different columns were expected, not {', '.join(self.columns)}")


def sections(comparison: Comparison, columns: Sequence[str] | None = None, target: float = 0.99) -> Iterator[Section]:
    """All tables, the leaderboard first; arguments as of `comparison_json`."""
    yield leaderboard(comparison)
    if comparison.published:
        yield published(comparison)
    for name in comparison.models:
        yield per_class(comparison, name)
    if len(comparison.models) > 1:
        yield tests(comparison)
    if comparison.questions:
        yield thresholds(comparison, target)
    for column in comparison.slice_columns if columns is None else columns:
        yield sliced(comparison, column)
    if comparison.lung_shares:
        yield lungs(comparison)


def leaderboard(comparison: Comparison) -> Section:
    """Every model; the rule's choice is named in the notes and marked."""
    counted = [label for label in _COUNTED if label in comparison.classes]
    numbers = (
        "Images",
        "Train",
        "Accuracy (95 %)",
        *(f"{spoken(label)} as Normal" for label in counted),
        "Macro F1 (95 %)",
        "AUC sick (95 %)",
        "ECE",
        "Brier",
    )
    chosen = comparison.choice
    rows = [
        (
            f"{row.model} *" if row.model == chosen.name else row.model,
            row.version,
            f"{row.images:,}",
            percent(row.train_accuracy),
            with_percents(row.accuracy),
            *(f"{row.called_normal[label].value:.0f}" if label in row.called_normal else DASH for label in counted),
            with_numbers(row.macro_f1),
            with_numbers(row.sick_roc_auc),
            number(row.expected_calibration_error.value),
            number(row.brier.value),
        )
        for row in comparison.leaderboard
    ]
    notes = tuple(text for text in (f"* The paper's rule: {chosen.reason}", chosen.note, *comparison.notes) if text)
    return Section(f"Models on {comparison.split} images", ("Model", "Version", *numbers), tuple(rows), numbers, notes)


def published(comparison: Comparison) -> Section:
    """The paper's Table 1: other images, another split, another test."""
    numbers = ("Images", "Train", "Accuracy (95 %)", *(f"{spoken(label)} as Normal" for label in _COUNTED))
    rows = [
        (
            row.model,
            f"{row.images:,}",
            percent(row.train_accuracy),
            with_percents(row.accuracy),
            *(str(row.called_normal[label]) for label in _COUNTED),
        )
        for row in comparison.published
    ]
    source = comparison.published[0].source
    notes = (
        f"Published, not measured here, and on other images: {source}, Table 1. The intervals are Wilson's, for 2,116 "
        "independent images.",
        *audit_published().findings,
    )
    return Section("Published", ("Model", *numbers), tuple(rows), numbers, notes, published=True)


def per_class(comparison: Comparison, model: str) -> Section:
    """One model's classes, as in the paper's Tables 2 to 5."""
    numbers = ("Images", "Precision (95 %)", "Recall (95 %)", "F1 (95 %)", "Specificity", "AUC", "Average precision")
    rows = [
        (
            spoken(row.label),
            f"{row.images:,}",
            *(with_percents(value) for value in (row.precision, row.recall, row.f1)),
            percent(row.specificity.value),
            number(row.roc_auc.value),
            number(row.average_precision.value),
        )
        for row in comparison.class_rows(model)
    ]
    return Section(f"{model}: classes", ("Class", *numbers), tuple(rows), numbers)


def tests(comparison: Comparison) -> Section:
    """Every pair."""
    numbers = ("Images", "Only A right", "Only B right", "Accuracy A - B (95 %)", "p", "p (Holm)")
    rows = [
        (
            pair.a,
            pair.b,
            f"{pair.images:,}",
            str(pair.only_a),
            str(pair.only_b),
            f"{100 * pair.difference:+.2f} points{in_brackets(percent_interval(pair.interval))}",
            p_value(pair.p),
            p_value(pair.adjusted_p),
        )
        for pair in comparison.tests.pairs
    ]
    notes = (
        "McNemar's exact test; the interval of the difference by a paired bootstrap over patients. Above 0.05 after "
        "Holm's correction, the difference is within chance.",
        *comparison.tests.refused,
    )
    return Section("Pairs on the same images", ("A", "B", *numbers), tuple(rows), numbers, notes)


def thresholds(comparison: Comparison, target: float) -> Section:
    """Operating points of every model."""
    points, missing = operating_points(comparison, target)
    numbers = (
        "Threshold",
        "Sensitivity (95 %)",
        "Specificity (95 %)",
        "Ruled out (95 %)",
        "Healthy of these",
        "Missed",
    )
    rows = tuple(_threshold_row(point) for point in points)
    notes = (
        f"Thresholds chosen on validation images for a sensitivity of {percent(target, 1)} there, judged on "
        f"{comparison.split} images.",
        *missing,
    )
    return Section("Operating points", ("Model", "Looked for", *numbers), rows, numbers, notes)


def _threshold_row(point: OperatingPoint) -> tuple[str, ...]:
    outcome = point.outcome
    return (
        point.model,
        QUESTIONS[point.question],
        f"{outcome.threshold:.4f}",
        *(_rate(rate) for rate in (outcome.sensitivity, outcome.specificity, outcome.ruled_out)),
        percent(outcome.ruled_out_healthy.value),
        str(outcome.missed),
    )


def _rate(rate: Rate) -> str:
    return percent(rate.value) + in_brackets(percent_interval(rate.bootstrap))


def sliced(comparison: Comparison, column: str) -> Section:
    """Accuracy by a property of the images."""
    numbers = ("Images", "Classes", "Accuracy (95 %)")
    # The metadata may have a column that is called as one of ours.
    named = f"{column} (property)" if column in ("Model", *numbers, "Remarks") else column
    rows = [
        (
            part.model,
            part.value,
            f"{part.images:,}",
            str(part.classes),
            percent(part.accuracy) + in_brackets(percent_interval(part.interval)),
            "too small to say" if part.too_small else "",
        )
        for part in comparison.slices(column)
    ]
    small = any(part.too_small for part in comparison.slices(column))
    notes = (f"Slices of fewer than {SMALLEST} images are too small to say.",) if small else ()
    return Section(f"By {column}", ("Model", named, *numbers, "Remarks"), tuple(rows), numbers, notes)


def lungs(comparison: Comparison) -> Section:
    """Evidence inside the lungs."""
    numbers = ("Images", "Evidence in the lungs (95 %)", "Lungs' share of the picture", "Ratio")
    rows = [
        (
            share.model,
            spoken(share.finding),
            f"{share.images:,}",
            percent(share.inside, 1) + in_brackets(percent_interval(share.interval)),
            percent(share.area, 1),
            number(share.ratio, 2),
            share.reading,
        )
        for share in comparison.lung_shares
    ]
    notes = (
        "Share of Grad-CAM's evidence for the finding that lies inside the lungs. A ratio of 1 is what evidence spread "
        "evenly over the picture would have.",
        *field_words(comparison.lung_shares),
    )
    columns = ("Model", "Finding", *numbers, "Evidence lies")
    return Section("Shortcut audit: evidence in the lungs", columns, tuple(rows), numbers, notes)
