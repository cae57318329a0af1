"""An ensemble made of its members' tables: the mean they imply, a temperature, figures, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from lungassist.classes import CLASSES
from lungassist.dataset import index_folder, open_cache
from lungassist.errors import PredictionsError, UsageError, WeightsError
from lungassist.evaluation.ensemble import make_ensemble, undo_ensemble
from lungassist.evaluation.ensemble_images import SeenThrough
from lungassist.evaluation.own_point import propose
from lungassist.evaluation.predictions import PREFIX, figures_of, predictions_table, write_predictions
from lungassist.evaluation.tables import read_predictions
from lungassist.golden import drift_of
from lungassist.imaging import read_radiograph
from lungassist.models.card import Card
from lungassist.models.point_keeping import save_point
from lungassist.models.promotion import promote, undo_promotion
from lungassist.models.registry import build
from lungassist.models.weights import choose_model, load_model, save_model, verify
from lungassist.phantom import phantom_png
from lungassist.predict import Classifier
from lungassist.preprocess import Preprocessing, prepare_image
from lungassist.settings import Settings
from tests.evaluation.made import index_of, table_of
from tests.tiny import save_tiny_model, tiny_card

COLUMNS = [f"{PREFIX}{name}" for name in CLASSES]


def add(shelf: Path, name: str, seed: int, table: pd.DataFrame | None = None, **changes: object) -> Path:
    """Put a tiny model with a table on the shelf."""
    write_predictions(shelf / name / "predictions.csv", table_of(index_of(), seed=seed) if table is None else table)
    save_tiny_model(shelf / name, seed=seed, **changes)
    return shelf / name


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Two models of the same images."""
    for seed, name in enumerate(("one", "two")):
        shared = ("Drawn images only.", "Weakest at COVID-19: 1% of its 9 test images are found.")
        add(tmp_path / "weights", name, seed, limitations=(*shared, f"Only {name} says so."))
    return tmp_path / "weights"


def test_its_table_is_the_mean_of_its_members_at_the_temperature_that_fits_validation(shelf: Path) -> None:
    card = make_ensemble(shelf, ["one", "two"], name="both")
    first, second, found = (pd.read_csv(shelf / name / "predictions.csv") for name in ("one", "two", "both"))
    first, second = first.sort_values("file"), second.sort_values("file")
    assert found["file"].tolist() == first["file"].tolist()
    assert found["split"].tolist() == first["split"].tolist()
    mean = np.sqrt(np.maximum(first[COLUMNS].to_numpy(), 1e-5) * np.maximum(second[COLUMNS].to_numpy(), 1e-5))

    def at(temperature: float) -> np.ndarray:
        raised = mean ** (1 / temperature)
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    validation, truth = (first["split"] == "validation").to_numpy(), first["label"].map(CLASSES.index).to_numpy()
    best = minimize_scalar(
        lambda t: log_loss(truth[validation], at(t)[validation], labels=range(4)), bounds=(0.2, 5), method="bounded"
    )
    assert card.temperature == pytest.approx(best.x, rel=1e-3)
    assert card.temperature != pytest.approx(1, abs=0.02), "else it shows nothing"
    np.testing.assert_allclose(found[COLUMNS].to_numpy(), at(card.temperature), atol=1e-5)


def test_its_card_says_what_it_is_and_how_good(shelf: Path) -> None:
    made = make_ensemble(shelf, ["one", "two"], name="both")
    card = verify(shelf / "both")
    assert card == made
    table = pd.read_csv(shelf / "both" / "predictions.csv")
    assert card.figures["test"] == figures_of(table[table["split"] == "test"], CLASSES)
    assert (card.version, card.architecture, card.flip_test) == ("1.0", "ensemble", False)
    assert card.limitations[0] == "Drawn images only."
    assert "Only one says so." not in card.limitations
    weakest = [sentence for sentence in card.limitations if sentence.startswith("Weakest at")]
    recalls = {name: row["recall"] for name, row in card.figures["test"]["per_class"].items()}
    assert len(weakest) == 1
    assert f": {min(recalls.values()):.0%} of its" in weakest[0]
    assert "An ensemble of one, two" in card.limitations[-1]
    drift = drift_of(Classifier.load(shelf / "both"), shelf / "both")
    assert drift is not None
    assert drift.is_none


