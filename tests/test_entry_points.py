"""Whatever is started with `python -m` says in its help how it was started, so that the line can be copied."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def entry_points() -> list[str]:
    """Modules of benchmarks/ and train/ that take arguments."""
    found = []
    for path in sorted([*ROOT.glob("benchmarks/*.py"), *ROOT.glob("train/*.py")]):
        text = path.read_text(encoding="utf-8")
        if '__name__ == "__main__"' in text and "\ndef main(argv" in text:
            found.append(f"{path.parent.name}.{path.stem}")
    return found


def test_they_are_found() -> None:
    assert {"benchmarks.undo_clahe", "benchmarks.triage", "train.finetune", "train.undo_clahe"} <= set(entry_points())


@pytest.mark.parametrize("module", entry_points())
def test_help_begins_with_the_command(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        import_module(module).main(["--help"])
    assert not end.value.code
    assert capsys.readouterr().out.startswith(f"usage: python -m {module} [-h]")
