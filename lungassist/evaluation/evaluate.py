"""A model asked about every image of a folder: from files to a table of predictions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from lungassist.dataset import SPLITS, DatasetIndex, PreparedImages, open_cache, split_hash
from lungassist.errors import DatasetError, PredictionsError, StoppedError
from lungassist.evaluation.evidence import EvidenceInLungs, evidence_columns
from lungassist.evaluation.partial import PartialProbabilities
from lungassist.evaluation.predictions import predictions_table, write_predictions
from lungassist.files import sha256_of, write_json
from lungassist.models.card import Card
from lungassist.predict import Classifier
from lungassist.settings import Settings

#: Rises when the same model and images would give another table.
_FORMAT: Final = 1

#: Images to a pass unless another number is asked for; more are hardly faster on a CPU and take memory.
BATCH_SIZE: Final = 32

Progress = Callable[[str, int, int], None]
Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model's evaluation on one folder.

    Attributes:
        model, version: what was asked.
        table: where the predictions lie.
        images: rows of the table.
        unreadable: file -> the reason, of the images that are not in it.
        seconds: of the passes through the network, this time; 0 if the table was there already.
        resumed: rows that an earlier, interrupted evaluation had left.
    """

    model: str
    version: str
    table: Path
    images: int
    unreadable: dict[str, str]
    seconds: float
    resumed: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "table": str(self.table)}


def evaluate(
    classifier: Classifier,
    index: DatasetIndex,
    splits: NDArray[np.str_],
    out: Path,
    settings: Settings,
    *,
    lungs: bool = False,
    remarks: Sequence[str] = (),
    batch_size: int = BATCH_SIZE,
    workers: int = 4,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Evaluation:
    """Predict every image that has a split, and write `out/MODEL.csv` and, beside it, what it was made of.

    Images go through the cache and the model's own preprocessing, as in training and triage. An evaluation that was
    stopped or killed goes on where it was; one that is done already, of the same images, splits and weights, is not
    done again. The table is the same whether or not there was a break.

    Args:
        classifier: the model.
        index: the images.
        splits: `N` splits; images whose split is none of train, validation, test are left out.
        out: where to; made if it is not there.
        settings: the reader's limits, and where the cache lies.
        lungs: also write how much of the evidence lies inside the lungs, see `evidence`.
        remarks: sentences that whoever compares the table must read, such as that the model was trained on its images.
        batch_size: images to a pass.
        workers: threads that read and prepare.
        progress: called with (what is done, done, all).
        stop: asked before every batch.

    Raises:
        DatasetError: no image is left, or one has a label that the model does not know.
        PredictionsError: somebody else writes the same table.
        CacheError, StoppedError: see `open_cache`.
        OSError: `out` cannot be written.
    """
    work = _Work(classifier, out, batch_size, progress or (lambda *_: None), stop or (lambda: False), tuple(remarks))
    index = _chosen(index, splits, classifier.card)
    prepared = open_cache(
        index,
        classifier.card.preprocessing,
        settings,
        workers=workers,
        progress=lambda done, whole: work.tell("Preparing", done, whole),
        stop=stop,
    )
    if not prepared.readable.any():
        raise DatasetError(f"None of the {len(index.table):,} images of {index.root} can be read.")
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / f".{work.target.stem}.lock", timeout=0):
            return work.done(index, prepared, EvidenceInLungs(index.root, settings, workers) if lungs else None)
    except Timeout as error:
        raise PredictionsError(
            f"{work.target} is being written by another evaluation. Wait for it, or write into another folder."
        ) from error


