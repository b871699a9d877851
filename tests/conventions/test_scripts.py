"""Scripts and container files are linted as code is."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def shell_scripts() -> list[Path]:
    folders = [ROOT / name for name in ("script", "docker", ".ci")]
    files = [path for folder in folders for path in folder.iterdir() if path.is_file()]
    return [path for path in files if path.read_bytes().startswith(b"#!/usr/bin/env bash")]


def lint(*command: str | Path) -> str:
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.stdout + run.stderr if run.returncode else ""


@pytest.mark.parametrize("script", shell_scripts(), ids=lambda path: path.name)
def test_a_script_passes_the_linter(script: Path) -> None:
    assert lint(BIN / "shellcheck", script) == ""


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.gpu"])
def test_a_container_file_passes_the_linter(name: str) -> None:
    assert lint(BIN / "hadolint", "--failure-threshold", "warning", ROOT / name) == ""
