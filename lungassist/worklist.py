"""What a reader has in hand: studies, what each model said of them, and their order by urgency. Knows no web page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lungassist.classes import CONTAGIOUS, NORMAL, percent, spoken
from lungassist.imaging import Radiograph, Study, read_radiograph
from lungassist.models.card import Card
from lungassist.models.members import Member
from lungassist.predict import Classifier
from lungassist.settings import Settings
from lungassist.triage import LITTLE_MARGIN, Finding, Refused, Triaged, forget, judged_anew, read_again, triage

#: A result of triage that keeps no pixels: they are read again for the one study that is looked at.
Outcome = Triaged[None] | Refused


@dataclass(frozen=True, slots=True)
class Asked:
    """Who was asked about a study, and how: outcomes are kept by all that they depend on, but for the study itself.

    A version says which weights a model has. Two models may share these and still answer differently: another
    temperature, another enhancement, the mirror image asked about too. Or they answer alike, under different names.
    The operating point is not among it: a new one is applied to what is there.

    Attributes:
        model: name, version, weights and all that turns an image into probabilities.
        members: the same of each model of an ensemble.
        classes: what the probabilities are of.
        method: of explanation.
    """

    model: Member
    members: tuple[Member, ...]
    classes: tuple[str, ...]
    method: str

    @classmethod
    def of(cls, card: Card, method: str) -> Asked:
        """A model as its card describes it now."""
        return cls(Member.of(card), card.members, card.classes, method)


@dataclass(slots=True)
class Entry:
    """One study in hand.

    Attributes:
        key: unique in the worklist and stable while the study is in it.
        study: where its bytes come from.
        synthetic: a phantom and no patient's image.
        outcomes: what came of it, by who was asked.
    """

    key: str
    study: Study
    synthetic: bool = False
    outcomes: dict[Asked, Outcome] = field(default_factory=dict)


def outcome_of(entry: Entry, model: Classifier, method: str, second: Classifier | None = None) -> Outcome:
    """What came of a study that `model` triaged, and `second` too where it is given: then with the second reading."""
    outcome = entry.outcomes[Asked.of(model.card, method)]
    if second is None or isinstance(outcome, Refused):
        return outcome
    other = entry.outcomes[Asked.of(second.card, method)]
    if isinstance(other, Refused):
        return outcome
    return replace(outcome, finding=read_again(outcome.finding, other.finding))


class Worklist:
    """The studies in hand, in the order in which they came."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._viewed: tuple[str, Radiograph] | None = None

    @property
    def entries(self) -> list[Entry]:
        """All of them."""
        return list(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __getitem__(self, key: str) -> Entry:
        return self._entries[key]

    def add(self, group: str, studies: Iterable[Study], *, synthetic: bool = False) -> None:
        """Add the studies of one upload; `group` is unique to it, so that equal names stay apart."""
        for number, study in enumerate(studies):
            key = f"{group}/{number}"
            self._entries[key] = Entry(key, study, synthetic)

    def groups(self) -> set[str]:
        """The uploads that are in the list."""
        return {self.group_of(entry) for entry in self.entries}

    @staticmethod
    def group_of(entry: Entry) -> str:
        """The upload that a study came with."""
        return entry.key.rsplit("/", 1)[0]

    def drop(self, groups: Iterable[str]) -> None:
        """Take uploads out."""
        gone = set(groups)
        self._entries = {key: e for key, e in self._entries.items() if self.group_of(e) not in gone}

    def triage(
        self,
        classifier: Classifier,
        settings: Settings,
        method: str,
        *,
        entries: Sequence[Entry] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Triage what this model has not seen by this method yet; results already there are kept.

        Where the model's operating point has changed since, they are judged by the new one, without asking it again.

        Args:
            classifier: the model.
            settings: the reader's limits.
            method: of explanation.
            entries: only these; all by default.
            progress: called with (done, all) after every study.
        """
        wanted = Asked.of(classifier.card, method)
        asked = self.entries if entries is None else entries
        pending = [e for e in asked if wanted not in e.outcomes]
        words = classifier.card.operating_point.words
        for entry in asked:
            known = entry.outcomes.get(wanted)
            if isinstance(known, Triaged) and known.finding.operating_point != words:
                entry.outcomes[wanted] = judged_anew(known, classifier.card)
        outcomes = triage((e.study for e in pending), classifier, settings, explain=method, keep=forget)
        for done, (entry, outcome) in enumerate(zip(pending, outcomes, strict=True), start=1):
            entry.outcomes[wanted] = outcome
            if progress:
                progress(done, len(pending))

    def radiograph(self, entry: Entry, settings: Settings) -> Radiograph:
        """The pixels of one entry, read again unless it is the one looked at last.

        Raises:
            StudyError: it cannot be read (any more).
        """
        if self._viewed is None or self._viewed[0] != entry.key:
            self._viewed = (entry.key, read_radiograph(entry.study.read_bytes(), entry.study.name, settings))
        return self._viewed[1]


def urgency(outcome: Outcome) -> tuple[int, float]:
    """What to sort by, most urgent first: suspected contagious, other findings, unsure or implausible, normal, failed.

    The finding is that of the operating point. Normal is unsure with little margin, where it is not the most
    probable, and where a second reading or a member of the ensemble differs. Within a rank the probability of any
    finding but Normal decides.
    """
    if isinstance(outcome, Refused):
        return (4, 0.0)
    finding = outcome.finding
    sick = 1 - finding.probabilities.get(NORMAL, 0.0)
    if not finding.plausible:
        return (2, -sick)
    if finding.finding in CONTAGIOUS:
        return (0, -sick)
    if finding.finding != NORMAL:
        return (1, -sick)
    doubted = finding.is_by_operating_point or finding.is_disputed or finding.is_divided
    return (2 if doubted or finding.margin < LITTLE_MARGIN else 3, -sick)


def sentence(finding: Finding) -> str:
    """The finding in words."""
    share = finding.probabilities[finding.finding]
    if not finding.plausible:
        return f"No reliable finding: this may be no frontal chest radiograph. The model's guess is {_named(finding)}."
    if finding.is_by_operating_point:
        first = finding.most_probable
        most = f"most probable is {spoken(first)}, {percent(finding.probabilities[first])}"
        return f"{spoken(finding.finding)} by the operating point, probability {percent(share)}; {most}."
    strength = "" if finding.margin >= LITTLE_MARGIN else ", with little margin"
    return f"{spoken(finding.finding)}, probability {percent(share)}{strength}."


def _named(finding: Finding) -> str:
    return f"{spoken(finding.finding)}, {percent(finding.probabilities[finding.finding])}"


def row_of(name: str, outcome: Outcome, *, synthetic: bool = False) -> dict[str, Any]:
    """One row of a table: plain values for people, which also a spreadsheet that they are copied to leaves alone."""
    if isinstance(outcome, Refused):
        notes = _inert(str(outcome.error))
        return {"file": _inert(name), "finding": "not usable", "probability": None, "flags": "", "notes": notes}
    finding = outcome.finding
    flags = [
        word
        for word, holds in (
            ("suspected contagious", finding.suspected_contagious and finding.plausible),
            ("doubtful image", not finding.plausible),
            ("by operating point", finding.is_by_operating_point),
            ("little margin", finding.margin < LITTLE_MARGIN),
            ("models differ", finding.is_divided and finding.plausible),
            ("second reading differs", finding.is_disputed and finding.plausible),
            ("synthetic", synthetic),
        )
        if holds
    ]
    return {
        "file": _inert(name),
        "finding": spoken(finding.finding),
        "probability": finding.probabilities[finding.finding],
        "flags": ", ".join(flags),
        "notes": " ".join(finding.warnings),
    }


def findings_csv(outcomes: Sequence[Outcome], classes: Sequence[str]) -> str:
    """A batch as CSV: a row a study, failed ones too, a column a class for the probabilities."""
    columns = ["file", "sha256", "model", "model_version", "operating_point", "finding", "margin"]
    columns += ["suspected_contagious", "plausible", *(f"probability_{name}" for name in classes)]
    columns += [
        "warnings",
        "members",
        "second_model",
        "second_model_version",
        "second_finding",
        "second_probability",
        "error_code",
        "error",
    ]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n", restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(_csv_row(outcome) for outcome in outcomes)
    return out.getvalue()


def _csv_row(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Refused):
        return {"file": _inert(outcome.file), "error_code": outcome.error.code, "error": _inert(str(outcome.error))}
    values = outcome.finding.to_json()
    probabilities = {f"probability_{name}": share for name, share in values.pop("probabilities").items()}
    second = values.pop("second_reading") or {}
    again = {f"second_{name}": second[name] for name in ("model", "model_version", "finding", "probability") if second}
    members = (f"{member.model}: {member.finding} {member.probability:.5f}" for member in outcome.finding.members)
    words = {"file": _inert(values["file"]), "warnings": " ".join(values["warnings"]), "members": "; ".join(members)}
    return {**values, **probabilities, **again, **words}


def _inert(text: str) -> str:
    """Keep a spreadsheet from taking a file's name for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def finding_json(outcome: Outcome) -> str:
    """One study's result as indented JSON."""
    result = outcome if isinstance(outcome, Refused) else outcome.finding
    return json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n"
