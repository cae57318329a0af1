"""`compare`: the whole comparison in a terminal, as JSON, and as a page that needs nothing from anywhere."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lungassist.cli.main import main
from tests.evaluation.made import index_of, table_of, written

from .conftest import objects


@pytest.fixture
def tables(tmp_path: Path) -> list[str]:
    index = index_of(300)
    names = {"good": 3.0, "<b>fair&": 1.5}
    return [str(written(tmp_path, name, table_of(index, skill, i))) for i, (name, skill) in enumerate(names.items())]


def run(*arguments: str) -> int:
    return main(["compare", *arguments, "--resamples", "20"])


def test_the_terminal_shows_every_table_and_marks_what_is_published(
    tables: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*tables) == 0
    shown = capsys.readouterr().out
    for title in ("Models on test images", "Published", "good: classes", "Pairs", "Operating points", "By source"):
        assert title in shown
    assert re.search(r"^good \*", shown, re.MULTILINE)
    assert "Published, not measured here" in shown
    assert "The paper's rule: good" in shown
    assert "\x1b" not in shown


def test_json_is_one_line(tables: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*tables, "--json", "--slice", "source", "--sensitivity", "0.9", "--split", "train") == 0
    (result,) = objects(capsys.readouterr().out)
    assert (result["split"], result["choice"]["name"]) == ("train", "good")
    assert {point["target"] for point in result["operating_points"]} == {0.9}


class Page(HTMLParser):
    """What a page has, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_loads_nothing_runs_nothing_and_takes_no_name_for_markup(
    tables: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "new" / "comparison.html"
    assert run(*tables, "--html", str(place)) == 0
    assert capsys.readouterr().out == f"{place}\n"
    text = place.read_text()
    page = Page()
    page.feed(text)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "b"}
    assert not [value for _, attributes in page.tags for name, value in attributes.items() if name in {"src", "href"}]
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme:dark" in text
    assert any("<b>fair&" in part for part in page.text)
    assert "published, not measured" in text
    figures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(figures) >= 6
    for figure in figures:
        ET.fromstring(figure)


def test_a_figure_that_is_undefined_is_a_dash_and_never_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No image is called Viral Pneumonia: its precision is undefined, as in the paper's Table 2."""
    table = table_of(index_of(200), 2.0)
    table["probability_Normal"] += table["probability_Viral Pneumonia"]
    table["probability_Viral Pneumonia"] = 0.0
    assert run(str(written(tmp_path, "blind", table))) == 0
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if line.startswith("Viral pneumonia"))
    assert row.split()[3] == "–"
    assert "0.00%" in row  # the recall, which is 0 and defined


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("absent.csv",), "does not exist"),
        (("{0}", "--slice", "scanner"), "'scanner'"),
    ],
)
def test_what_cannot_be_compared_is_status_1_and_one_line(
    options: tuple[str, ...], said: str, tables: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*(option.format(*tables) for option in options), "--json") == 1
    shown = capsys.readouterr()
    assert said in shown.err
    assert (shown.out, len(shown.err.splitlines())) == ("", 1)


def test_models_of_different_images_are_compared_on_those_in_common_if_asked(
    tables: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fewer = written(tmp_path, "fewer", table_of(index_of(300).iloc[:200], 2.0))
    assert run(tables[0], str(fewer)) == 0
    assert "so that a paired test would not be of the models alone" in capsys.readouterr().out
    assert run(tables[0], str(fewer), "--common", "--json") == 0
    (result,) = objects(capsys.readouterr().out)
    assert len({row["images"] for row in result["leaderboard"]}) == 1
    assert result["tests"]["refused"] == []
