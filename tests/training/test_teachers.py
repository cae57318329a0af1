"""Distillation: what the teachers think, in their own view of a batch, and how much of it the pupil learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional

from lungassist.classes import CLASSES, COVID, NORMAL
from lungassist.errors import UsageError
from lungassist.files import write_json
from lungassist.models.card import Card
from lungassist.models.members import ENSEMBLE, Member, digest_of
from lungassist.models.weights import load_model, save_model
from lungassist.phantom import phantom
from lungassist.preprocess import Preprocessing, to_batch
from lungassist.settings import Settings
from lungassist.training.config import RunConfig
from lungassist.training.estimate import estimate
from lungassist.training.evened import evened_batch
from lungassist.training.fit import fit
from lungassist.training.pixels import LabelledImages
from lungassist.training.recipe import Recipe
from lungassist.training.run import RunDirectory
from lungassist.training.state import start
from lungassist.training.surroundings import Surroundings
from lungassist.training.teachers import Teachers
from tests.drawn import SMALL, card_of, network_of, write_films
from tests.training.runs import RECIPE, assert_same_run, config_of, resumed, run_of
from train.estimate import main as estimate_command

OWN = Recipe(architecture=SMALL, start="scratch", size=32, batch_size=8, averaging=0.0, epochs=1)
WARM = 20.0


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path / "weights"))
    return Settings.from_environment()


def taught(settings: Settings, *names: str, **changes: object) -> Teachers:
    found = Teachers.of(replace(OWN, teachers=names, **changes), CLASSES, settings)  # type: ignore[arg-type]
    assert found is not None
    return found


def save(settings: Settings, name: str, seed: int = 1, **changes: object) -> nn.Module:
    """Put a model on the shelf; what is read back from it, in half precision."""
    # Random weights give large logits; divided by so much, they are an opinion and no verdict.
    card = card_of(**{"name": name, "preprocessing": OWN.preprocessing, "temperature": WARM, **changes})
    weights = network_of(size=card.preprocessing.size, classes=len(card.classes), seed=seed)
    save_model(settings.weights_dir / name, weights.state_dict(), card)
    return load_model(settings.weights_dir / name)[0].eval()


def grey(count: int = 3, side: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (count, side, side), dtype=torch.uint8, generator=generator)


def softened(network: nn.Module, batch: torch.Tensor, temperature: float) -> torch.Tensor:
    with torch.no_grad():
        opinion: torch.Tensor = (network(batch) / (temperature * 2)).softmax(1)
    return opinion


def test_without_teachers_there_are_none(settings: Settings) -> None:
    assert Teachers.of(OWN, CLASSES, settings) is None


def test_an_ensemble_teaches_as_its_members_do(settings: Settings) -> None:
    for seed, name in enumerate(("one", "other"), 1):
        save(settings, name, seed)
    members = tuple(Member.of(Card.read(settings.weights_dir / name / "card.json")) for name in ("one", "other"))
    card = card_of(
        name="both",
        architecture=ENSEMBLE,
        preprocessing=OWN.preprocessing,
        members=members,
        weights_sha256=digest_of(members),
    )
    (settings.weights_dir / "both").mkdir()
    card.write(settings.weights_dir / "both" / "card.json")
    batch = to_batch(grey(), OWN.preprocessing)
    expected = taught(settings, "one", "other").opinion(batch)
    torch.testing.assert_close(taught(settings, "both").opinion(batch), expected, rtol=0, atol=0)
    with pytest.raises(UsageError, match=r"The teacher both \(one\)"):
        Teachers.of(replace(OWN, teachers=("both",)), CLASSES[:2], settings)


def test_the_opinion_is_the_mean_of_calibrated_softened_probabilities(settings: Settings) -> None:
    one, other = save(settings, "one", 1, temperature=10.0), save(settings, "other", 2, temperature=30.0)
    batch = to_batch(grey(), OWN.preprocessing)
    first, second = softened(one, batch, 10.0), softened(other, batch, 30.0)
    found = taught(settings, "one", "other").opinion(batch)
    torch.testing.assert_close(found, (first + second) / 2, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.sum(1), torch.ones(3))
    assert not torch.allclose(first, second, atol=0.1), "else it shows nothing"


def test_a_teacher_sees_the_batch_as_it_was_trained_to(settings: Settings) -> None:
    """Same grey levels, its own normalisation."""
    own = Preprocessing(size=32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    network = save(settings, "imagenet", preprocessing=own)
    assert own != OWN.preprocessing
    found = taught(settings, "imagenet").opinion(to_batch(grey(), OWN.preprocessing))
    torch.testing.assert_close(found, softened(network, to_batch(grey(), own), WARM), rtol=1e-3, atol=1e-3)


def test_a_teacher_sees_the_batch_in_its_own_size(settings: Settings) -> None:
    network = save(settings, "large", preprocessing=replace(OWN.preprocessing, size=64))
    batch = to_batch(grey(), OWN.preprocessing)
    larger = functional.interpolate(batch, size=(64, 64), mode="bilinear", antialias=True, align_corners=False)
    found = taught(settings, "large").opinion(batch)
    torch.testing.assert_close(found, softened(network, larger, WARM), rtol=1e-3, atol=1e-3)


def test_a_teacher_with_a_flip_test_is_asked_both_ways(settings: Settings) -> None:
    network = save(settings, "both", flip_test=True)
    batch = to_batch(grey(), OWN.preprocessing)
    with torch.no_grad():
        logits = (network(batch) + network(batch.flip(-1))) / 2
    expected = (logits / (2 * WARM)).softmax(1)
    torch.testing.assert_close(taught(settings, "both").opinion(batch), expected, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(softened(network, batch, WARM), expected, atol=0.02), "else it shows nothing"


def test_the_share_blends_label_and_opinion(settings: Settings) -> None:
    save(settings, "one")
    batch = to_batch(grey(), OWN.preprocessing)
    logits, losses = torch.tensor([[1.0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 3]]), torch.tensor([0.5, 1.0, 2.0])
    label_alone = taught(settings, "one", distillation=0.0).blended(losses, logits, batch)
    torch.testing.assert_close(label_alone, losses)
    teachers = taught(settings, "one", distillation=1.0)
    opinion, own = teachers.opinion(batch), (logits / 2).softmax(1)
    divergence = (opinion * (opinion.log() - own.log())).sum(1)
    torch.testing.assert_close(teachers.blended(losses, logits, batch), 4 * divergence)
    half = taught(settings, "one", distillation=0.25).blended(losses, logits, batch)
    torch.testing.assert_close(half, 0.75 * losses + 0.25 * 4 * divergence)


def test_who_thinks_as_the_teacher_does_learns_nothing_from_it(settings: Settings) -> None:
    network = save(settings, "one")
    batch = to_batch(grey(), OWN.preprocessing)
    with torch.no_grad():
        logits = network(batch)
    # Its calibrated logits: a pupil's are taken as they are.
    learnt = taught(settings, "one", distillation=1.0).blended(torch.ones(3), logits / WARM, batch)
    torch.testing.assert_close(learnt, torch.zeros(3), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": (COVID, NORMAL)}, "COVID, Normal apart"),
        ({"preprocessing": replace(OWN.preprocessing, enhancement="clahe")}, "'clahe', the recipe asks for 'none'"),
    ],
)
def test_a_teacher_that_cannot_teach_is_refused(settings: Settings, changes: dict[str, object], message: str) -> None:
    save(settings, "odd", **changes)
    with pytest.raises(UsageError, match=message):
        taught(settings, "odd")


def test_one_without_the_enhancement_cannot_teach_images_that_were_enhanced_before(settings: Settings) -> None:
    save(settings, "plain")
    with pytest.raises(UsageError, match="'none', the recipe asks for 'bands'"):
        taught(settings, "plain", enhancement="bands")
    assert taught(settings, "plain", enhancement="bands", enhance_changed=True).want_raw


def test_a_teacher_that_is_not_there_is_named(settings: Settings) -> None:
    with pytest.raises(UsageError, match=r"no model at 'absent'.*Expected the name of a model"):
        taught(settings, "absent")


def images(count: int, seed: int) -> LabelledImages:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 32, 32), dtype=torch.uint8, generator=generator)
    return LabelledImages(pixels, torch.arange(count) % len(CLASSES))


def test_labels_that_are_noise_are_not_learnt_where_the_teacher_decides(settings: Settings) -> None:
    """With all of the loss the teacher's, other labels change nothing; with half of it they do."""
    save(settings, "one")

    def trained(share: float, turn: int) -> torch.Tensor:
        recipe = replace(OWN, teachers=("one",), distillation=share)
        data = images(16, 1)
        data = LabelledImages(data.images, (data.labels + turn) % len(CLASSES))
        state = start(network_of(size=32, seed=3), recipe, 16)
        teachers = Teachers.of(recipe, CLASSES, settings)
        for _ in fit(state, data, images(8, 2), recipe, classes=CLASSES, teachers=teachers):
            pass
        return state.model.get_parameter("classifier.3.weight").detach()

    torch.testing.assert_close(trained(1.0, 0), trained(1.0, 1), rtol=0, atol=0)
    assert not torch.equal(trained(0.5, 0), trained(0.5, 1))


