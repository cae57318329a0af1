"""Everything that the comparison page and `python -m lungassist compare` show, computed from tables of predictions.

    comparison = Comparison.of(read_tables(paths))        # or split="validation", resamples=..., seed=...
    comparison.leaderboard, .published, .choice           # rows with intervals; the rule and its reason
    comparison.images_of(model)                           # ImageSet: labels, probabilities, findings, bootstrap
    comparison.confusion(model), .class_rows(model)
    comparison.roc(model, label), .precision_recall(model, label), .reliability(model)
    comparison.tests                                      # every pair: McNemar, Holm; and who cannot be paired
    comparison.head_to_head(a, b), .disagreements(a, b), .mistakes(model), .cell(model, label, finding)
    comparison.slice_columns, .slices(column)
    comparison.operating_point(model, question, target), .judged(model, question, threshold), .sweep(model, question)
    comparison.lung_shares                                # of tables made with --lungs
    comparison.on_common_images()                         # where models saw different ones

What is asked for is computed once and kept; a comparison is not changed, so that pages may share one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from itertools import combinations

import numpy as np
import pandas as pd

from lungassist import metrics
from lungassist.classes import CLASSES
from lungassist.errors import PredictionsError
from lungassist.evaluation import operating, paired
from lungassist.evaluation import slices as slicing
from lungassist.evaluation.images import ImageSet, image_sets
from lungassist.evaluation.leaderboard import ClassRow, PublishedRow, Row, class_rows, family_of, published_rows, row
from lungassist.evaluation.lung_summary import LungShare, lung_shares
from lungassist.evaluation.tables import Predictions, named_apart, refuse_other_classes
from lungassist.evaluation.wording import listed
from lungassist.metrics import (
    RESAMPLES,
    Candidate,
    Choice,
    Matrix,
    Outcome,
    PrecisionRecallCurve,
    Reliability,
    RocCurve,
    Roles,
    Sweep,
)

#: In place of a class: the question whether an image is anything but Normal.
SICK = operating.SICK


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models compared on the images of one split.

    Attributes:
        tables: one a model, all splits, each with a name of its own.
        split: whose images are compared.
        resamples, seed: of the bootstrap.
    """

    tables: tuple[Predictions, ...] = field(repr=False)
    split: str = "test"
    resamples: int = RESAMPLES
    seed: int = 1

    @classmethod
    def of(
        cls, tables: Sequence[Predictions], *, split: str = "test", resamples: int = RESAMPLES, seed: int = 1
    ) -> Comparison:
        """Check that the tables can stand side by side.

        Raises:
            PredictionsError: there is none, their classes differ, or one has no image of the split.
        """
        if not tables:
            raise PredictionsError("No table of predictions was given. Expected one a model.")
        for table in tables:
            refuse_other_classes(table, tables[0].classes, tables[0].name)
            if split not in table.splits:
                raise PredictionsError(
                    f"{table.name} has no {split} images; it has {', '.join(table.splits) or 'none at all'}. Choose "
                    "another split, or evaluate it on a folder with such."
                )
        return cls(named_apart(tables), split, resamples, seed)

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of every matrix."""
        return self.tables[0].classes

    @property
    def models(self) -> tuple[str, ...]:
        """In the order of the tables."""
        return tuple(table.name for table in self.tables)

    @property
    def notes(self) -> tuple[str, ...]:
        """In sentences: what was taken for granted when the tables were read, and whether the images are the same."""
        told = [f"{table.name}: {note}" for table in self.tables for note in table.notes]
        told += [
            f"All {len(images):,} images of {listed(images.models, 4)} are of one patient, by patient_id "
            f"{images.table['patient_id'].iat[0]!r}: intervals are by patient, so there are none."
            for images in self.sets
            if len(images) > 1 and images.bootstrap.of_one_patient
        ]
        if len(self.sets) > 1:
            told.append(
                "The models were evaluated on different images: their figures are no ranking, and the rule is applied "
                f"only to those of the largest group ({listed(self._largest.models, 4)})."
            )
        return tuple(told)

    @cached_property
    def sets(self) -> tuple[ImageSet, ...]:
        """Models that saw the same images of the split, together."""
        return image_sets([table.of_split(self.split) for table in self.tables], self.resamples, self.seed)

    def images_of(self, model: str) -> ImageSet:
        """The images that a model's figures are of.

        Raises:
            PredictionsError: there is no such model here.
        """
        found = next((images for images in self.sets if model in images.models), None)
        if found is None:
            raise PredictionsError(f"There is no model {model!r} in the comparison. There: {', '.join(self.models)}.")
        return found

    def table_of(self, model: str) -> Predictions:
        """A model's whole table.

        Raises:
            PredictionsError: there is no such model here.
        """
        self.images_of(model)
        return self.tables[self.models.index(model)]

    def on_common_images(self) -> Comparison:
        """The same models on those images of the split that all of them saw, under the same label.

        Raises:
            PredictionsError: there are none.
        """
        for one, other in combinations(self.tables, 2):
            if one.pictures.contradict(other.pictures):
                raise PredictionsError(
                    f"{one.name} and {other.name} are of different images that have the same names: no image is "
                    "common to all. Compare tables of one folder."
                )
        keys = [set(zip(t.table["file"], t.table["label"], strict=True)) for t in self._of_split()]
        common = reduce(set.intersection, keys)
        if not common:
            raise PredictionsError(f"No {self.split} image is in all of {listed(self.models)}.")
        return replace(self, tables=tuple(self._kept(table, common) for table in self.tables))

    @cached_property
    def leaderboard(self) -> tuple[Row, ...]:
        """A row a model, in the order of the tables."""
        return tuple(row(table, self.images_of(table.name)) for table in self.tables)

    @cached_property
    def published(self) -> tuple[PublishedRow, ...]:
        """The paper's rows; none where the classes are not the paper's."""
        return published_rows() if self.classes == CLASSES else ()

    @cached_property
    def choice(self) -> Choice:
        """The paper's rule applied to the models that saw the same images, the largest such group."""
        images = self._largest
        roles = Roles.of(self.classes)
        return metrics.choose(
            [
                Candidate.of(name, family_of(self.table_of(name)), images.labels, probabilities, roles)
                for name, probabilities in images.probabilities.items()
            ]
        )

    @property
    def counted(self) -> str:
        """What the images are whose being called Normal the rule counts: contagious, or sick where none is known so."""
        return Roles.of(self.classes).counted

    def confusion(self, model: str) -> Matrix:
        """Images `(K, K)` by true class (rows) and finding (columns)."""
        images = self.images_of(model)
        return metrics.confusion_matrix(images.labels, images.findings[model], len(self.classes))

    def class_rows(self, model: str) -> tuple[ClassRow, ...]:
        """Precision, recall, F1 and more, a class."""
        return class_rows(self.images_of(model), model)

    def roc(self, model: str, label: str) -> RocCurve:
        """One class against the rest, or `SICK` against Normal."""
        p, positive = self._question(model, label)
        return metrics.roc_curve(positive, p)

    def precision_recall(self, model: str, label: str) -> PrecisionRecallCurve:
        """One class against the rest, or `SICK` against Normal."""
        p, positive = self._question(model, label)
        return metrics.precision_recall_curve(positive, p)

    def reliability(self, model: str, bins: int = 15) -> Reliability:
        """Confidence against accuracy, by bins of equal width."""
        images = self.images_of(model)
        return metrics.reliability(images.probabilities[model], images.labels, bins)

    @cached_property
    def tests(self) -> paired.PairedTests:
        """McNemar's exact test of every pair on the same images, corrected by Holm."""
        return paired.paired_tests(self.models, self.sets)

    def head_to_head(self, a: str, b: str) -> paired.HeadToHead:
        """Two models on the same images; its p is corrected for all pairs of the comparison.

        Raises:
            PredictionsError: they saw different images; says how many are in both.
        """
        self._together(a, b)
        found = next((pair for pair in self.tests.pairs if (pair.a, pair.b) == (a, b)), None)
        if found is not None:
            return found
        swapped = paired.head_to_head(self.images_of(a), a, b)
        place = self.models.index(a), self.models.index(b)
        return replace(swapped, adjusted_p=float(self.tests.adjusted[place]))

    def disagreements(self, a: str, b: str) -> pd.DataFrame:
        """Images on which two models differ, worst mistakes first; see `paired.disagreements`.

        Raises:
            PredictionsError: they saw different images.
        """
        return paired.disagreements(self._together(a, b), a, b)

    def mistakes(self, model: str) -> pd.DataFrame:
        """Images that a model gets wrong, the most confident first."""
        return paired.mistakes(self.images_of(model), model)

    def cell(self, model: str, label: str, finding: str) -> pd.DataFrame:
        """The images of one cell of a model's confusion matrix."""
        return paired.cell(self.images_of(model), model, label, finding)

    @cached_property
    def slice_columns(self) -> tuple[str, ...]:
        """Properties by which any of the models' images can be sliced."""
        return tuple(dict.fromkeys(name for images in self.sets for name in slicing.slice_columns(images)))

    def slices(self, column: str) -> tuple[slicing.Slice, ...]:
        """Accuracy of every model by a property of the images; computed once.

        Raises:
            PredictionsError: no table has the column.
        """
        if column not in self._sliced:
            self._sliced[column] = self._slices(column)
        return self._sliced[column]

    @cached_property
    def _sliced(self) -> dict[str, tuple[slicing.Slice, ...]]:
        return {}

    def _slices(self, column: str) -> tuple[slicing.Slice, ...]:
        having = [images for images in self.sets if column in images.table]
        if not having:
            raise PredictionsError(
                f"No table has a column {column!r} to slice by. There: {', '.join(self.slice_columns) or 'none'}."
            )
        return tuple(part for images in having for part in slicing.slices(images, column))

    @property
    def questions(self) -> tuple[str, ...]:
        """Questions of `operating.QUESTIONS` that the classes allow."""
        return operating.questions_for(self.classes)

    def operating_point(self, model: str, question: str = SICK, target: float = 0.99) -> operating.OperatingPoint:
        """A threshold chosen on the model's validation images for a target sensitivity, judged on these.

        Raises:
            PredictionsError: the table has no such validation images.
            UsageError: the target is out of range.
        """
        return operating.operating_point_of(self.table_of(model), self.images_of(model), question, target)

    def judged(self, model: str, question: str, threshold: float) -> Outcome:
        """What any threshold does on these images, with intervals."""
        return operating.judged(self.images_of(model), model, question, threshold)

    def sweep(self, model: str, question: str = SICK) -> Sweep:
        """What every threshold does on these images."""
        images = self.images_of(model)
        return metrics.sweep(*operating.question_of(self.classes, question, images.labels, images.probabilities[model]))

    @cached_property
    def lung_shares(self) -> tuple[LungShare, ...]:
        """How much of the evidence lies inside the lungs, a model and a finding; of tables made with `--lungs`."""
        return tuple(share for table in self.tables for share in lung_shares(table, self.images_of(table.name)))

    @property
    def _largest(self) -> ImageSet:
        return max(self.sets, key=lambda images: (len(images.models), len(images)))

    def _of_split(self) -> list[Predictions]:
        return [table.of_split(self.split) for table in self.tables]

    def _kept(self, table: Predictions, common: set[tuple[str, str]]) -> Predictions:
        """The table without those images of the split that are not common; other splits stay as they are."""
        pairs = zip(table.table["file"], table.table["label"], table.table["split"], strict=True)
        kept = [split != self.split or (file, label) in common for file, label, split in pairs]
        return replace(table, table=table.table[kept].reset_index(drop=True))

    def _together(self, a: str, b: str) -> ImageSet:
        one, other = self.images_of(a), self.images_of(b)
        if one is not other:
            raise PredictionsError(paired.different_images(one, a, other, b))
        return one

    def _question(self, model: str, label: str) -> tuple[metrics.Floats, metrics.Truths]:
        images = self.images_of(model)
        p = images.probabilities[model]
        if label in operating.QUESTIONS:
            return operating.question_of(self.classes, label, images.labels, p)
        if label not in self.classes:
            raise PredictionsError(f"There is no class {label!r}. There: {', '.join(self.classes)}.")
        k = self.classes.index(label)
        return np.asarray(p[:, k]), np.asarray(images.labels == k)
