"""The walls between the rooms: which may import which. They are read off the code's own imports."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
MODULES = sorted(path for path in SRC.rglob("*.py") if "migrations" not in path.parts)

FLOORS = [{"sites", "glyphs"}, {"learning"}, {"labelling"}, {"challenges"}, {"api", "widget"}, {"pages"}]
"""The apps from the ground up. An app imports from its own floor's room and from the floors below."""


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, at the top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(module: str, package: str) -> str | None:
    """Return the room of ``package`` in which a module lies, or None for another package."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == package else None


def floor(app: str | None) -> int | None:
    return next((height for height, apps in enumerate(FLOORS) if app in apps), None)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down(path: Path) -> None:
    here = room(name_of(path), "drcaptcha")
    height = floor(here)
    if height is None:
        return
    for module in imports(path):
        there = room(module, "drcaptcha")
        below = floor(there)
        assert below is None or there == here or below < height, f"{name_of(path)} imports {module}, which is above it"


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p).startswith("handwriting")], ids=name_of)
def test_the_science_knows_no_service_and_its_rooms_keep_apart(path: Path) -> None:
    here = room(name_of(path), "handwriting")
    for module in imports(path):
        assert module.split(".")[0] not in {"django", "drcaptcha", "ninja"}, f"{name_of(path)} imports {module}"
        there = room(module, "handwriting")
        assert there in {None, here, "alphabet"}, f"{name_of(path)} imports {module}, another room"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_networks_import_torch_and_nothing_unpickles(path: Path) -> None:
    roots = {module.split(".")[0] for module in imports(path)}
    assert not roots & {"pickle", "marshal", "shelve", "dill", "joblib"}
    if room(name_of(path), "handwriting") != "networks":
        assert not roots & {"torch", "matplotlib"}


def test_the_web_process_loads_no_training_framework() -> None:
    program = (
        "import sys; from drcaptcha.wsgi import application; from django.urls import get_resolver;"
        "get_resolver().url_patterns;"
        "print([name for name in ('torch', 'matplotlib', 'onnx', 'pandas', 'sklearn') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