def test_it_does_not_become_the_default_unless_asked(shelf: Path) -> None:
    (shelf / "DEFAULT").write_text("two\n")
    make_ensemble(shelf, ["one", "two"], name="both")
    assert choose_model(shelf, None) == "two"
    make_ensemble(shelf, ["two", "one"], name="both", make_default=True)
    assert choose_model(shelf, None) == "both"


def test_one_that_is_made_again_replaces_it_and_can_be_taken_back(shelf: Path) -> None:
    make_ensemble(shelf, ["one", "two"], name="both")
    add(shelf, "three", 3)
    again = make_ensemble(shelf, ["one", "three"], name="both")
    assert again.version == "2.0"
    assert undo_ensemble(shelf, "both").version == "2.0"
    assert [member.name for member in verify(shelf / "both").members] == ["one", "two"]
    Classifier.load(shelf / "both")
    undo_ensemble(shelf, "both")
    assert not (shelf / "both").exists()


def test_only_what_was_done_last_is_taken_back(shelf: Path, tmp_path: Path) -> None:
    (shelf / "DEFAULT").write_text("two\n")
    make_ensemble(shelf, ["one", "two"], name="both", make_default=True)
    save_tiny_model(tmp_path / "run" / "new", seed=5)
    promote(tmp_path / "run" / "new", shelf, name="new", make_default=False)
    with pytest.raises(UsageError, match="both is not the ensemble that was put into"):
        undo_ensemble(shelf, "both")
    assert verify(shelf / "both").members
    undo_promotion(shelf)
    with pytest.raises(UsageError, match=r"last: both was\."):
        undo_ensemble(shelf, "other")
    undo_ensemble(shelf, "both")
    assert choose_model(shelf, None) == "two"
    with pytest.raises(UsageError, match="Nothing was changed"):
        undo_ensemble(shelf, "both")


def test_members_are_named_by_their_folders(shelf: Path) -> None:
    """A folder that was renamed has a card that says another name."""
    (shelf / "two").rename(shelf / "renamed")
    card = make_ensemble(shelf, ["one", "renamed"], name="both")
    assert [member.name for member in card.members] == ["one", "renamed"]
    Classifier.load(shelf / "both")


def test_one_that_cannot_answer_never_comes_onto_the_shelf(shelf: Path) -> None:
    network, card = load_model(shelf / "two")
    for parameter in network.parameters():
        parameter.fill_(float("nan"))
    save_model(shelf / "two", network.state_dict(), card)
    with pytest.raises(WeightsError, match="two, a member of both, answers with numbers that are not finite"):
        make_ensemble(shelf, ["one", "two"], name="both", make_default=True)
    assert not (shelf / "both").exists()
    assert choose_model(shelf, None) == "one"


def test_a_point_is_chosen_for_it_like_for_any_model(shelf: Path) -> None:
    card = make_ensemble(shelf, ["one", "two"], name="both")
    proposal = propose(shelf / "both", "sick", target=0.95)
    save_point(shelf / "both", "sick", proposal.point, weights_sha256=card.weights_sha256)
    assert Classifier.load(shelf / "both").card.operating_point.points["sick"].target == 0.95


def test_three_count_alike(shelf: Path) -> None:
    add(shelf, "three", 3)
    card = make_ensemble(shelf, ["one", "two", "three"], name="all")
    tables = [pd.read_csv(shelf / name / "predictions.csv").sort_values("file") for name in ("one", "two", "three")]
    mean = np.prod([np.maximum(table[COLUMNS].to_numpy(), 1e-5) for table in tables], axis=0)
    found = read_predictions(shelf / "all" / "predictions.csv").probabilities
    np.testing.assert_array_equal(found.argmax(axis=1), mean.argmax(axis=1))
    assert len(card.members) == 3


