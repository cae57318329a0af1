"""What a script relies on: exit statuses, what is on which stream, and help that answers at once."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lungassist import __version__
from lungassist.cli import main as command_line
from lungassist.cli.main import main
from lungassist.cli.parser import COLOUR_MAPS, ENHANCEMENTS, METHODS, SPLITS, parser
from lungassist.dataset import SPLITS as KNOWN_SPLITS
from lungassist.explain import METHODS as KNOWN_METHODS
from lungassist.imaging import png_bytes
from lungassist.overlay import COLOUR_MAPS as KNOWN_COLOUR_MAPS
from lungassist.preprocess import ENHANCEMENTS as KNOWN_ENHANCEMENTS

from .conftest import ROOT, Command, objects

COMMANDS = ("triage", "models", "phantoms", "evaluate", "compare", "operating-point", "ensemble", "jobs")


def status_of(*arguments: object) -> int:
    """The exit status, whether it comes from argparse or from a command."""
    try:
        return main([*map(str, arguments)])
    except SystemExit as end:
        assert isinstance(end.code, int)
        return end.code


def test_help_and_version_answer_without_loading_torch() -> None:
    script = (
        "import sys, runpy; sys.argv = ['lungassist', '--help']\n"
        "try: runpy.run_module('lungassist', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'cv2', 'numpy', 'rich', 'pandas', 'streamlit', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_explains_every_argument(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(name, "--help") == 0
    shown = capsys.readouterr().out
    commands = next(action for action in parser()._actions if action.dest == "command")
    for action in commands.choices[name]._actions:  # type: ignore[index,call-overload]
        assert action.help, f"{name} {action.dest} has no help"
        assert all(option in shown for option in action.option_strings)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("--version") == 0
    assert capsys.readouterr().out == f"LungAssist {__version__}\n"


def test_the_parser_offers_exactly_what_the_core_knows() -> None:
    assert set(METHODS) == set(KNOWN_METHODS)
    assert ENHANCEMENTS == KNOWN_ENHANCEMENTS
    assert set(COLOUR_MAPS) == set(KNOWN_COLOUR_MAPS)
    assert SPLITS == KNOWN_SPLITS


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "COMMAND"),
        (("triage",), "PATH"),
        (("guess", "a.png"), "guess"),
        (("triage", "a.png", "--batch-size", "0"), "at least 1"),
        (("triage", "a.png", "--batch-size", "few"), "few"),
        (("triage", "a.png", "--batch-size", "9" * 20), "at most 1,000,000"),
        (("triage", "a.png", "--method", "magic"), "magic"),
        (("triage", "a.png", "--device", "tpu"), "tpu"),
        (("triage", "a.png", "--model", "absent"), "'absent'"),
        (("triage", "a.png", "--heatmaps", "maps", "--heatmap-class", "Flu"), "'Flu'"),
        (("triage", "a.png", "--heatmap-class", "COVID"), "--heatmaps"),
        (("evaluate", "--data", "d"), "--out"),
        (("evaluate", "--data", "d", "--out", "o", "--only", "holdout"), "holdout"),
        (("compare",), "TABLE"),
        (("compare", "a.csv", "--sensitivity", "99"), "at most 1"),
        (("compare", "a.csv", "--json", "--html", "b.html"), "not allowed with"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_is_wrong(
    arguments: tuple[str, ...],
    said: str,
    shelf: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert status_of(*arguments) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_no_usable_model_is_status_2_with_one_line(
    tmp_path: Path, studies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(tmp_path))
    assert status_of("triage", studies, "--json") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert "train" in shown.err


def test_a_process_writes_json_lines_alone_and_ends_with_1(shelf: Path, studies: Path, command: Command) -> None:
    done = command("triage", studies, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert [line["file"].split("/")[-1] for line in objects(done.stdout)] == ["a.png", "b.png", "c.dcm"]


def test_a_process_writes_a_plain_table_into_a_pipe_and_ends_with_0(
    shelf: Path, studies: Path, command: Command
) -> None:
    done = command("triage", studies / "a.png", "--heatmaps", studies.parent / "maps")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    header, row, summary = done.stdout.splitlines()
    assert header.split()[0] == "File"
    assert row.split()[0] == str(studies / "a.png")
    assert summary.startswith("1 study: 1 used, 0 not used")


def test_a_process_asked_for_an_unknown_model_ends_with_2(shelf: Path, studies: Path, command: Command) -> None:
    done = command("triage", studies, "--model", "absent", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1


def test_a_table_has_a_study_a_line_and_says_why_one_was_not_used(
    shelf: Path, studies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["triage", str(studies), "absent.png"]) == 1
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0].split("/")[-1] for row in rows[1:5]] == ["a.png", "b.png", "c.dcm", "absent.png"]
    assert "plain text" in rows[2]
    assert rows[-1].startswith("4 studies: 2 used, 2 not used")


@pytest.mark.parametrize("arguments", [("triage", "STUDIES", "--json"), ("models", "--json"), ("models",)])
def test_a_reader_that_goes_away_is_no_error_to_talk_about(
    shelf: Path, studies: Path, arguments: tuple[str, ...]
) -> None:
    """`python -m lungassist triage ... | head -1`, with a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    line = [sys.executable, "-m", "lungassist", *(str(studies) if a == "STUDIES" else a for a in arguments)]
    with os.fdopen(writing, "w") as gone:
        done = subprocess.run(line, stdout=gone, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert done.stderr == ""
    assert done.returncode == 141


@pytest.mark.parametrize(
    ("closed", "status", "said"), [(">&-", 2, "Standard output is closed"), ("2>&-", 1, ""), (">&- 2>&-", 2, "")]
)
def test_a_stream_that_the_shell_closed_is_no_traceback(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, closed: str, status: int, said: str
) -> None:
    monkeypatch.setenv("LUNGASSIST_WEIGHTS", str(shelf / "tiny"))  # where there is no model, as standard error says
    line = ["sh", "-c", f'"{sys.executable}" -m lungassist models {closed}']
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == (1 if said else 0)


def test_an_interruption_is_status_130_with_a_short_word(
    shelf: Path, studies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "_command", interrupted)
    assert main(["triage", str(studies)]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_a_full_disk_behind_standard_output_is_one_line(
    shelf: Path, studies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command_line, "_command", full)
    assert main(["triage", str(studies)]) == 1
    assert "No space left" in capsys.readouterr().err


def test_an_image_that_is_no_chest_is_called_doubtful_and_nobody_contagious(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blank = tmp_path / "blank.png"
    blank.write_bytes(png_bytes(np.full((300, 300), 90, np.uint8)))
    assert main(["triage", str(blank)]) == 0
    shown = capsys.readouterr().out
    assert "doubtful: " in shown
    assert "0 suspected contagious" in shown
    assert "blank" in shown