class _Watched:
    """Teachers that keep the batches which they are asked about."""

    def __init__(self, teachers: Teachers) -> None:
        self._teachers = teachers
        self.seen: list[torch.Tensor] = []

    @property
    def want_raw(self) -> bool:
        return self._teachers.want_raw

    def blended(
        self, losses: torch.Tensor, logits: torch.Tensor, batch: torch.Tensor, raw: torch.Tensor | None
    ) -> torch.Tensor:
        self.seen += [view.clone() for view in (batch, raw) if view is not None]
        return self._teachers.blended(losses, logits, batch, raw)


@pytest.mark.parametrize("change", ["surroundings", "processing"])
def test_teachers_see_a_chest_as_it_came(settings: Settings, change: str) -> None:
    """Turned, shifted and exposed as the pupil's, but in its own surroundings and with its own local contrast."""
    save(settings, "one")
    still = replace(OWN, size=160, teachers=("one",), rotation=20.0, exposure=0.4)
    still = replace(still, degrade=change == "surroundings")  # noise is drawn after the processing
    changed = replace(still, **{change: 1.0})  # type: ignore[arg-type]
    films = torch.from_numpy(np.stack([phantom(CLASSES[i % 4], seed=i, size=160) for i in range(8)]))
    data = LabelledImages(films, torch.arange(8) % len(CLASSES))
    seen: dict[str, list[torch.Tensor]] = {"pupil": [], "alone": []}
    for name, recipe in (("alone", still), ("pupil", changed)):
        surroundings = Surroundings.of(recipe, data)
        state = start(network_of(size=160, seed=3), recipe, 8)
        watched = _Watched(taught(settings, "one", size=160))
        state.model.register_forward_pre_hook(
            lambda module, given, name=name: seen[name].append(given[0].clone()) if module.training else None
        )
        for _ in fit(state, data, data, recipe, classes=CLASSES, teachers=watched, surroundings=surroundings):  # type: ignore[arg-type]
            pass
        assert len(watched.seen) == 1
        torch.testing.assert_close(watched.seen[0], seen["alone"][0], rtol=0, atol=0)
    assert not torch.allclose(seen["pupil"][0], seen["alone"][0], atol=0.1), "else it shows nothing"


