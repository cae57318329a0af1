"""Figures to take away: whole SVG files, PNGs of the same at the size that print needs, and both from the command."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lungassist.cli.main import main
from lungassist.errors import UsageError
from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.figure_export import DOTS_PER_INCH, figure_names, figure_png, figure_svg, write_figures
from lungassist.evaluation.predictions import predictions_table

from .made import index_of, read, table_of, written

INDEX = index_of(300)
NAMES = ("plain", "<b>odd&name")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("tables")
    tables = [read(folder, name, table_of(INDEX, 2.5 - seed, seed)) for seed, name in enumerate(NAMES)]
    return Comparison.of(tables, resamples=20)


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_every_figure_is_a_whole_file_that_names_the_models_and_says_what_it_shows(comparison: Comparison) -> None:
    names = figure_names(comparison)
    assert names == (
        "Accuracy",
        "Contagious called Normal",
        "Confusion matrices",
        "ROC",
        "Precision-recall",
        "Reliability",
    )
    for name in names:
        root = ET.fromstring(figure_svg(comparison, name))
        assert root.tag == f"{SVG}svg"
        said = " ".join(texts(figure_svg(comparison, name)))
        for model in NAMES:
            assert model in said, name
        # A file of its own: nothing is fetched from anywhere.
        assert not [e for e in root.iter() if any("href" in key for key in e.attrib)]


def test_the_confusion_matrices_hold_the_counts(comparison: Comparison) -> None:
    said = texts(figure_svg(comparison, "Confusion matrices"))
    for model in NAMES:
        for count in np.unique(comparison.confusion(model)):
            assert any(text.split()[0].replace(",", "") == str(count) for text in said if text.strip()), count


def test_a_png_is_white_paper_at_300_dots_an_inch_with_something_on_it(comparison: Comparison) -> None:
    svg = figure_svg(comparison, "ROC")
    width, height = (float(ET.fromstring(svg).attrib[side]) for side in ("width", "height"))
    with Image.open(io.BytesIO(figure_png(svg))) as image:
        image.load()
        assert image.mode == "RGB"
        assert image.info["dpi"] == pytest.approx((DOTS_PER_INCH, DOTS_PER_INCH), abs=0.1)
        assert image.size == pytest.approx((width * DOTS_PER_INCH / 96, height * DOTS_PER_INCH / 96), abs=1)
        pixels = np.asarray(image)
    assert (pixels[0] == 255).all()
    assert (pixels[:, -1] == 255).all()
    dark = (pixels.max(axis=2) < 100).mean()
    assert 0.001 < dark < 0.3, "letters and lines, and paper between them"


def test_classes_without_sick_and_healthy_have_no_curves(tmp_path: Path) -> None:
    index = INDEX[INDEX["label"].isin(["COVID", "Viral Pneumonia"])]
    p = np.full((len(index), 2), 0.5)
    table = read(tmp_path, "two", predictions_table(index, p, ("COVID", "Viral Pneumonia")))
    assert figure_names(Comparison.of([table], resamples=10)) == ("Accuracy", "Confusion matrices", "Reliability")


def test_an_unknown_figure_is_told_with_those_there_are(comparison: Comparison) -> None:
    with pytest.raises(UsageError, match=r"no figure 'Pie'.*Accuracy"):
        figure_svg(comparison, "Pie")


def test_the_command_writes_all_of_them_both_ways_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], comparison: Comparison
) -> None:
    table = written(tmp_path, "plain", table_of(INDEX))
    out = tmp_path / "figures"
    assert main(["compare", str(table), "--resamples", "10", "--figures", str(out)]) == 0
    files = sorted(out.iterdir())
    assert len(files) == 2 * len(figure_names(comparison))
    assert {path.suffix for path in files} == {".svg", ".png"}
    shown = capsys.readouterr().out
    assert all(str(path) in shown for path in files)


def test_what_is_written_is_what_is_shown(comparison: Comparison, tmp_path: Path) -> None:
    for place in write_figures(comparison, tmp_path):
        name = next(name for name in figure_names(comparison) if place.stem == name.lower().replace(" ", "-"))
        svg = figure_svg(comparison, name)
        assert place.read_bytes() == (svg.encode() if place.suffix == ".svg" else figure_png(svg))


def test_models_of_one_evaluation_have_names_of_their_own_in_every_figure(tmp_path: Path) -> None:
    folder = "COVID-19_Radiography_Dataset"
    models = [f"efficientnet_lite2{end} ({folder})" for end in ("", "-chest", "-harmonised")]
    tables = [replace(read(tmp_path, f"t{seed}", table_of(INDEX, 2.0, seed)), name=n) for seed, n in enumerate(models)]
    evaluation = Comparison.of(tables, resamples=10)
    for name in figure_names(evaluation):
        said = {text for text in texts(figure_svg(evaluation, name)) if text.startswith("efficientnet")}
        assert len(said) == len(models), name


def test_a_figure_of_classes_that_may_not_be_contagious_is_of_the_sick(tmp_path: Path) -> None:
    index = INDEX.assign(label=np.where(INDEX["label"] == "Normal", "Normal", "Fibrosis"))
    p = np.tile([0.7, 0.3], (len(index), 1))
    one = Comparison.of([read(tmp_path, "one", predictions_table(index, p, ("Fibrosis", "Normal")))], resamples=10)
    assert "Sick called Normal" in figure_names(one)
    assert any(text.startswith("Sick images called Normal") for text in texts(figure_svg(one, "Sick called Normal")))
    assert not any("ontagious" in text for name in figure_names(one) for text in [name, *texts(figure_svg(one, name))])
