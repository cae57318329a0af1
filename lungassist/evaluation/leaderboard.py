"""The paper's Table 1 for any models, with what it leaves out; its own rows beside them, as what they are: printed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lungassist.evaluation.images import ImageSet
from lungassist.evaluation.published import PUBLISHED, SOURCE, SPLIT_SIZES, PublishedModel
from lungassist.evaluation.tables import Predictions
from lungassist.metrics import Figures, Interval, wilson

#: As in registry names and in models' own; the first that fits counts.
_FAMILIES: Final = (
    ("mobilenet", "MobileNet"),
    ("densenet", "DenseNet"),
    ("efficientnet", "EfficientNet"),
    ("resnet", "ResNet"),
    ("alexnet", "AlexNet"),
    ("vgg", "VGG"),
    ("logistic", "Logistic Regression"),
)


@dataclass(frozen=True, slots=True)
class Value:
    """A figure with its 95 % interval by patient; NaN where undefined."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Row:
    """One evaluated model.

    Attributes:
        model, version, family: what it is; variants of one algorithm share a family.
        images: that the figures are of.
        train_accuracy: on its training images, NaN where the table has none.
        accuracy, macro_f1, sick_roc_auc: in [0, 1].
        called_normal: class -> images of it that were taken for Normal, the paper's (fn).
        contagious_called_normal: of them, those of COVID and Viral Pneumonia; where there is neither, all of them.
        expected_calibration_error, brier: how far its probabilities are from the truth.
    """

    model: str
    version: str
    family: str
    images: int
    train_accuracy: float
    accuracy: Value
    macro_f1: Value
    sick_roc_auc: Value
    called_normal: Mapping[str, Value]
    contagious_called_normal: Value
    expected_calibration_error: Value
    brier: Value

    @property
    def gap(self) -> float:
        """Train accuracy less that of the images compared: over-fitting; NaN without training images."""
        return self.train_accuracy - self.accuracy.value


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One row of the paper's Table 1, as shares. Other images and another test: beside the measured, never among them.

    Attributes:
        accuracy: with Wilson's interval for 2,116 independent images, which the paper does not give.
    """

    model: str
    family: str
    images: int
    train_accuracy: float
    accuracy: Value
    called_normal: Mapping[str, int]
    contagious_called_normal: int
    source: str = SOURCE


def row(table: Predictions, images: ImageSet) -> Row:
    """The row of one model of an image set; `table` is all that is known of it, training images too."""
    measured = images.measured[table.name]

    def value(name: str, k: int | None = None) -> Value:
        point = getattr(measured.point, name)
        return Value(float(point if k is None else point[k]), measured.interval(name, k))

    counted = measured.point.called_normal
    return Row(
        model=table.name,
        version=table.version,
        family=family_of(table),
        images=len(images),
        train_accuracy=_accuracy(table.of_split("train")),
        accuracy=value("accuracy"),
        macro_f1=value("macro_f1"),
        sick_roc_auc=value("sick_roc_auc"),
        called_normal={
            label: value("called_normal", k) for k, label in enumerate(images.classes) if not np.isnan(counted[k])
        },
        contagious_called_normal=value("contagious_called_normal"),
        expected_calibration_error=value("expected_calibration_error"),
        brier=value("brier"),
    )


def published_rows(models: Sequence[PublishedModel] = PUBLISHED) -> tuple[PublishedRow, ...]:
    """The paper's Table 1."""
    return tuple(_published(model) for model in models)


def _published(model: PublishedModel) -> PublishedRow:
    images = SPLIT_SIZES["test"]
    low, high = wilson(round(model.test_accuracy / 100 * images), images)
    return PublishedRow(
        model=model.name,
        family=family_named(model.name),
        images=images,
        train_accuracy=round(model.train_accuracy / 100, 6),
        accuracy=Value(round(model.test_accuracy / 100, 6), Interval(float(low), float(high))),
        called_normal=model.called_normal,
        contagious_called_normal=model.contagious_called_normal,
    )


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class of one model, as in the paper's Tables 2 to 5, with intervals and what they leave out."""

    label: str
    images: int
    precision: Value
    recall: Value
    f1: Value
    specificity: Value
    roc_auc: Value
    average_precision: Value


def class_rows(images: ImageSet, model: str) -> tuple[ClassRow, ...]:
    """A row a class."""
    measured = images.measured[model]
    point: Figures = measured.point
    names = ("precision", "recall", "f1", "specificity", "roc_auc", "average_precision")
    counts = np.bincount(images.labels, minlength=len(images.classes))
    return tuple(
        ClassRow(
            label,
            int(counts[k]),
            *(Value(float(getattr(point, name)[k]), measured.interval(name, k)) for name in names),
        )
        for k, label in enumerate(images.classes)
    )


def family_of(table: Predictions) -> str:
    """The family of a model by its card's architecture, else by its name; of an ensemble its members', if one."""
    if table.card is None:
        return family_named(table.name)
    families = {family_named(member.architecture) for member in table.card.members}
    return families.pop() if len(families) == 1 else family_named(table.card.architecture)


def family_named(name: str) -> str:
    """The family that a name belongs to: ResNet34 and ResNet50 are ResNet; one that is not known is its own."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((family for part, family in _FAMILIES if part in plain), name)


def _accuracy(table: Predictions) -> float:
    return float((table.probabilities.argmax(axis=1) == table.labels).mean()) if len(table) else float("nan")
