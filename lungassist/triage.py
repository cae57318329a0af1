"""A study's journey: read, prepare, predict, explain, and say in words what came out. A stream in, a stream out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lungassist.classes import CONTAGIOUS, percent, spoken
from lungassist.enhance import ENHANCERS, says_what_it_did
from lungassist.errors import StudyError
from lungassist.explain import GRAD_CAM
from lungassist.imaging import Radiograph, Study, doubts, read_radiograph
from lungassist.models.card import Card
from lungassist.models.decision import decide
from lungassist.predict import Classifier, Prediction, margin
from lungassist.preprocess import prepare_image
from lungassist.settings import Settings

#: Below this distance between the two most probable classes a finding says that it has little margin.
LITTLE_MARGIN: Final = 0.2

_READERS: Final = 2

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class MemberReading:
    """What one member of an ensemble says: who it is, its most probable class, how probable."""

    model: str
    finding: str
    probability: float

    def to_json(self) -> dict[str, Any]:
        """Its fields as JSON's kinds."""
        return {**asdict(self), "probability": round(self.probability, 6)}


@dataclass(frozen=True, slots=True)
class SecondReading(MemberReading):
    """What another model says of the same study, by its own operating point, and which version of it."""

    model_version: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What one model says of one study.

    Attributes:
        file: the study's name; sha256: of its bytes.
        model, model_version, operating_point: what produced the finding; the last in words.
        finding: a class as the model's card spells it, by the operating point.
        probabilities: a calibrated probability a class, summing to 1.
        margin: distance between the two largest of them.
        suspected_contagious: the finding is COVID or Viral Pneumonia.
        plausible: False when the image does not look like a frontal chest radiograph; the finding then means little.
        warnings: sentences, the gravest first.
        second_reading: what another model says, where one was asked.
        members: of an ensemble, what each of its models says; none of a single network.
    """

    file: str
    sha256: str
    model: str
    model_version: str
    operating_point: str
    finding: str
    probabilities: dict[str, float]
    margin: float
    suspected_contagious: bool
    plausible: bool
    warnings: tuple[str, ...]
    second_reading: SecondReading | None = None
    members: tuple[MemberReading, ...] = ()

    @property
    def is_divided(self) -> bool:
        """Whether the members of an ensemble find different things."""
        return len({member.finding for member in self.members}) > 1

    @property
    def is_disputed(self) -> bool:
        """Whether a second reading finds something else."""
        return self.second_reading is not None and self.second_reading.finding != self.finding

    @property
    def most_probable(self) -> str:
        """The class of the highest probability; of equal ones the first."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    @property
    def is_by_operating_point(self) -> bool:
        """Whether the highest probability would say something else."""
        return self.finding != self.most_probable

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON's kinds, with the keys that the command line documents."""
        return {
            "file": self.file,
            "sha256": self.sha256,
            "model": self.model,
            "model_version": self.model_version,
            "operating_point": self.operating_point,
            "finding": self.finding,
            "probabilities": {name: round(value, 6) for name, value in self.probabilities.items()},
            "margin": round(self.margin, 6),
            "suspected_contagious": self.suspected_contagious,
            "plausible": self.plausible,
            "warnings": list(self.warnings),
            "second_reading": self.second_reading.to_json() if self.second_reading else None,
            "members": [member.to_json() for member in self.members],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Triaged(Generic[Kept]):
    """A study that was read and classified.

    Attributes:
        finding: the result.
        heat_maps: `(K, h, w)` float32 evidence, None when not asked for.
        kept: what the caller's `keep` returned for the radiograph.
        remarks: the finding's warnings that come of the image, whatever the model says of it.
    """

    finding: Finding
    heat_maps: NDArray[np.float32] | None = field(repr=False)
    kept: Kept
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A study that could not be used, and why."""

    file: str
    error: StudyError

    def to_json(self) -> dict[str, Any]:
        """`file` and `error` with `code` and `message`."""
        return {"file": self.file, "error": {"code": self.error.code, "message": str(self.error)}}


@dataclass(frozen=True, slots=True, eq=False)
class _Ready(Generic[Kept]):
    """A study that was read: all that is left of it but what the caller keeps is the small prepared image."""

    name: str
    sha256: str
    image: NDArray[np.uint8]
    for_second: NDArray[np.uint8] | None
    doubts: tuple[str, ...]
    warnings: tuple[str, ...]
    kept: Kept


def forget(radiograph: Radiograph) -> None:
    """A `keep` that keeps nothing."""
    del radiograph


def triage(
    studies: Iterable[Study],
    classifier: Classifier,
    settings: Settings,
    *,
    explain: str | None = GRAD_CAM,
    keep: Callable[[Radiograph], Kept],
    second: Classifier | None = None,
) -> Iterator[Triaged[Kept] | Refused]:
    """Triage a stream of studies in batches, in order; the next ones are read while the model works.

    Memory is bounded, whatever the number of studies: a radiograph is let go as soon as it is prepared, and no more
    than two batches of prepared images, with what `keep` returned for them, wait for the consumer.

    Args:
        studies: from `imaging.iter_studies` or `expand_upload`; one that fails yields `Refused`, the rest goes on.
        classifier: the model.
        settings: the reader's limits and the batch size.
        explain: a method of `explain.METHODS`, or None.
        keep: called in a reading thread with each radiograph.
        second: a model of the same classes that reads every study too; see `read_again`.
    """

    def read(study: Study) -> _Ready[Kept] | Refused:
        try:
            radiograph = read_radiograph(study.read_bytes(), study.name, settings)
        except StudyError as error:
            return Refused(study.name, error)
        image, did = _prepared(radiograph, classifier.card)
        for_second = prepare_image(radiograph.pixels, second.card.preprocessing) if second else None
        found = doubts(radiograph)
        warnings = (*radiograph.warnings, *did)
        return _Ready(study.name, radiograph.sha256, image, for_second, found, warnings, keep(radiograph))

    with ThreadPoolExecutor(_READERS) as pool:
        for batch in _batches(_ahead(pool, read, iter(studies), settings.batch_size), settings.batch_size):
            yield from _answer(batch, classifier, explain, second)


def _prepared(radiograph: Radiograph, card: Card) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """What a model sees, and what a reader should know of how it came about."""
    enhancement = card.preprocessing.enhancement
    plain = prepare_image(radiograph.pixels, replace(card.preprocessing, enhancement="none"))
    image = ENHANCERS[enhancement](plain)
    return image, tuple(filter(None, [says_what_it_did(enhancement, plain, image)]))


def _ahead(
    pool: ThreadPoolExecutor,
    read: Callable[[Study], _Ready[Kept] | Refused],
    studies: Iterator[Study],
    ahead: int,
) -> Iterator[_Ready[Kept] | Refused]:
    """Read in threads, in order, never more than `ahead` studies before the one asked for."""
    waiting: deque[Future[_Ready[Kept] | Refused]] = deque()
    try:
        waiting.extend(pool.submit(read, study) for study in islice(studies, ahead))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(read, study) for study in islice(studies, 1))
            yield result
    finally:
        for future in waiting:
            future.cancel()


def _batches(items: Iterator[_Ready[Kept] | Refused], size: int) -> Iterator[list[_Ready[Kept] | Refused]]:
    while batch := list(islice(items, size)):
        yield batch


def _answer(
    batch: list[_Ready[Kept] | Refused], classifier: Classifier, explain: str | None, second: Classifier | None
) -> Iterator[Triaged[Kept] | Refused]:
    ready = [item for item in batch if isinstance(item, _Ready)]
    if ready:
        prediction = classifier.predict(np.stack([item.image for item in ready]), explain)
        others = None
        if second:
            images = [item.for_second for item in ready if item.for_second is not None]
            others = second.predict(np.stack(images), None)
    row = 0
    for item in batch:
        if isinstance(item, Refused):
            yield item
            continue
        maps = None if prediction.heat_maps is None else prediction.heat_maps[row]
        remarks = (*item.doubts, *item.warnings)
        finding = _finding(item, prediction, row, remarks, classifier.card)
        if second and others is not None:
            finding = read_again(finding, _finding(item, others, row, remarks, second.card))
        yield Triaged(finding, maps, item.kept, remarks)
        row += 1


def judged_anew(study: Triaged[Kept], card: Card) -> Triaged[Kept]:
    """The same answer of the same model, judged by the operating point that its card holds now; asks no network.

    A second reading is dropped: it was compared with the finding before.
    """
    probabilities = np.array([study.finding.probabilities[name] for name in card.classes])
    alone = replace(study.finding, second_reading=None)
    return replace(study, finding=_by_card(alone, probabilities, study.remarks, card))


def _finding(item: _Ready[Kept], prediction: Prediction, row: int, remarks: tuple[str, ...], card: Card) -> Finding:
    probabilities = prediction.probabilities[row]
    undecided = Finding(
        file=item.name,
        sha256=item.sha256,
        model=card.name,
        model_version=card.full_version,
        operating_point="",
        finding="",
        probabilities={name: float(p) for name, p in zip(card.classes, probabilities, strict=True)},
        margin=margin(probabilities),
        suspected_contagious=False,
        plausible=not item.doubts,
        warnings=(),
        members=_members(prediction.members[:, row], card),
    )
    return _by_card(undecided, probabilities, remarks, card)


def _members(probabilities: NDArray[np.float64], card: Card) -> tuple[MemberReading, ...]:
    """What each member says, `(M, K)`; by the highest probability, for an operating point is the ensemble's own."""
    return tuple(
        MemberReading(member.name, card.classes[own.argmax()], float(own.max()))
        for member, own in zip(card.members, probabilities, strict=True)
    )


def _by_card(finding: Finding, probabilities: NDArray[np.float64], remarks: tuple[str, ...], card: Card) -> Finding:
    """Everything in a finding that the operating point decides."""
    (index,) = decide(card.operating_point.thresholds, card.classes, probabilities[None])
    decided = replace(
        finding,
        operating_point=card.operating_point.words,
        finding=card.classes[index],
        suspected_contagious=card.classes[index] in CONTAGIOUS,
    )
    return replace(decided, warnings=(*remarks, *_doubts_of_model(decided)))


def read_again(finding: Finding, second: Finding) -> Finding:
    """The same finding, which says what a second model finds; where that differs, a warning comes first.

    Two models that see a film differently, such as as it came and with the usual strength of its detail, agree on most
    films like those that they learnt from, and differ on many that one of them misjudges (`benchmarks.second_reading`).

    Args:
        finding: of a model, not read again yet.
        second: another model's finding of the same study.
    """
    share = second.probabilities[second.finding]
    reading = SecondReading(second.model, second.finding, share, second.model_version)
    again = replace(finding, second_reading=reading)
    if not again.is_disputed or not finding.plausible:
        return again
    own = finding.probabilities[finding.finding]
    words = (
        f"A second reading differs: {second.model} finds {spoken(second.finding)} ({percent(share)}), "
        f"{finding.model} {spoken(finding.finding)} ({percent(own)}). Read with care."
    )
    return replace(again, warnings=(words, *finding.warnings))


def _doubts_of_model(finding: Finding) -> Iterator[str]:
    if finding.is_divided and finding.plausible:
        said = (f"{each.model} {spoken(each.finding)} ({percent(each.probability)})" for each in finding.members)
        yield f"The models asked find different things: {', '.join(said)}. Read with care."
    if finding.is_by_operating_point:
        first = finding.most_probable
        share = percent(finding.probabilities[first])
        yield f"By the operating point: the highest probability would say {spoken(first)} ({share})."
    if finding.margin < LITTLE_MARGIN:
        first, second = sorted(finding.probabilities, key=lambda name: -finding.probabilities[name])[:2]
        shares = (f"{spoken(name)} {percent(finding.probabilities[name])}" for name in (first, second))
        yield f"Little margin: {' against '.join(shares)}. Read with care."