class _Work:
    """One model's way through the images of an index."""

    def __init__(
        self,
        classifier: Classifier,
        out: Path,
        batch_size: int,
        tell: Progress,
        stop: Stop,
        remarks: tuple[str, ...],
    ) -> None:
        self.classifier, self.card = classifier, classifier.card
        self.target = out / f"{file_stem(classifier.card.name)}.csv"
        self.batch_size, self.tell, self.stop, self.remarks = batch_size, tell, stop, remarks

    def done(self, index: DatasetIndex, prepared: PreparedImages, evidence: EvidenceInLungs | None) -> Evaluation:
        """The table, written now or found."""
        rows = np.flatnonzero(prepared.readable)
        table = index.table.iloc[rows].reset_index(drop=True)
        key = _key(self.card, table, prepared, evidence is not None)
        if _is_done(self.target, key):
            return self._told(len(table), prepared, 0.0, len(table))
        extra = 0 if evidence is None else evidence.extra
        with PartialProbabilities(self.target.with_suffix(".partial"), key, len(self.card.classes), extra) as partial:
            partial.keep_multiple_of(self.batch_size)
            resumed, started = len(partial), time.perf_counter()
            self._predict(prepared, rows, table["file"].tolist(), partial, evidence)
            told = self._told(len(rows), prepared, round(time.perf_counter() - started, 2), resumed)
            found = partial.rows()
        self._write(table, found, told, key)
        partial.path.unlink(missing_ok=True)
        return told

    def _predict(
        self,
        prepared: PreparedImages,
        rows: NDArray[np.int64],
        files: list[str],
        partial: PartialProbabilities,
        evidence: EvidenceInLungs | None,
    ) -> None:
        self.tell("Predicting", len(partial), len(rows))
        for images in _ahead(prepared, rows[len(partial) :], self.batch_size):
            if self.stop():
                raise StoppedError(f"The evaluation of {self.card.name} was stopped. Start it again, and it goes on.")
            if evidence is None:
                partial.append(self.classifier.predict(images, explain=None).probabilities)
            else:
                first = len(partial)
                partial.append(evidence.rows(self.classifier, images, files[first : first + len(images)]))
            self.tell("Predicting", len(partial), len(rows))

    def _write(self, table: pd.DataFrame, found: NDArray[np.float64], told: Evaluation, key: dict[str, Any]) -> None:
        classes = len(self.card.classes)
        more = evidence_columns(found[:, classes:]) if found.shape[1] > classes else {}
        named = table.assign(model=self.card.name, version=self.card.full_version, **more)
        write_predictions(self.target, predictions_table(named, found[:, :classes], self.card.classes))
        values = {"table": self.target.name, "key": key, "remarks": list(self.remarks)}
        record = {**told.to_json(), **values, "sha256": sha256_of(self.target)}
        write_json(self.target.with_suffix(".json"), record)

    def _told(self, images: int, prepared: PreparedImages, seconds: float, resumed: int) -> Evaluation:
        card = self.card
        return Evaluation(card.name, card.full_version, self.target, images, prepared.unreadable, seconds, resumed)


def _ahead(prepared: PreparedImages, rows: NDArray[np.int64], batch_size: int) -> Iterator[NDArray[np.uint8]]:
    """Batches of images; the next one is read from disk while the network has this one."""
    parts = [rows[first : first + batch_size] for first in range(0, len(rows), batch_size)]
    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(prepared.images.__getitem__, parts[0]) if parts else None
        for number in range(len(parts)):
            images = following.result() if following else prepared.images[parts[number]]
            following = reader.submit(prepared.images.__getitem__, parts[number + 1]) if parts[number + 1 :] else None
            yield images


def _chosen(index: DatasetIndex, splits: NDArray[np.str_], card: Card) -> DatasetIndex:
    if len(splits) != len(index.table):
        raise ValueError(f"expected a split for each of {len(index.table)} images; came {len(splits)}")
    table = index.table.drop(columns=["model", "version"], errors="ignore").assign(split=splits)
    table = table[np.isin(splits, SPLITS)].reset_index(drop=True)
    if table.empty:
        raise DatasetError(f"No image of {index.root} is in a split that was asked for.")
    if strange := sorted(set(table["label"]) - set(card.classes)):
        raise DatasetError(
            f"{index.root} has images of the class {strange[0]!r}, which {card.name} does not know. It knows "
            f"{', '.join(card.classes)}."
        )
    return DatasetIndex(index.root, table, index.taken_for, index.notes)


def _key(card: Card, table: pd.DataFrame, prepared: PreparedImages, lungs: bool) -> dict[str, Any]:
    """Everything that a row of the table depends on, and its place in it."""
    other = table.drop(columns=["split"])
    return {
        "format": _FORMAT,
        "model": card.name,
        "version": card.full_version,
        "temperature": card.temperature,
        "flip_test": card.flip_test,
        "preprocessing": card.preprocessing.to_json(),
        "lungs": lungs,
        "images": prepared.content_hash,
        "split": split_hash(table["file"].tolist(), table["split"].tolist()),
        "columns": [*map(str, other.columns), int(pd.util.hash_pandas_object(other, index=False).sum())],
    }


def _is_done(target: Path, key: dict[str, Any]) -> bool:
    try:
        record = json.loads(target.with_suffix(".json").read_text(encoding="utf-8"))
        # Through JSON and back: what is read has lists where the key has tuples.
        return bool(record["key"] == json.loads(json.dumps(key)) and record["sha256"] == sha256_of(target))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def file_stem(name: str) -> str:
    """A model's name as a file's: nothing in it leads elsewhere."""
    plain = "".join(letter if letter.isalnum() or letter in "-_.+ " else "_" for letter in name).strip(" .")
    return plain or "model"
