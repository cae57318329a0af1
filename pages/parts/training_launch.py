"""Launch: a name, what it computes on, what it would cost, and the button."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from lungassist.errors import LungAssistError
from lungassist.experiments.launching import CPU, check_start, launch
from lungassist.experiments.measuring import Measurement
from lungassist.experiments.standing import ACTIVE, resource_title
from lungassist.experiments.wording import duration, size
from lungassist.jobs import JobBoard
from lungassist.jobs.resources import resources
from lungassist.training.baseline_recipe import BaselineConfig, BaselineRecipe
from lungassist.training.config import RunConfig
from lungassist.training.recipe import Recipe
from lungassist.training.steps import averaging_warning, steps_in_epoch
from pages.parts import session
from pages.parts import training_state as state
from pages.parts.training_data import Data
from pages.parts.training_fields import NAME

_MEASUREMENT = "training_measurement"
_RESOURCE = "training_resource"


def show_launch(board: JobBoard, data: Data | None, recipe: Recipe | BaselineRecipe | None) -> None:
    """Show the panel."""
    st.subheader("Launch", anchor=False)
    state.show_problem()
    default = recipe.architecture if isinstance(recipe, Recipe) else "logistic-regression"
    name = st.text_input(
        "Name",
        key=NAME,
        persist_state="session",
        placeholder=default,
        help="Of the run, and of its model when it is promoted.",
    )
    resource = _choose_resource(board) if isinstance(recipe, Recipe) else CPU
    config = _config((name or "").strip() or default, data, recipe)
    if isinstance(config, RunConfig) and data is not None:
        device = "cpu" if resource == CPU else "cuda"
        _say_how_much(config.recipe, data)
        measuring = _is_measuring()
        follow = st.fragment(_estimate, run_every=1.0 if measuring else None)
        follow(replace(config, device=device), data.images("train"), data.index.classes, measuring)
    go = st.button(
        "Launch",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=config is None,
        key="training_go",
    )
    if go and config is not None:
        _launch(board, config, resource)


def _choose_resource(board: JobBoard) -> str:
    titles = {resource.name: resource.title for resource in resources()}
    gpus = [name for name in titles if name != CPU]
    if len(gpus) > 1:
        titles[",".join(gpus)] = f"All {len(gpus)} GPUs together"
    chosen = (gpus or [CPU])[0]
    if gpus:
        st.session_state.setdefault(_RESOURCE, chosen)
        chosen = st.selectbox(
            "Computes on",
            list(titles),
            format_func=lambda name: titles.get(name, name),
            key=_RESOURCE,
            persist_state="session",
        )
    wanted = set(chosen.split(","))
    ahead = sum(bool(wanted & set(job.resource.split(","))) and job.state.value in ACTIVE for job in board.jobs())
    if ahead:
        runs = "One run is" if ahead == 1 else f"{ahead} runs are"
        st.caption(f":material/hourglass: {runs} ahead on {resource_title(chosen)}; this one will wait in line.")
    return chosen


def _config(name: str, data: Data | None, recipe: Recipe | BaselineRecipe | None) -> RunConfig | BaselineConfig | None:
    if data is None or not data.splits or recipe is None:
        what = "settings that fit together" if data and data.splits else "images that can be split in three"
        what = what if data else "a folder with images"
        st.caption(f":material/info: Launching needs {what}.")
        return None
    try:
        if isinstance(recipe, BaselineRecipe):
            return BaselineConfig(name, data.folder, data.metadata, recipe=recipe)
        check_start(recipe, session.settings(), data.index.classes)
        return RunConfig(name, data.folder, data.metadata, recipe=recipe)
    except LungAssistError as error:
        st.error(str(error), icon=":material/error:")
        return None


def _say_how_much(recipe: Recipe, data: Data) -> None:
    train = data.images("train")
    if not train:
        return
    steps = steps_in_epoch(train, recipe.batch_size)
    epochs = "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs"
    st.caption(
        f"{epochs} of {steps:,} {'batch' if steps == 1 else 'batches'} over {train:,} training images, judged on "
        f"{data.images('validation'):,}, tested once on {data.images('test'):,}."
    )
    if slow := averaging_warning(recipe, train):
        st.warning(slow, icon=":material/slow_motion_video:")


def _is_measuring() -> bool:
    measurement: Measurement | None = st.session_state.get(_MEASUREMENT)
    return measurement is not None and measurement.is_active


def _estimate(config: RunConfig, images: int, classes: tuple[str, ...], following: bool) -> None:
    measurement: Measurement | None = st.session_state.get(_MEASUREMENT)
    if measurement is not None and measurement.is_for(config, images):
        _show_measurement(measurement, following)
        return
    if st.button(
        "Estimate time and memory",
        icon=":material/speed:",
        width="stretch",
        disabled=not images,
        key="training_estimate",
        help="Trains a few batches in a process of its own, without the images: a quarter of a minute or so.",
    ):
        if measurement is not None:
            measurement.stop()
        st.session_state[_MEASUREMENT] = Measurement(config, images, classes=classes)
        st.rerun()


def _show_measurement(measurement: Measurement, following: bool) -> None:
    try:
        estimate = measurement.poll()
    except LungAssistError as error:
        if following:
            st.rerun()
        st.error(str(error), icon=":material/error:")
        if st.button("Measure again", icon=":material/refresh:", key="training_measure_again"):
            _forget(measurement)
        return
    if estimate is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(":material/progress_activity: Measuring a few batches…", width="stretch")
            if st.button("Stop", type="tertiary", key="training_stop_measuring"):
                _forget(measurement)
        return
    if following:
        st.rerun()  # ends it; never in a run of the whole page, which a click on Launch may have caused
    time, memory = st.columns(2)
    time.metric("Expected time", duration(estimate.seconds))
    memory.metric("Peak memory", "—" if estimate.peak_memory_bytes is None else size(estimate.peak_memory_bytes))
    st.caption(f"{estimate.images_per_second:,.0f} images/s, {duration(estimate.seconds_per_epoch)} an epoch.")


def _forget(measurement: Measurement) -> None:
    measurement.stop()
    del st.session_state[_MEASUREMENT]
    st.rerun()


def _launch(board: JobBoard, config: RunConfig | BaselineConfig, resource: str) -> None:
    with st.spinner("Launching…"):
        done = state.attempt(lambda: state.go_to(state.RUNS, _launched(board, config, resource)), said="Launched")
    st.rerun() if done else state.show_problem()


def _launched(board: JobBoard, config: RunConfig | BaselineConfig, resource: str) -> int:
    return launch(board, config, session.settings(), resource=resource).id
