"""What may be asked for as a job, checked before anything is recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lungassist.errors import JobError
from lungassist.jobs.locks import names_of
from lungassist.jobs.resources import PATTERN

_MODULE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_KIND: Final = re.compile(r"[a-z][a-z0-9_-]*")


def checked_request(
    kind: str,
    title: str,
    arguments: Sequence[str],
    run_dir: Path,
    resource: str,
    details: Mapping[str, Any],
    resume_arguments: Sequence[str] | None,
) -> dict[str, Any]:
    """The values of a new job's row, without those that the queue gives.

    Raises:
        JobError: names what cannot be, and what was expected.
    """
    if not _KIND.fullmatch(kind):
        raise JobError(f"A job's kind is a word of small letters, such as finetune; it is {kind!r}.")
    if not PATTERN.fullmatch(resource):
        raise JobError(f"A job runs on cpu, gpu:0, or several GPUs as gpu:0,gpu:1; not on {resource!r}.")
    return {
        "kind": kind,
        "title": " ".join(_text(title).split()) or kind,
        "arguments": _arguments(arguments),
        "resume_arguments": _arguments(arguments if resume_arguments is None else resume_arguments),
        "run_dir": _folder(run_dir),
        "resource": ",".join(names_of(resource)),
        "details": _details(details),
    }


def _arguments(arguments: Sequence[str]) -> list[str]:
    values = [str(argument) for argument in arguments]
    if not values or not _MODULE.fullmatch(values[0]):
        raise JobError(f"A job's arguments begin with a module, such as train.finetune; they are {values!r}.")
    for value in values:
        if value != _text(value):
            raise JobError(f"The argument {value!r} is no text that a command can be given.")
    return values


def _folder(run_dir: Path) -> str:
    path = str(run_dir.absolute())
    if path != _text(path):
        raise JobError(f"The run directory {path!r} is no name that the database can hold. Choose another.")
    return path


def _details(details: Mapping[str, Any]) -> Any:
    try:
        return json.loads(_text(json.dumps(dict(details), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise JobError(f"A job's details must be JSON: {error}.") from error


def _text(text: str) -> str:
    """What both databases can hold: UTF-8 without NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