@pytest.mark.parametrize("change", [None, "processing"])
def test_a_pupil_of_evened_bands_may_have_teachers_without(settings: Settings, change: str | None) -> None:
    """Each sees the same changed images, as it wants them."""
    save(settings, "plain", 1)
    save(settings, "even", 2, preprocessing=replace(OWN.preprocessing, enhancement="bands"))
    evens = {"enhancement": "bands", "enhance_changed": True}
    recipe = replace(OWN, **evens, exposure=0.4, degrade=False, teachers=("plain", "even"))  # type: ignore[arg-type]
    changed = replace(recipe, processing=1.0) if change else recipe
    watched = _Watched(taught(settings, "plain", "even", **evens))
    state = start(network_of(size=32, seed=3), changed, 8)
    for _ in fit(state, images(8, 1), images(8, 2), changed, classes=CLASSES, teachers=watched):  # type: ignore[arg-type]
        pass
    (batch, raw) = watched.seen
    mean, std = OWN.preprocessing.mean[0], OWN.preprocessing.std[0]
    grey_levels = (raw[:, 0] * std + mean) * 255
    expected = to_batch(evened_batch(grey_levels), OWN.preprocessing)
    torch.testing.assert_close(batch, expected, rtol=0, atol=1e-3)
    assert not torch.allclose(batch, raw, atol=0.1), "else it shows nothing"
    opinions = [taught(settings, name, **evens).opinion(batch, raw) for name in ("plain", "even")]
    both = taught(settings, "plain", "even", **evens).opinion(batch, raw)
    torch.testing.assert_close(both, sum(opinions) / 2)
    torch.testing.assert_close(opinions[0], taught(settings, "plain").opinion(raw))


