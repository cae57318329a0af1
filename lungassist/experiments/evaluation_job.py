"""`python -m lungassist.experiments.evaluation_job FOLDER`: the process of an evaluation; goes on where it stopped.

FOLDER was prepared by `launch_evaluation`. What comes out: a table a model with its record, as `evaluate` writes them,
`result.json`, and `status.json` to follow it by. Not meant to be called by people; `python -m lungassist evaluate` is.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from lungassist.dataset import DatasetIndex, index_folder
from lungassist.device import choose_device
from lungassist.errors import LungAssistError, StoppedError
from lungassist.evaluation.evaluate import Evaluation, evaluate
from lungassist.evaluation.origin import seen_in_training, splits_for
from lungassist.experiments.evaluation_launch import ModelResult
from lungassist.experiments.evaluation_prospect import warning_of
from lungassist.experiments.evaluation_request import RESULT_FILE, EvaluationRequest, request_of
from lungassist.files import write_json
from lungassist.models.weights import choose_model
from lungassist.predict import Classifier
from lungassist.settings import Settings
from lungassist.training.failures import CancelledError, StopRequest
from lungassist.training.recent_rate import RecentRate
from lungassist.training.run import RunDirectory

log = logging.getLogger("lungassist.evaluation")

_WORKERS: Final = 2
_SECONDS_BETWEEN: Final = 0.5
_SIGNALLED: Final = 128


class Telling:
    """Writes where an evaluation of several models stands, about twice a second at most.

    Args:
        run: whose status.
        models: how many there are.
        device: what it computes on.
    """

    def __init__(self, run: RunDirectory, models: int, device: str) -> None:
        self._run, self._models, self._device = run, models, device
        self._stage, self._written = "", 0.0
        self._rate = RecentRate()

    def say(self, state: str, message: str) -> None:
        """Write at once."""
        self._run.set_status(state, message=message, device=self._device)

    def of_model(self, number: int, model: str, stage: str, done: int, whole: int) -> None:
        """`done` of `whole` images of a stage of model `number`, counted from 0."""
        place = f" (model {number + 1} of {self._models})" if self._models > 1 else ""
        predicting = stage == "Predicting"
        message = f"Asking {model}{place}" if predicting else f"Reading images for {model}{place}"
        if message != self._stage:
            self._stage = message
            self._rate.clear()  # what was spent on something else says nothing of the speed
            self._written = 0.0
            log.info("%s: %s images, %s there already", message, f"{whole:,}", f"{done:,}")
        # Every model has the same images, so that the bar goes once from one end to the other.
        before, images = (number * whole, self._models * whole) if predicting else (0, whole)
        rate = self._rate.at(before + done)
        if done < whole and time.monotonic() - self._written < _SECONDS_BETWEEN:
            return
        self._written = time.monotonic()
        self._run.set_status(
            "evaluating" if predicting else "reading",
            message=message,
            device=self._device,
            done=before + done,
            total=images,
            images_per_second=rate,
            seconds_left=(images - before - done) / rate if rate else None,
        )


def carry_out(run: RunDirectory, settings: Settings, stop: StopRequest) -> tuple[ModelResult, ...]:
    """Evaluate every model that the folder's request names.

    Raises:
        LungAssistError: whatever ended it; its status says so too, and what was done stays.
    """
    with run.held(), run.recording_outcome():
        request = request_of(run.path)
        device = choose_device(request.device)
        telling = Telling(run, len(request.models), "CPU" if device.type == "cpu" else "GPU")
        telling.say("preparing", "Looking for images")
        index = index_folder(request.data, request.metadata)
        results: list[ModelResult] = []
        for number, model in enumerate(request.models):
            stop.check()
            telling.say("preparing", f"Loading {model}")
            folder = settings.weights_dir / choose_model(settings.weights_dir, model)
            classifier = Classifier.load(folder, device)
            results.append(_of_model(number, classifier, folder, request, index, run, settings, telling, stop))
            write_json(run.path / RESULT_FILE, [asdict(result) for result in results])
        run.set_status("done", message="Done", done=1, total=1)
    return tuple(results)


def _of_model(
    number: int,
    classifier: Classifier,
    folder: Path,
    request: EvaluationRequest,
    index: DatasetIndex,
    run: RunDirectory,
    settings: Settings,
    telling: Telling,
    stop: StopRequest,
) -> ModelResult:
    model = request.models[number]
    assigned = splits_for(index, folder, request.split_file)
    seen = seen_in_training(index, folder)
    warning = warning_of(model, assigned, seen)
    for note in (*assigned.notes, *([warning] if warning else [])):
        log.info("%s: %s", model, note)
    judged = bool((seen & (assigned.splits == "test")).any())
    try:
        done = evaluate(
            classifier,
            index,
            assigned.splits,
            run.path,
            settings,
            lungs=request.lungs,
            remarks=(warning,) if judged else (),
            workers=_WORKERS,
            progress=lambda stage, at, whole: telling.of_model(number, model, stage, at, whole),
            stop=stop,
        )
    except StoppedError as error:
        raise CancelledError(stop.signal_number) from error
    _log(done)
    return ModelResult(model, done.images, done.unreadable, warning)


def _log(done: Evaluation) -> None:
    fresh = done.images - done.resumed
    log.info(
        "%s: %d images in %s, %d unreadable, %d new in %.1f s",
        done.model,
        done.images,
        done.table.name,
        len(done.unreadable),
        fresh,
        done.seconds,
    )
    for file, reason in list(done.unreadable.items())[:20]:
        log.warning("%s cannot be read: %s", file, reason)


def main(argv: Sequence[str]) -> int:
    """Run; returns the exit status: 0 done, 1 failed, 128 and the signal's number when stopped."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    stop = StopRequest()
    try:
        with stop.listening():
            carry_out(RunDirectory(Path(argv[0])), Settings.from_environment(), stop)
    except CancelledError as error:
        log.info("Stopped on request. Resumed, it goes on where it was.")
        return _SIGNALLED + error.signal_number
    except LungAssistError as error:
        log.error("%s", error, exc_info=error.__cause__ is not None)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
