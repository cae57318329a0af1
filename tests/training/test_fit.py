"""The loop: what is frozen stays, what is averaged is kept, and what cannot go on says so."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from lungassist.errors import TrainingError
from lungassist.models.registry import build
from lungassist.training.batch_norm import with_clean_statistics, with_training_statistics
from lungassist.training.fit import fit
from lungassist.training.judge import judge
from lungassist.training.optimisation import optimiser_of, schedule_of
from lungassist.training.pixels import LabelledImages, Rows
from lungassist.training.recipe import Recipe
from lungassist.training.state import FitState, start
from lungassist.training.steps import steps_in_epoch
from tests.drawn import SMALL, network_of

RECIPE = Recipe(architecture=SMALL, start="scratch", size=32, epochs=2, batch_size=8, learning_rate=1e-3, averaging=0.5)


def data(count: int, seed: int = 1) -> LabelledImages:
    """Bright images are class 1, dark ones class 0."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    noise = torch.randint(0, 100, (count, 32, 32), generator=generator)
    return LabelledImages((noise + 100 * labels.view(-1, 1, 1)).to(torch.uint8), labels)


def begun(recipe: Recipe, images: int = 18) -> FitState:
    return start(network_of(recipe.architecture, size=32, classes=2), recipe, images)


@pytest.mark.parametrize(
    ("images", "batch_size", "steps"), [(16, 8, 2), (17, 8, 2), (18, 8, 3), (7, 8, 1), (1, 8, 0), (3, 2, 1)]
)
def test_a_last_image_alone_is_dropped(images: int, batch_size: int, steps: int) -> None:
    assert steps_in_epoch(images, batch_size) == steps


def test_every_step_is_reported_and_every_epoch_has_its_figures() -> None:
    state, steps = begun(RECIPE), []
    figures = list(fit(state, data(18), data(6, 2), RECIPE, report=lambda *step: steps.append(step)))
    assert [step[:2] for step in steps] == [(1, 3), (2, 3), (3, 3)] * 2
    assert all(torch.isfinite(step[2]) for step in steps)
    assert [epoch.epoch for epoch in figures] == [1, 2]
    assert all(0 <= epoch.validation_accuracy <= 1 and epoch.seconds > 0 for epoch in figures)
    judged = with_clean_statistics(state.kept, data(18).images, RECIPE)
    verdict = judge(judged, data(6, 2), RECIPE, ("dark", "bright"))
    expected = (figures[-1].validation_loss, figures[-1].validation_accuracy)
    assert (verdict.loss, verdict.accuracy) == pytest.approx(expected)
    assert state.history == figures


@pytest.mark.parametrize("rule", ["paper", "validation_loss"])
def test_the_best_epoch_is_kept_by_the_rule(rule: str) -> None:
    recipe = replace(RECIPE, choose_by=rule, epochs=5, averaging=0.0, learning_rate=0.01)
    state = begun(recipe)
    weights, rows = {}, []
    for figures in fit(state, data(18), data(9, 2), recipe, classes=("Normal", "COVID")):
        weights[figures.epoch] = with_clean_statistics(state.kept, data(18).images, recipe).state_dict()
        rows.append(figures)
    if rule == "paper":
        best = min(rows, key=lambda f: (f.contagious_called_normal, -f.validation_accuracy, f.validation_loss))
    else:
        best = min(rows, key=lambda f: f.validation_loss)
    assert state.best_epoch == best.epoch
    for key, value in state.best_weights.items():
        torch.testing.assert_close(value, weights[best.epoch][key], rtol=0, atol=0)


def test_a_run_that_gets_no_better_stops_early() -> None:
    """At almost no learning rate the first epoch is as good as any, and batch norm is measured afresh each time."""
    recipe = replace(RECIPE, patience=2, epochs=9, learning_rate=1e-7, averaging=0.0, choose_by="paper")
    state = begun(recipe)
    state.best_rank = (0.0, -2.0, 0.0)  # better than can be
    assert [figures.epoch for figures in fit(state, data(18), data(6), recipe)] == [1, 2]


def test_images_may_lie_anywhere() -> None:
    """Tensor, array and rows of an array are the same data."""
    whole = data(18)
    array = whole.images.numpy()
    shuffled = np.random.default_rng(0).permutation(18)
    rows = LabelledImages(Rows(array[np.argsort(shuffled)], shuffled), whole.labels)
    outcomes = []
    for train in (whole, LabelledImages(array, whole.labels), rows):
        recipe = replace(RECIPE, epochs=1)
        state = begun(recipe)
        (figures,) = fit(state, train, data(6), recipe)
        outcomes.append((figures.train_loss, figures.validation_loss))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_what_is_frozen_does_not_change_and_its_batch_norm_is_held() -> None:
    recipe = replace(RECIPE, groups=("classifier",))
    state = begun(recipe)
    before = {key: value.clone() for key, value in state.model.state_dict().items()}
    for _ in fit(state, data(18), data(6), recipe):
        pass
    for network in (state.model, state.kept):
        for key, value in network.state_dict().items():
            if key.startswith("features.") and not key.endswith("num_batches_tracked"):
                torch.testing.assert_close(value, before[key], rtol=0, atol=0)
            elif key.startswith("classifier."):
                assert not torch.equal(value, before[key])
    key = "features.0.1.num_batches_tracked"
    assert torch.equal(state.model.state_dict()[key], before[key])


