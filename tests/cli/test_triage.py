"""`triage`: what it says of files, folders, ZIPs and odd names, and the heat maps that it writes."""

from __future__ import annotations

import hashlib
import math
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from lungassist.classes import CLASSES, CONTAGIOUS, COVID
from lungassist.cli import triage as command
from lungassist.cli.main import main
from lungassist.explain import shared_scale
from lungassist.imaging import iter_studies, read_file, to_uint8
from lungassist.models.weights import load_model, save_model, verify
from lungassist.overlay import overlay
from lungassist.phantom import phantom_png
from lungassist.predict import Classifier
from lungassist.preprocess import prepare_image
from lungassist.settings import Settings
from tests.tiny import save_tiny_model

from .conftest import noise_png, objects


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """One study of 96 x 80 pixels: not square, so that a heat map of another shape shows."""
    full = cv2.imdecode(np.frombuffer(phantom_png(COVID, 3, size=96), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert full is not None
    path = tmp_path / "scan.png"
    cv2.imwrite(str(path), full[:, :80])
    return path


def test_a_line_has_the_documented_keys_and_says_what_the_model_says(
    shelf: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["triage", str(picture), "--json"]) == 0
    (line,) = objects(capsys.readouterr().out)
    classifier = Classifier.load(shelf / "tiny")
    radiograph = read_file(picture, Settings.from_environment())
    image = prepare_image(radiograph.pixels, classifier.card.preprocessing)
    expected = classifier.predict(image[None], None).probabilities[0]
    assert line["probabilities"] == pytest.approx(dict(zip(CLASSES, expected, strict=True)), abs=1e-5)
    assert line["finding"] == CLASSES[int(expected.argmax())]
    assert line["suspected_contagious"] is (line["finding"] in CONTAGIOUS)
    assert line["sha256"] == hashlib.sha256(picture.read_bytes()).hexdigest()
    assert (line["file"], line["model"], line["heatmap"]) == (str(picture), "tiny", None)
    assert line["model_version"] == verify(shelf / "tiny").full_version
    assert isinstance(line["warnings"], list)


def test_a_bad_file_in_the_midst_is_a_line_and_the_rest_goes_on(
    shelf: Path, studies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["triage", str(studies), "absent.png", "--json", "--batch-size", "1"]) == 1
    first, bad, last, absent = objects(capsys.readouterr().out)
    assert "finding" in first
    assert "finding" in last
    assert set(bad) == set(absent) == {"file", "error"}
    assert (bad["error"]["code"], absent["error"]["code"]) == ("unsupported_format", "missing_file")
    assert absent["error"]["message"]


def test_a_zip_and_a_folder_give_the_same_findings(
    shelf: Path, studies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "ward.zip"
    with zipfile.ZipFile(archive, "w") as writing:
        for path in sorted(studies.iterdir()):
            writing.write(path, path.name)
    assert main(["triage", str(archive), str(studies), "--json"]) == 1
    lines = objects(capsys.readouterr().out)
    zipped, loose = lines[:3], lines[3:]
    assert [line["file"] for line in zipped] == [f"{archive}/{name}" for name in ("a.png", "b.png", "c.dcm")]
    assert [line.get("sha256") for line in zipped] == [line.get("sha256") for line in loose]
    assert [line.get("finding") for line in zipped] == [line.get("finding") for line in loose]


def test_a_table_claims_no_certainty(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_tiny_model(tmp_path / "weights" / "sure", temperature=1e-14)
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path / "weights"))
    assert main(["triage", str(picture)]) == 0
    assert " >99% " in capsys.readouterr().out


def test_an_empty_folder_says_so(shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["triage", str(tmp_path)]) == 1
    assert "no file to read" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "gradcam++", "eigencam"])