def test_one_that_counts_more_is_followed_more(shelf: Path) -> None:
    make_ensemble(shelf, ["one", "two"], name="both", weights=[1, 3])
    first, second, found = (pd.read_csv(shelf / name / "predictions.csv") for name in ("one", "two", "both"))
    first, second = (np.maximum(t.sort_values("file")[COLUMNS].to_numpy(), 1e-5) for t in (first, second))
    pooled = first * second**3
    np.testing.assert_array_equal(found[COLUMNS].to_numpy().argmax(axis=1), pooled.argmax(axis=1))
    assert (pooled.argmax(axis=1) != (first * second).argmax(axis=1)).any(), "else it shows nothing"
    for weights in ([1], [1, 0], [1, -2], [1, float("nan")], [1e308, 1e308], [1, 1e-9], [1, float("inf")]):
        with pytest.raises(UsageError, match="a weight above 0 for each of 2 members"):
            make_ensemble(shelf, ["one", "two"], name="other", weights=weights)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (["one"], "at least 2 models"),
        (["one", "one"], "each named once"),
        (["one", "four"], "no model 'four'"),
    ],
)
def test_what_is_too_little_or_not_there(shelf: Path, members: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_ensemble(shelf, members, name="both")
    assert not (shelf / "both").exists()


def test_an_ensemble_of_ensembles_is_its_members_named_apart(shelf: Path) -> None:
    make_ensemble(shelf, ["one", "two"], name="both")
    add(shelf, "three", 3)
    with pytest.raises(UsageError, match="Name its members instead: one, two"):
        make_ensemble(shelf, ["both", "three"], name="all")


def test_models_that_do_not_go_together(shelf: Path) -> None:
    add(shelf, "larger", 3, preprocessing=Preprocessing(size=64))
    with pytest.raises(UsageError, match="same size"):
        make_ensemble(shelf, ["one", "larger"], name="both")
    two = table_of(index_of()).drop(columns=COLUMNS[2:])
    two = two[two["label"].isin(CLASSES[:2])]
    add(shelf, "fewer", 4, two.assign(**{COLUMNS[0]: 0.5, COLUMNS[1]: 0.5}), classes=CLASSES[:2])
    with pytest.raises(UsageError, match="same classes"):
        make_ensemble(shelf, ["one", "fewer"], name="both")


def test_the_name_of_a_model_with_weights_is_taken(shelf: Path) -> None:
    with pytest.raises(UsageError, match="weights of its own"):
        make_ensemble(shelf, ["one", "two"], name="one")
    with pytest.raises(UsageError, match="cannot name a model"):
        make_ensemble(shelf, ["one", "two"], name="../out")


def test_members_must_have_been_judged_on_the_same_images(shelf: Path) -> None:
    index = index_of()
    moved = index.assign(split=index["split"].where(index.index != 5, "validation"))
    assert moved.loc[5, "split"] != index.loc[5, "split"], "else it shows nothing"
    add(shelf, "moved", 3, table_of(moved))
    with pytest.raises(PredictionsError, match="0 images are in one table only, 1 have another label or split"):
        make_ensemble(shelf, ["one", "moved"], name="both")
    add(shelf, "fewer", 4, table_of(index[3:]))
    with pytest.raises(PredictionsError, match="3 images are in one table only, 0 have another"):
        make_ensemble(shelf, ["one", "fewer"], name="both")


def test_files_of_the_same_names_may_hold_other_pictures(tmp_path: Path) -> None:
    for seed, (name, content) in enumerate((("one", "1"), ("two", "1"), ("other", "2"))):
        add(tmp_path, name, seed, data={"content_sha256": content})
    make_ensemble(tmp_path, ["one", "two"], name="both")
    with pytest.raises(UsageError, match="files of other contents"):
        make_ensemble(tmp_path, ["one", "other"], name="both")


def test_without_validation_images_there_is_no_temperature(tmp_path: Path) -> None:
    table = table_of(index_of().assign(split="test"))
    for seed, name in enumerate(("one", "two")):
        add(tmp_path, name, seed, table)
    with pytest.raises(PredictionsError, match="no validation images"):
        make_ensemble(tmp_path, ["one", "two"], name="both")


def test_a_member_without_its_table_or_damaged_is_told(shelf: Path) -> None:
    (shelf / "two" / "predictions.csv").write_text("file,label\n")
    with pytest.raises(WeightsError, match="damaged"):
        make_ensemble(shelf, ["one", "two"], name="both")
    (shelf / "two" / "predictions.csv").unlink()
    with pytest.raises(PredictionsError, match=r"no predictions\.csv"):
        make_ensemble(shelf, ["one", "two"], name="both")
    assert not (shelf / "both").exists()
    assert Card.read(shelf / "one" / "card.json").name == "one"


def alive(architecture: str, seed: int) -> torch.nn.Module:
    """A network of random weights and batch statistics, which tells images apart."""
    torch.manual_seed(seed)
    network = build(architecture, len(CLASSES)).train()
    with torch.no_grad():
        for _ in range(10):
            network(torch.randn(8, 3, 32, 32))
    return network


@pytest.fixture
def with_images(tmp_path: Path) -> SeenThrough:
    """Two models whose tables are what they say of the images in a folder, and an enhancement that changes all."""
    data, shelf, settings = tmp_path / "data", tmp_path / "weights", Settings.from_environment()
    for kind in CLASSES:
        (data / kind).mkdir(parents=True)
        for seed in range(6):
            (data / kind / f"{kind}-{seed}.png").write_bytes(phantom_png(kind, seed, 64))
    index = index_folder(data)
    prepared = open_cache(index, Preprocessing(size=32), settings)
    table = index.table.assign(split=np.resize(["train", "validation", "test"], len(index.table)))
    for seed, name in enumerate(("one", "two")):
        card = tiny_card(name, architecture="resnet18", data={"content_sha256": prepared.content_hash})
        network = alive(card.architecture, seed)
        save_model(shelf / name, network.state_dict(), card)
        said = Classifier.load(shelf / name).predict(np.asarray(prepared.images[:]), None).probabilities
        if name == "one":  # labels that follow its answers, or the best temperature would make all classes alike
            likes = np.log(said)
            table["label"] = np.asarray(CLASSES)[((likes - likes.mean(axis=0)) / likes.std(axis=0)).argmax(axis=1)]
        made = predictions_table(table[["file", "label", "source", "patient_id", "split"]], said, CLASSES)
        write_predictions(shelf / name / "predictions.csv", made)
        save_model(shelf / name, network.state_dict(), card)
    return SeenThrough("laplace", data, None, settings)


def test_images_can_go_through_an_enhancement_first(tmp_path: Path, with_images: SeenThrough) -> None:
    """The table is then what the ensemble says, too; without it, what it says of images as they came."""
    shelf, data = tmp_path / "weights", with_images.data
    plain = make_ensemble(shelf, ["one", "two"], name="plain")
    card = make_ensemble(shelf, ["one", "two"], name="through", through=with_images)
    assert card.weights_sha256 != plain.weights_sha256
    assert card.preprocessing.enhancement == "laplace"
    assert card.hyper_parameters == {"enhancement": "laplace", "images_changed": 24}
    assert verify(shelf / "through") == Card.read(shelf / "through" / "card.json")
    said = {}
    for name in ("plain", "through"):
        table = pd.read_csv(shelf / name / "predictions.csv")
        model = Classifier.load(shelf / name)
        pixels = [
            read_radiograph((data / file).read_bytes(), file, with_images.settings).pixels for file in table["file"]
        ]
        images = np.stack([prepare_image(each, model.card.preprocessing) for each in pixels])
        said[name] = model.predict(images, None).probabilities
        np.testing.assert_allclose(said[name], table[COLUMNS].to_numpy(), atol=2e-4)
    assert np.abs(said["plain"] - said["through"]).max() > 1e-3


def test_what_an_enhancement_leaves_alone_is_taken_from_the_tables(tmp_path: Path, with_images: SeenThrough) -> None:
    shelf = tmp_path / "weights"
    plain = make_ensemble(shelf, ["one", "two"], name="plain")
    card = make_ensemble(shelf, ["one", "two"], name="through", through=replace(with_images, enhancement="undo-clahe"))
    assert card.hyper_parameters["images_changed"] == 0, "no phantom was equalised"
    assert card.temperature == plain.temperature
    tables = [pd.read_csv(shelf / name / "predictions.csv") for name in ("plain", "through")]
    pd.testing.assert_frame_equal(*tables)


def test_the_images_must_be_those_of_the_members(tmp_path: Path, with_images: SeenThrough) -> None:
    shelf = tmp_path / "weights"
    file = with_images.data / "Normal" / "Normal-3.png"
    file.write_bytes(phantom_png("Normal", 99, 64))
    with pytest.raises(PredictionsError, match="other contents than those that one was trained"):
        make_ensemble(shelf, ["one", "two"], name="through", through=with_images)
    file.unlink()
    with pytest.raises(PredictionsError, match=r"lacks 1 of the 24 images .* Normal/Normal-3.png"):
        make_ensemble(shelf, ["one", "two"], name="through", through=with_images)
    assert not (shelf / "through").exists()