@pytest.fixture(scope="module")
def teacher(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run. Read only."""
    run = tmp_path_factory.mktemp("runs") / "teacher"
    run_of(run, films, replace(RECIPE, epochs=1))
    return run


def test_a_run_with_a_teacher_and_one_that_was_interrupted_agree(teacher: Path, films: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, teachers=(str(teacher),), distillation=0.9)
    card = run_of(tmp_path / "whole", films, recipe)
    assert card.hyper_parameters["teachers"] == [str(teacher)]
    alone = run_of(tmp_path / "alone", films, RECIPE)
    assert card.weights_sha256 != alone.weights_sha256
    cut = RunDirectory(tmp_path / "cut")
    cut.prepare(config_of(films, recipe))
    with pytest.raises(KeyboardInterrupt):
        resumed(cut.path, stop=_After(4), seconds_between_checkpoints=0)
    resumed(cut.path)
    assert_same_run(tmp_path / "whole", cut.path)


class _After:
    """A request to stop that interrupts as a power cut does, after some looks."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    def __call__(self) -> bool:
        self._looks -= 1
        if self._looks < 0:
            raise KeyboardInterrupt
        return False

    def end(self) -> None:
        raise AssertionError("nobody asked")

    def check(self) -> None:
        return


def test_what_a_teacher_was_trained_on_is_confessed(teacher: Path, films: Path, tmp_path: Path) -> None:
    card = run_of(tmp_path / "run", films, replace(RECIPE, teachers=(str(teacher),), epochs=1, split_seed=2))
    before, now = (pd.read_csv(run / "split.csv").set_index("file")["split"] for run in (teacher, tmp_path / "run"))
    seen = int(((before == "train") & (now == "test")).sum())
    assert seen > 0
    assert card.training["images_seen_by_start"]["test"] == seen
    assert any(words.startswith(f"{seen} of the 4 test images were trained on") for words in card.limitations)


def test_the_estimate_counts_the_teachers_too(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    save(settings, "one")
    asked: list[int] = []
    original = Teachers.opinion

    def opinion(self: Teachers, batch: torch.Tensor, raw: torch.Tensor | None = None) -> torch.Tensor:
        asked.append(len(batch))
        return original(self, batch, raw)

    monkeypatch.setattr(Teachers, "opinion", opinion)
    found = estimate(replace(OWN, teachers=("one",), epochs=3), 100, "cpu", settings)
    assert found.seconds > 0
    assert max(asked) == OWN.batch_size
    with pytest.raises(UsageError, match="no model at 'absent'"):
        estimate(replace(OWN, teachers=("absent",)), 100, "cpu", settings)


def test_the_estimate_takes_teachers_of_the_images_own_classes(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of two classes, and a teacher of these two: by the command, with and without the images' number."""
    save(settings, "two", classes=("COVID", "Normal"))
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(settings.weights_dir))
    data = write_films(tmp_path / "films", {"COVID": 4, "Normal": 4})
    recipe = replace(OWN, teachers=("two",), epochs=1, batch_size=4)
    write_json(tmp_path / "config.json", RunConfig("two", data, device="cpu", recipe=recipe).to_json())
    command = ["--config", str(tmp_path / "config.json"), "--json"]
    assert estimate_command(command) == 0
    assert estimate_command([*command, "--images", "8"]) == 0
    assert estimate_command([*command, "--images", "8", "--class=Normal", "--class=COVID"]) == 0
    assert capsys.readouterr().err == ""
    assert estimate_command([*command, "--images", "8", "--class=A", "--class=B"]) == 2
    assert "The teacher two tells COVID, Normal apart; the images are of A, B" in capsys.readouterr().err