@pytest.mark.parametrize("averaging", [0.0, 0.5])
def test_held_batch_norm_keeps_the_statistics_of_changed_images_throughout(averaging: float) -> None:
    recipe = replace(RECIPE, batch_norm="held", averaging=averaging)
    state = begun(recipe)
    measured = with_training_statistics(state.model, data(18).images, recipe).state_dict()
    before = {key: value.clone() for key, value in state.model.state_dict().items()}
    figures = list(fit(state, data(18), data(6, 2), recipe))
    statistics = [key for key in measured if key.endswith(("running_mean", "running_var"))]
    assert any(not torch.equal(measured[key], before[key]) for key in statistics), "nothing was measured"
    for held in (state.model.state_dict(), state.kept.state_dict(), state.best_weights):
        assert all(torch.equal(held[key], measured[key]) for key in statistics)
    assert not torch.equal(state.kept.state_dict()["features.0.1.weight"], before["features.0.1.weight"])
    verdict = judge(state.kept.eval(), data(6, 2), recipe, ("dark", "bright"))
    assert (verdict.loss, verdict.accuracy) == (figures[-1].validation_loss, figures[-1].validation_accuracy)


def test_without_frozen_groups_everything_changes() -> None:
    state = begun(RECIPE)
    before = {key: value.clone() for key, value in state.model.state_dict().items()}
    for _ in fit(state, data(18), data(6), RECIPE):
        pass
    changed = {key for key, value in state.model.state_dict().items() if not torch.equal(value, before[key])}
    assert {"features.0.0.weight", "features.0.1.running_mean", "classifier.3.bias"} <= changed


def test_the_average_is_what_is_kept() -> None:
    """The first step's weights are copied; from then on each step moves the average by a half (decay 0.5)."""
    recipe = replace(RECIPE, epochs=1)
    state = begun(recipe)
    seen: list[torch.Tensor] = []
    weight = state.model.get_parameter("classifier.3.weight")
    state.schedule.step = lambda *given: seen.append(weight.detach().clone())  # type: ignore[method-assign]
    list(fit(state, data(18), data(6), recipe))
    expected = seen[0]
    for value in seen[1:]:
        expected = 0.5 * expected + 0.5 * value
    torch.testing.assert_close(state.kept.state_dict()["classifier.3.weight"], expected)
    torch.testing.assert_close(state.best_weights["classifier.3.weight"], expected)


def test_without_averaging_the_network_itself_is_kept() -> None:
    state = begun(replace(RECIPE, averaging=0.0))
    assert state.kept is state.model


def test_only_matrices_decay() -> None:
    state = begun(RECIPE)
    decayed, rest = state.optimiser.param_groups
    assert decayed["weight_decay"] == RECIPE.weight_decay
    assert rest["weight_decay"] == 0
    assert all(parameter.ndim > 1 for parameter in decayed["params"])
    assert all(parameter.ndim == 1 for parameter in rest["params"])
    assert len(decayed["params"]) + len(rest["params"]) == len(list(state.model.parameters()))


def rates_of(recipe: Recipe) -> list[float]:
    """The learning rate of every step, one an epoch, of a network that has no numbers and costs nothing."""
    with torch.device("meta"):
        optimiser = optimiser_of(build(SMALL, 2), recipe)
    schedule = schedule_of(optimiser, recipe, recipe.epochs)
    rates = []
    for _ in range(recipe.epochs):
        rates.append(float(optimiser.param_groups[0]["lr"]))
        optimiser.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_a_run_of_any_length_has_a_schedule(optimiser: str, schedule: str) -> None:
    for steps in (1, 2, 4, 5, 6, 10):
        rates = rates_of(replace(RECIPE, epochs=steps, optimiser=optimiser, schedule=schedule))
        assert all(0 < rate <= RECIPE.learning_rate * 1.0001 for rate in rates)
        if schedule == "constant":
            assert rates == [RECIPE.learning_rate] * steps


def test_one_cycle_rises_to_the_learning_rate_and_falls_to_almost_nothing() -> None:
    rates = rates_of(replace(RECIPE, epochs=100))
    assert max(rates) == pytest.approx(RECIPE.learning_rate, rel=0.01)
    assert 15 <= rates.index(max(rates)) <= 20
    assert rates[0] < RECIPE.learning_rate / 20
    assert rates[-1] < RECIPE.learning_rate / 1000


def test_the_same_seed_gives_the_same_weights() -> None:
    def trained(seed: int) -> dict[str, torch.Tensor]:
        recipe = replace(RECIPE, epochs=1, seed=seed)
        state = begun(recipe)
        list(fit(state, data(10), data(4), recipe))
        return state.best_weights

    first, again, other = trained(1), trained(1), trained(2)
    for key, value in first.items():
        torch.testing.assert_close(again[key], value, rtol=0, atol=0)
    assert not torch.equal(first["classifier.3.weight"], other["classifier.3.weight"])


def test_a_loss_that_is_no_number_ends_the_run_with_advice() -> None:
    state = begun(RECIPE)
    with torch.no_grad():
        state.model.get_parameter("classifier.3.weight")[0, 0] = math.nan
    with pytest.raises(TrainingError, match=r"loss became nan in epoch 1.*Lower the learning rate"):
        next(fit(state, data(18), data(6), RECIPE))


def test_bfloat16_learns_as_well() -> None:
    recipe = replace(RECIPE, epochs=1, precision="bfloat16")
    (figures,) = fit(begun(recipe), data(10), data(4), recipe)
    assert math.isfinite(figures.train_loss)
    assert math.isfinite(figures.validation_loss)
