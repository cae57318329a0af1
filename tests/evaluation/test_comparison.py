"""Everything the comparison shows, against scikit-learn, SciPy or a count by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn import metrics as reference

from lungassist.classes import CLASSES, COVID, LUNG_OPACITY, NORMAL, VIRAL_PNEUMONIA
from lungassist.errors import PredictionsError, UsageError
from lungassist.evaluation.comparison import SICK, Comparison
from lungassist.evaluation.comparison_json import comparison_json
from lungassist.evaluation.evidence import AREA, FIELD, INSIDE
from lungassist.evaluation.leaderboard import family_named, family_of
from lungassist.evaluation.operating import CONTAGIOUS_QUESTION
from lungassist.evaluation.predictions import arrays_of
from lungassist.evaluation.slices import OTHERS, UNKNOWN
from lungassist.evaluation.tables import read_predictions
from lungassist.models.members import ENSEMBLE, Member, digest_of
from tests.tiny import tiny_card

from .made import index_of, read, table_of, written

INDEX = index_of()
SKILLS = {"good": 3.0, "fair": 2.0, "poor": 1.0}


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("tables")
    tables = [read(folder, name, table_of(INDEX, skill, seed)) for seed, (name, skill) in enumerate(SKILLS.items())]
    return Comparison.of(tables, resamples=100)


def of_test(name: str) -> tuple[np.ndarray, np.ndarray]:
    seed = list(SKILLS).index(name)
    table = table_of(INDEX, SKILLS[name], seed)
    return arrays_of(table[table["split"] == "test"].sort_values("file"), CLASSES)


def test_the_leaderboard_is_scikit_learns(comparison: Comparison) -> None:
    assert [row.model for row in comparison.leaderboard] == list(SKILLS)
    for row in comparison.leaderboard:
        labels, p = of_test(row.model)
        found = p.argmax(axis=1)
        normal = CLASSES.index(NORMAL)
        assert row.images == len(labels)
        assert row.accuracy.value == pytest.approx(reference.accuracy_score(labels, found), abs=1e-12)
        assert row.macro_f1.value == pytest.approx(reference.f1_score(labels, found, average="macro"), abs=1e-12)
        assert row.sick_roc_auc.value == pytest.approx(reference.roc_auc_score(labels != normal, 1 - p[:, normal]))
        matrix = reference.confusion_matrix(labels, found)
        np.testing.assert_array_equal(comparison.confusion(row.model), matrix)
        assert {label: value.value for label, value in row.called_normal.items()} == {
            label: matrix[CLASSES.index(label), normal] for label in (COVID, LUNG_OPACITY, VIRAL_PNEUMONIA)
        }
        assert row.contagious_called_normal.value == matrix[0, normal] + matrix[3, normal]
        assert row.accuracy.interval.low < row.accuracy.value < row.accuracy.interval.high
        train = table_of(INDEX, SKILLS[row.model], list(SKILLS).index(row.model)).query("split == 'train'")
        truth, said = arrays_of(train, CLASSES)
        assert row.train_accuracy == pytest.approx((said.argmax(axis=1) == truth).mean())
        assert row.gap == pytest.approx(row.train_accuracy - row.accuracy.value)


def test_class_rows_are_scikit_learns(comparison: Comparison) -> None:
    labels, p = of_test("fair")
    wanted = reference.precision_recall_fscore_support(labels, p.argmax(axis=1))
    for k, row in enumerate(comparison.class_rows("fair")):
        values = (row.precision.value, row.recall.value, row.f1.value, row.images)
        assert values == pytest.approx([column[k] for column in wanted], abs=1e-12)
        assert row.roc_auc.value == pytest.approx(reference.roc_auc_score(labels == k, p[:, k]))


def test_the_order_of_a_tables_rows_does_not_matter(tmp_path: Path) -> None:
    table = table_of(INDEX)
    tables = [read(tmp_path, "a", table), read(tmp_path, "b", table.sample(frac=1, random_state=1))]
    comparison = Comparison.of(tables, resamples=20)
    pair = comparison.head_to_head("a", "b")
    assert (pair.only_a, pair.only_b, pair.p, pair.difference) == (0, 0, 1.0, 0.0)


def test_the_rule_names_the_model_that_calls_fewest_contagious_normal(comparison: Comparison) -> None:
    missed = {row.model: row.contagious_called_normal.value for row in comparison.leaderboard}
    assert comparison.choice.name == min(missed, key=lambda name: missed[name])
    assert comparison.choice.reason


def test_pairs_are_mcnemars_and_corrected_by_holm(comparison: Comparison) -> None:
    raw = {}
    for pair in comparison.tests.pairs:
        right = []
        for name in (pair.a, pair.b):
            labels, p = of_test(name)
            right.append(p.argmax(axis=1) == labels)
        only_a, only_b = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
        assert (pair.only_a, pair.only_b) == (only_a, only_b)
        assert pair.both_right + pair.only_a + pair.only_b + pair.both_wrong == pair.images == len(right[0])
        assert pair.p == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
        assert pair.difference == pytest.approx(right[0].mean() - right[1].mean())
        assert pair.interval.low < pair.difference < pair.interval.high
        raw[pair.a, pair.b] = pair.p
    # Holm by hand: the smallest times 3, the next times 2, none below the one before.
    first, second, third = sorted(raw.values())
    steps = [3 * first, max(3 * first, 2 * second), max(3 * first, 2 * second, third)]
    wanted = dict(zip(sorted(raw, key=lambda pair: raw[pair]), np.minimum(steps, 1), strict=True))
    for pair in comparison.tests.pairs:
        assert pair.adjusted_p == pytest.approx(wanted[pair.a, pair.b])
    np.testing.assert_array_equal(comparison.tests.p, comparison.tests.p.T)


def test_a_pair_can_be_asked_for_the_other_way_round(comparison: Comparison) -> None:
    one, other = comparison.head_to_head("good", "poor"), comparison.head_to_head("poor", "good")
    assert (one.only_a, one.only_b) == (other.only_b, other.only_a)
    assert one.difference == -other.difference
    assert one.adjusted_p == other.adjusted_p


def test_models_of_different_images_are_not_paired_and_told_how_many_overlap(tmp_path: Path) -> None:
    table = table_of(INDEX)
    test = table.query("split == 'test'")
    fewer = pd.concat([table.query("split != 'test'"), test.iloc[:100]])
    comparison = Comparison.of([read(tmp_path, "all", table), read(tmp_path, "some", fewer)], resamples=20)
    with pytest.raises(PredictionsError, match=f"{len(test)} and 100; 100 are in both"):
        comparison.head_to_head("all", "some")
    with pytest.raises(PredictionsError, match="different images"):
        comparison.disagreements("all", "some")
    assert np.isnan(comparison.tests.p).all()
    assert len(comparison.tests.refused) == 1
    assert any("no ranking" in note for note in comparison.notes)
    common = comparison.on_common_images()
    assert common.head_to_head("all", "some").images == 100
    assert common.table_of("all").splits == ("train", "validation", "test")


def test_images_without_one_label_are_not_common(tmp_path: Path) -> None:
    table = table_of(INDEX)
    row = table.index[table["split"] == "test"][0]
    relabelled = table.copy()
    relabelled.loc[row, "label"] = NORMAL if table.loc[row, "label"] != NORMAL else COVID
    comparison = Comparison.of([read(tmp_path, "a", table), read(tmp_path, "b", relabelled)], resamples=20)
    assert "1 of these have different labels" in comparison.tests.refused[0]
    images = comparison.on_common_images().images_of("a")
    assert table.loc[row, "file"] not in set(images.table["file"])


def test_models_without_a_common_image_say_so(tmp_path: Path) -> None:
    table = table_of(INDEX)
    other = table.assign(file="other/" + table["file"])
    comparison = Comparison.of([read(tmp_path, "a", table), read(tmp_path, "b", other)], resamples=20)
    assert "0 are in both" in comparison.tests.refused[0]
    with pytest.raises(PredictionsError, match="No test image is in all"):
        comparison.on_common_images()


def test_a_split_that_a_table_does_not_have_is_refused(tmp_path: Path) -> None:
    only_test = read(tmp_path, "a", table_of(INDEX).query("split == 'test'"))
    with pytest.raises(PredictionsError, match="a has no validation images; it has test"):
        Comparison.of([only_test], split="validation")


def test_disagreements_put_the_surest_mistakes_first(comparison: Comparison) -> None:
    table = comparison.disagreements("good", "poor")
    good = of_test("good")[1]
    poor = of_test("poor")[1]
    assert len(table) == (good.argmax(axis=1) != poor.argmax(axis=1)).sum()
    one_errs = (table["right_a"] != table["right_b"]).to_numpy()
    assert one_errs.tolist() == sorted(one_errs, reverse=True)
    sure = np.where(table["right_a"], table["probability_b"], table["probability_a"])[one_errs]
    assert (np.diff(sure) <= 0).all()
    assert ((table["finding_a"] == table["label"]) == table["right_a"]).all()


def test_a_cell_of_the_matrix_lists_its_images(comparison: Comparison) -> None:
    matrix = comparison.confusion("poor")
    for row, column in np.ndindex(matrix.shape):
        found = comparison.cell("poor", CLASSES[row], CLASSES[column])
        assert len(found) == matrix[row, column]
        assert set(found["label"]) <= {CLASSES[row]}
        assert set(found["finding"]) <= {CLASSES[column]}
        assert found["probability"].is_monotonic_decreasing
    mistakes = comparison.mistakes("poor")
    assert len(mistakes) == matrix.sum() - np.trace(matrix)
    assert (mistakes["probability"] >= mistakes["probability_of_label"]).all()


def test_slices_are_accuracies_of_parts(comparison: Comparison) -> None:
    assert comparison.slice_columns == ("source",)
    labels, p = of_test("good")
    source = INDEX[INDEX["split"] == "test"].sort_values("file")["source"].to_numpy()
    right = p.argmax(axis=1) == labels
    parts = {part.value: part for part in comparison.slices("source") if part.model == "good"}
    assert set(parts) == {"north", "south"}
    for value, part in parts.items():
        assert part.images == (source == value).sum()
        assert part.accuracy == pytest.approx(right[source == value].mean())
        assert part.interval.low < part.accuracy < part.interval.high
        assert not part.too_small
    with pytest.raises(PredictionsError, match=r"'scanner'.*There: source"):
        comparison.slices("scanner")


def test_small_slices_unknown_values_and_numbers(tmp_path: Path) -> None:
    table = table_of(INDEX)
    rng = np.random.default_rng(0)
    table = table.assign(
        age=rng.integers(1, 90, len(table)).astype(str),
        ward=[("", "A", "B")[i % 3] if i % 40 else "rare" for i in range(len(table))],
        hospital=[f"h{int(x)}" for x in rng.exponential(5, len(table))],
        uid=[f"u{i}" for i in range(len(table))],
    )
    comparison = Comparison.of([read(tmp_path, "a", table)], resamples=20)
    assert set(comparison.slice_columns) == {"source", "age", "ward", "hospital"}, "a name of its own is no slice"
    wards = {part.value: part for part in comparison.slices("ward")}
    assert set(wards) == {UNKNOWN, "A", "B", "rare"}
    assert [value for value, part in wards.items() if part.too_small] == ["rare"]
    ages = comparison.slices("age")
    test = table[table["split"] == "test"]
    assert len(ages) == 4
    assert sum(part.images for part in ages) == len(test)
    assert max(part.images for part in ages) < 0.35 * len(test)
    hospitals = comparison.slices("hospital")
    assert len(hospitals) <= 12
    assert OTHERS in {part.value for part in hospitals}
    assert sum(part.images for part in hospitals) == len(test)


def test_an_operating_point_is_chosen_on_validation_and_judged_on_test(comparison: Comparison) -> None:
    table = table_of(INDEX, SKILLS["good"], 0)
    normal = CLASSES.index(NORMAL)
    point = comparison.operating_point("good", SICK, 0.9)
    labels, p = arrays_of(table[table["split"] == "validation"], CLASSES)
    sick = 1 - p[labels != normal, normal]
    assert point.positives == len(sick)
    assert (sick >= point.outcome.threshold).mean() >= 0.9
    assert (sick > point.outcome.threshold).mean() < 0.9
    labels, p = of_test("good")
    above = 1 - p[:, normal] >= point.outcome.threshold
    assert point.outcome.sensitivity.value == pytest.approx(above[labels != normal].mean())
    assert point.outcome.ruled_out.value == pytest.approx(1 - above.mean())
    contagious = comparison.operating_point("good", CONTAGIOUS_QUESTION, 0.9)
    spread = p[:, 0] + p[:, 3] >= contagious.outcome.threshold
    assert contagious.outcome.sensitivity.value == pytest.approx(spread[np.isin(labels, (0, 3))].mean())


def test_no_threshold_is_chosen_on_the_images_that_judge_it(tmp_path: Path, comparison: Comparison) -> None:
    only_test = read(tmp_path, "a", table_of(INDEX).query("split == 'test'"))
    with pytest.raises(PredictionsError, match="0 validation images"):
        Comparison.of([only_test], resamples=20).operating_point("a")
    with pytest.raises(PredictionsError, match="must be judged on others"):
        replace(comparison, split="validation").operating_point("good")
    with pytest.raises(UsageError, match=r"0\.99"):
        comparison.operating_point("good", SICK, 99)


def test_curves_are_scikit_learns(comparison: Comparison) -> None:
    labels, p = of_test("fair")
    curve = comparison.roc("fair", COVID)
    fpr, tpr, _ = reference.roc_curve(labels == 0, p[:, 0])
    np.testing.assert_allclose(curve.false_positive_rate, fpr)
    np.testing.assert_allclose(curve.true_positive_rate, tpr)
    sick = comparison.roc("fair", SICK)
    area = reference.auc(sick.false_positive_rate, sick.true_positive_rate)
    assert area == pytest.approx(comparison.leaderboard[1].sick_roc_auc.value)
    with pytest.raises(PredictionsError, match="'Flu'"):
        comparison.roc("fair", "Flu")


def test_a_model_that_is_not_there_is_named(comparison: Comparison) -> None:
    with pytest.raises(PredictionsError, match=r"'absent'.*good, fair, poor"):
        comparison.confusion("absent")


def test_published_rows_stand_beside_and_never_among_the_measured(comparison: Comparison, tmp_path: Path) -> None:
    assert {row.model for row in comparison.published} == {"AlexNet", "VGG19_bn", "ResNet50", "Logistic Regression"}
    assert not {row.model for row in comparison.leaderboard} & {row.model for row in comparison.published}
    (tmp_path / "b.csv").write_text("file,label,probability_b,probability_a\n1,a,0.2,0.8\n2,b,0.7,0.3\n")
    from lungassist.evaluation.tables import read_predictions

    other = Comparison.of([read_predictions(tmp_path / "b.csv")], resamples=20)
    assert other.published == ()
    assert other.questions == ()
    assert other.leaderboard[0].called_normal == {}


def test_evidence_in_the_lungs_is_averaged_by_finding(tmp_path: Path) -> None:
    table = table_of(INDEX)
    found = table[[f"probability_{name}" for name in CLASSES]].to_numpy().argmax(axis=1)
    inside = np.where(found == 0, 0.75, 0.25).astype(object)
    inside[np.flatnonzero(found == 1)[::2]] = ""  # no evidence at all
    table = table.assign(**{INSIDE: inside, AREA: 0.25, FIELD: "automatic"})
    comparison = Comparison.of([read(tmp_path, "a", table)], resamples=20)
    shares = {share.finding: share for share in comparison.lung_shares}
    test = (table["split"] == "test").to_numpy()
    assert shares[COVID].inside == pytest.approx(0.75)
    assert shares[COVID].ratio == pytest.approx(3)
    assert shares[NORMAL].interval == pytest.approx((0.25, 0.25))
    assert shares[LUNG_OPACITY].images == (test & (found == 1) & (inside != "")).sum()
    assert shares[COVID].masks == 0
    assert comparison.slice_columns == ("source",)


def test_json_holds_everything_and_is_json(comparison: Comparison) -> None:
    result = comparison_json(comparison)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert {row["model"] for row in result["leaderboard"]} == set(SKILLS)
    assert result["choice"]["name"] == comparison.choice.name
    assert len(result["tests"]["pairs"]) == 3
    assert len(result["operating_points"]) == 6
    assert {part["column"] for part in result["slices"]} == {"source"}
    printed = next(row for row in result["published"]["rows"] if row["model"] == "ResNet50")
    assert printed["called_normal"] == {COVID: 3, VIRAL_PNEUMONIA: 6, LUNG_OPACITY: 54}


def test_families_are_the_papers() -> None:
    assert {name: family_named(name) for name in ("resnet18", "ResNet50", "wide_resnet50_2", "vgg19_bn", "mine")} == {
        "resnet18": "ResNet",
        "ResNet50": "ResNet",
        "wide_resnet50_2": "ResNet",
        "vgg19_bn": "VGG",
        "mine": "mine",
    }


@pytest.mark.parametrize(
    ("architectures", "family"), [(("resnet18", "resnet50"), "ResNet"), (("resnet18", "alexnet"), "ensemble")]
)
def test_an_ensemble_is_of_its_members_family_if_they_have_one(
    tmp_path: Path, architectures: tuple[str, ...], family: str
) -> None:
    members = tuple(Member.of(tiny_card(name, architecture=name)) for name in architectures)
    card = tiny_card("both", architecture=ENSEMBLE, members=members, weights_sha256=digest_of(members))
    card.write(tmp_path / "card.json")
    table = read_predictions(written(tmp_path, "predictions", table_of(index_of())))
    assert table.card == card
    assert family_of(table) == family
