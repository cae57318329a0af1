"""Imports run one way, and what is meant to be light is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "lungassist").rglob("*.py"))

#: Rooms of the core from the bottom upward; a room imports from its own floor and those below. What is not named here
#: stands on top of all.
FLOORS = (
    {"classes", "errors", "files", "settings"},
    {"enhance", "imaging", "metrics", "overlay", "preprocess", "undo_clahe"},
    {"dataset", "device", "explain", "flip_test", "models", "phantom", "phantom_anatomy", "store"},
    {"predict"},
    {"golden"},
    {"evaluation"},
    {"jobs", "training"},
    {"triage"},
)

#: File or folder of the core -> what it must not load, not even inside a function.
BANNED = {
    "": {"streamlit", "pages", "train"},
    "metrics": {"torch", "torchvision", "pandas"},
    "dataset/splits.py": {"torch", "torchvision"},
    "dataset/index.py": {"torch", "torchvision"},
    "imaging": {"torch", "torchvision"},
    "jobs": {"torch", "torchvision", "lightning"},
    "store": {"torch", "torchvision", "lightning"},
    "training": {"plotly", "pytorch_grad_cam", "pydicom", "rich", "matplotlib", "sqlalchemy"},
}


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor_of(room: str) -> int:
    return next((number for number, rooms in enumerate(FLOORS) if room in rooms), len(FLOORS))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_run_from_the_top_to_the_bottom(path: Path) -> None:
    room = path.relative_to(ROOT / "lungassist").parts[0].removesuffix(".py")
    rooms = {name.split(".")[1] for name in imported(path) if name.startswith("lungassist.")}
    above = sorted(other for other in rooms if other != "__version__" and floor_of(other) > floor_of(room))
    assert not above, f"{room} must not know {', '.join(above)}"


@pytest.mark.parametrize("place", BANNED)
def test_what_a_room_must_not_load(place: str) -> None:
    inside = ROOT / "lungassist" / place
    paths = [path for path in MODULES if path == inside or inside in path.parents]
    assert paths
    found = {(path.name, name.split(".")[0]) for path in paths for name in imported(path)}
    assert not [f"{file} imports {name}" for file, name in sorted(found) if name in BANNED[place]]


def loaded_by(statement: str, names: tuple[str, ...]) -> list[str]:
    """Which of the packages a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_package_itself_loads_nothing_heavy() -> None:
    heavy = ("torch", "torchvision", "streamlit", "matplotlib", "pandas", "cv2", "sklearn", "pydicom", "scipy")
    assert loaded_by("import lungassist", heavy) == []


def test_training_runs_on_a_host_without_web_stack_or_dicom() -> None:
    foreign = ("streamlit", "plotly", "pytorch_grad_cam", "pydicom", "sqlalchemy", "openpyxl")
    assert loaded_by("import lungassist.training.journey, train.finetune", foreign) == []