def test_a_heat_map_is_the_radiograph_with_colour_on_it(
    method: str, shelf: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps = tmp_path / "new" / "maps"
    assert main(["triage", str(picture), "--json", "--heatmaps", str(maps), "--method", method]) == 0
    (line,) = objects(capsys.readouterr().out)
    assert [str(path) for path in maps.iterdir()] == [line["heatmap"]], "one file, nothing half-written beside it"
    painted = cv2.imread(line["heatmap"])
    assert painted is not None
    classifier = Classifier.load(shelf / "tiny")
    pixels = read_file(picture, Settings.from_environment()).pixels
    maps_of = classifier.predict(prepare_image(pixels, classifier.card.preprocessing)[None], method).heat_maps
    assert maps_of is not None
    evidence = maps_of[0, CLASSES.index(line["finding"])]
    rows = pixels.shape[0]
    assert np.array_equal(painted[:rows, :, ::-1], overlay(to_uint8(pixels), evidence, shared_scale(maps_of[0])))
    assert painted[rows:].min() < 100, "the line that says what it is"
    if method == "gradcam":
        assert np.ptp(painted.astype(int), axis=2).max() > 50, "colour somewhere"


def test_the_class_to_explain_can_be_chosen_and_names_the_file(
    shelf: Path, studies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in ("COVID", "Viral Pneumonia"):
        arguments = ["--heatmaps", str(tmp_path), "--heatmap-class", label, "--colour-map", "viridis"]
        assert main(["triage", str(studies / "a.png"), *arguments]) == 0
    digits = hashlib.sha256((studies / "a.png").read_bytes()).hexdigest()[:8]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"a-{digits}-COVID-gradcam.png", f"a-{digits}-Viral_Pneumonia-gradcam.png"}


def test_studies_of_the_same_name_do_not_overwrite_each_other(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2, 3):
        folder = tmp_path / f"patient{number}"
        folder.mkdir()
        (folder / "image.png").write_bytes(noise_png(number))
    folders = [str(path) for path in sorted(tmp_path.iterdir())]
    assert main(["triage", *folders, "--json", "--heatmaps", str(tmp_path / "maps")]) == 0
    assert len({line["heatmap"] for line in objects(capsys.readouterr().out)}) == 3


@pytest.mark.parametrize("as_json", [True, False])
def test_odd_names_break_neither_a_line_nor_a_path(
    as_json: bool, shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["=cmd|' C calc'!A0,\"x\";.png", "two\nlines\x1b[31m.png", "[bold]markup.png", "phổi-肺.png", "-.png"]
    folder = tmp_path / "odd"
    folder.mkdir()
    for number, name in enumerate(names):
        (folder / name).write_bytes(noise_png(number))
    (folder / "\udcff\udcfe.png").write_bytes(noise_png(9))
    maps = tmp_path / "maps"
    assert main(["triage", str(folder), "--heatmaps", str(maps), *(["--json"] if as_json else [])]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    written = sorted(path.name for path in maps.iterdir())
    assert len(written) == 6
    assert all(letter.isalnum() or letter in "-_." for name in written for letter in name)
    if as_json:
        assert {line["file"] for line in objects(shown)} >= {f"{folder}/{name}" for name in names}
    else:
        assert "[bold]markup.png" in shown
        assert len([row for row in shown.splitlines() if row.startswith(f"{folder}/")]) == 6


def test_a_folder_for_heat_maps_that_cannot_be_written_stops_before_anything_runs(
    shelf: Path, studies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "triage", pytest.fail)
    assert main(["triage", str(studies), "--json", "--heatmaps", str(studies / "a.png" / "maps")]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Nothing can be written into" in shown.err


def test_a_heat_map_that_cannot_be_written_leaves_its_finding_standing(
    shelf: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lungassist.cli.heatmaps.write_atomically", full)
    assert main(["triage", str(picture), "--json", "--heatmaps", str(tmp_path / "maps")]) == 1
    (line,) = objects(capsys.readouterr().out)
    assert line["heatmap"] is None
    assert "No space left on device" in line["warnings"][-1]
    assert line["finding"] in CLASSES


def test_nothing_is_explained_when_no_heat_map_is_wanted(
    shelf: Path, studies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lungassist.predict.grad_cam", pytest.fail)
    assert main(["triage", str(studies / "a.png")]) == 0


def test_a_model_that_answers_nonsense_is_one_line(
    shelf: Path, studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network, card = load_model(shelf / "tiny")
    save_model(tmp_path / "tiny", {name: values * math.nan for name, values in network.state_dict().items()}, card)
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path))
    assert main(["triage", str(studies), "--json"]) == 2
    shown = capsys.readouterr()
    assert "not finite" in shown.err
    assert len(shown.err.splitlines()) == 1


def test_an_interrupted_table_shows_the_studies_done(
    shelf: Path, studies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = command.triage

    def interrupted(*arguments: object, **options: object):  # type: ignore[no-untyped-def]
        yield next(whole(*arguments, **options))  # type: ignore[call-overload]
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "triage", interrupted)
    assert main(["triage", str(studies)]) == 130
    shown = capsys.readouterr()
    assert "1 study: 1 used" in shown.out
    assert shown.err == "Interrupted.\n"


def test_memory_that_does_not_suffice_is_one_line_with_what_to_do(
    shelf: Path, studies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def too_much(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(command, "triage", too_much)
    assert main(["triage", str(studies), "--json"]) == 2
    assert "--batch-size" in capsys.readouterr().err


def test_studies_are_written_before_later_ones_are_read(
    shelf: Path, studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream: the first line is out while most studies are untouched, however many there are."""
    read: list[str] = []
    seen_at_first_line: list[int] = []

    def endless(*_: object):  # type: ignore[no-untyped-def]
        for study in list(iter_studies([studies / "a.png"], Settings.from_environment())) * 40:
            read.append(study.name)
            yield study

    monkeypatch.setattr(command, "iter_studies", endless)
    monkeypatch.setattr("lungassist.cli.output.write_json_line", lambda _: seen_at_first_line.append(len(read)))
    assert main(["triage", str(studies), "--json", "--batch-size", "2"]) == 0
    assert len(seen_at_first_line) == 40
    assert seen_at_first_line[0] <= 12


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_second_model_reads_after_the_first(
    own_shelf: Path, picture: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    save_tiny_model(own_shelf / "other", seed=3)
    if by == "environment":
        monkeypatch.setenv("LUNGASSIST_SECOND_MODEL", "other")
    options = ["--second", "other"] if by == "option" else []
    assert main(["triage", str(picture), "--json", "--model", "tiny", *options]) == 0
    assert main(["triage", str(picture), "--json", "--model", "other"]) == 0
    both, other = objects(capsys.readouterr().out)
    assert both["model"] == "tiny"
    assert both["second_reading"] == {
        "model": "other",
        "model_version": other["model_version"],
        "finding": other["finding"],
        "probability": pytest.approx(other["probabilities"][other["finding"]], abs=1e-5),
    }
    assert other["second_reading"] is None


def test_a_second_model_that_cannot_read_after_the_first_is_refused(
    own_shelf: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_tiny_model(own_shelf / "two-classes", classes=("COVID", "Normal"))
    for name, words in (
        ("absent", "There is no model 'absent'"),
        ("tiny", "cannot read after itself"),
        ("two-classes", "tells other classes apart than tiny"),
    ):
        assert main(["triage", str(picture), "--model", "tiny", "--second", name]) == 2
        assert words in capsys.readouterr().err
