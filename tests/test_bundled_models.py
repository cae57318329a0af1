"""What is bundled in `weights/` is whole, as good as its card says, and says the same of the images again."""

from __future__ import annotations

import math
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lungassist.classes import CLASSES
from lungassist.evaluation.ensemble import make_ensemble
from lungassist.evaluation.predictions import PREFIX, figures_of
from lungassist.golden import drift_of
from lungassist.imaging import read_radiograph
from lungassist.models.card import Card
from lungassist.models.members import digest_of
from lungassist.models.weights import PREDICTIONS_FILE, verify
from lungassist.phantom import phantom
from lungassist.predict import Classifier
from lungassist.preprocess import prepare_image
from lungassist.settings import Settings
from lungassist.training.presets import load_presets
from lungassist.training.recipe import Recipe

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
BUNDLED = sorted(path.parent for path in WEIGHTS.glob("*/card.json"))
RECORDED = sorted(path.parent for path in WEIGHTS.glob("records/**/card.json"))


@pytest.fixture(params=BUNDLED, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    """Each bundled model's folder."""
    found: Path = request.param
    return found


def test_a_model_is_bundled_and_stays_small() -> None:
    assert BUNDLED
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*.safetensors")) <= 60e6


def test_its_files_are_what_its_card_describes(folder: Path) -> None:
    card = verify(folder)
    assert card.name == folder.name
    assert card.classes == CLASSES
    assert card.limitations


def test_the_notice_says_what_its_weights_derive_from(folder: Path) -> None:
    """The licence of those that they began as asks for it."""
    text = (WEIGHTS.parent / "NOTICE.md").read_text(encoding="utf-8")
    assert re.search(rf"`(weights/)?{re.escape(folder.name)}`", text)
    if "efficientnet" in Card.read(folder / "card.json").architecture:
        row = next(line for line in text.splitlines() if line.startswith("|") and f"`{folder.name}`" in line)
        assert "_pytorch_model`" in row


@pytest.mark.parametrize("folder", [*BUNDLED, *RECORDED], ids=lambda folder: folder.name)
def test_its_card_repeats_its_table_and_nothing_else(folder: Path) -> None:
    card = Card.read(folder / "card.json")
    table = pd.read_csv(folder / PREDICTIONS_FILE, dtype={"patient_id": str}, keep_default_na=False)
    assert table["file"].is_unique
    assert card.name == folder.name, "under which it is compared"
    for split, figures in card.figures.items():
        same(figures, figures_of(table[table["split"] == split], card.classes), split)


def same(recorded: Any, computed: Any, where: str) -> None:
    """Compare nested figures; the table's five decimals leave their mark on calibration alone."""
    if isinstance(recorded, dict):
        assert set(recorded) == set(computed), where
        for key in recorded:
            same(recorded[key], computed[key], f"{where} {key}")
    elif isinstance(recorded, float):
        assert math.isclose(recorded, computed, abs_tol=5e-4), where
    else:
        assert recorded == computed, where


def figures_in_words() -> dict[str, list[str]]:
    """Rows of the table below "## Figures" of MODELS.md: a model's name, and its cells without emphasis."""
    text = (WEIGHTS.parent / "MODELS.md").read_text(encoding="utf-8").partition("\n## Figures\n")[2]
    table = text[text.index("\n| model |") :].strip().partition("\n\n")[0]
    rows = [row.replace("*", "").strip("| ").split(" | ") for row in table.splitlines()[2:]]
    return {row[0].strip("`"): row[1:] for row in rows if row[0].startswith("`")}


@pytest.mark.parametrize("name", figures_in_words())
def test_what_models_md_says_of_a_model_follows_from_its_table(name: str) -> None:
    """Accuracy on train and test, and the test images of each disease that are called Normal."""
    place = next(path for path in (WEIGHTS / name, WEIGHTS / "records" / name) if path.is_dir())
    table = pd.read_csv(place / PREDICTIONS_FILE, dtype={"patient_id": str}, keep_default_na=False)
    train, test = (figures_of(table[table["split"] == split], CLASSES) for split in ("train", "test"))
    said_train, said_test, _, called_normal, *_ = figures_in_words()[name]
    assert said_train == f"{train['accuracy'] * 100:.2f} %"
    assert said_test.partition(" (")[0] == f"{test['accuracy'] * 100:.2f} %"
    sick = test["called_normal"]
    order = (sick["COVID"], sick["Viral Pneumonia"], sick["Lung_Opacity"])
    assert called_normal.partition(" of ")[0] == " / ".join(map(str, order))


def test_all_were_judged_on_the_same_split() -> None:
    """Otherwise a pupil might have learnt a test image from its teacher, and no two models could be compared."""
    assert len({Card.read(folder / "card.json").split["sha256"] for folder in [*BUNDLED, *RECORDED]}) == 1


def test_the_default_is_made_of_what_presets_end_with() -> None:
    name = (WEIGHTS / "DEFAULT").read_text(encoding="utf-8").strip()
    members = [member.name for member in Card.read(WEIGHTS / name / "card.json").members] or [name]
    ends = {preset.runs[-1].name for preset in load_presets().values()}
    assert set(members) <= ends
    assert all((WEIGHTS / member / "model.safetensors").is_file() for member in members)


def test_an_ensemble_is_what_its_members_tables_say(tmp_path: Path) -> None:
    """Made again, from the models that lie beside it, it has the same table, temperature and figures.

    Where images go through an enhancement first, which needs the images, all but for those that it changes.
    """
    shelf = Path(shutil.copytree(WEIGHTS, tmp_path / "weights", ignore=shutil.ignore_patterns("records")))
    for card in [Card.read(folder / "card.json") for folder in BUNDLED]:
        if card.members:
            names, weights = zip(*((member.name, member.weight) for member in card.members), strict=True)
            again = make_ensemble(shelf, names, name="again", weights=weights)
            enhancement = card.preprocessing.enhancement
            changed = card.hyper_parameters.get("images_changed", 0)
            assert digest_of(again.members, enhancement) == card.weights_sha256
            assert again.temperature == pytest.approx(card.temperature, rel=1e-3 if changed else 1e-6)
            tables = [pd.read_csv(shelf / name / PREDICTIONS_FILE) for name in ("again", card.name)]
            said = [f"{PREFIX}{name}" for name in CLASSES]
            pd.testing.assert_frame_equal(*(table.drop(columns=said) for table in tables))
            apart = (tables[0][said] - tables[1][said]).abs().max(axis=1)
            assert (apart > (1e-3 if changed else 2e-5)).sum() <= changed <= len(apart) / 100


@pytest.mark.parametrize("name", ["bundled", "chest", "close", "harmonised"])
def test_what_is_bundled_or_recorded_of_a_preset_was_made_as_it_says(name: str) -> None:
    for run in load_presets()[name].runs:
        places = (WEIGHTS / run.name, WEIGHTS / "records" / name / run.name, WEIGHTS / "records" / run.name)
        card = Card.read(next(place for place in places if (place / "card.json").is_file()) / "card.json")
        wanted = run.recipe.to_json()
        made = Recipe.from_json(card.hyper_parameters).to_json()  # a setting that came later had its default
        for settings in (wanted, made):
            del settings["workers"]  # which do not change the result
        assert made == wanted, run.name


def test_no_patient_is_in_two_splits(folder: Path) -> None:
    table = pd.read_csv(folder / PREDICTIONS_FILE, dtype={"patient_id": str}, keep_default_na=False)
    known = table[table["patient_id"] != ""]
    assert known.groupby("patient_id")["split"].nunique().max() == 1


def test_the_best_of_them_passes_the_floor() -> None:
    best = max(Card.read(folder / "card.json").figures["test"]["accuracy"] for folder in BUNDLED)
    assert best >= 0.91


def test_it_answers_to_a_phantom_with_maps_for_every_class(folder: Path) -> None:
    classifier = Classifier.load(folder)
    pixels = phantom("Normal", 3).astype(np.float32) / 255
    prediction = classifier.predict(prepare_image(pixels, classifier.card.preprocessing)[None])
    assert prediction.probabilities.sum() == pytest.approx(1)
    assert prediction.heat_maps is not None
    assert prediction.heat_maps.shape[1] == len(CLASSES)
    assert np.isfinite(prediction.heat_maps).all()


def test_it_answers_here_as_where_it_was_made(folder: Path) -> None:
    drift = drift_of(Classifier.load(folder), folder)
    assert drift is not None, f"python -m train.golden weights/{folder.name}"
    assert drift.is_none, drift


@pytest.mark.xrays
def test_it_says_of_test_images_what_its_table_says(folder: Path, xrays: Path) -> None:
    table = pd.read_csv(folder / PREDICTIONS_FILE, keep_default_na=False)
    rows = table[table["split"] == "test"].set_index("file")
    classifier, settings = Classifier.load(folder), Settings.from_environment()
    images, expected = [], []
    with tarfile.open(xrays / "cxr4-0.tar") as shard:
        for member in shard:
            if member.name.removeprefix("./") in rows.index and (file := shard.extractfile(member)):
                radiograph = read_radiograph(file.read(), member.name, settings)
                images.append(prepare_image(radiograph.pixels, classifier.card.preprocessing))
                expected.append(rows.loc[member.name.removeprefix("./"), [f"{PREFIX}{name}" for name in CLASSES]])
    assert len(images) > 50
    found = np.concatenate([classifier.predict(part, None).probabilities for part in np.array_split(images, 8)])
    assert np.abs(found - np.asarray(expected, dtype=np.float64)).max() < 2e-3
