"""What the environment decides, each time in a process of its own, as at a start."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

KEY = "k" * 40
READ = "from django.conf import settings; print({})"


def start(state: Path, program: str = "settings.DEBUG", **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "PYTHONPATH"}}
    settings = {"DJANGO_SETTINGS_MODULE": "drcaptcha.settings", "DRCAPTCHA_STATE": str(state)}
    command = [sys.executable, "-c", READ.format(program)]
    return subprocess.run(command, env=kept | settings | environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({}, "DRCAPTCHA_SECRET_KEY must hold at least 32 random characters"),
        ({"DRCAPTCHA_SECRET_KEY": "short"}, "DRCAPTCHA_SECRET_KEY must hold at least 32 random characters"),
        ({"DRCAPTCHA_SECRET_KEY": KEY}, "DRCAPTCHA_HOSTS must name the hosts"),
        ({"DRCAPTCHA_SECRET_KEY": KEY, "DRCAPTCHA_HOSTS": "*"}, "DRCAPTCHA_HOSTS must name hosts"),
        ({"DRCAPTCHA_SECRET_KEY": KEY, "DRCAPTCHA_DEBUG": "1"}, "DRCAPTCHA_DEBUG must be off"),
    ],
)
def test_production_refuses_to_start_insecurely(tmp_path: Path, environment: dict[str, str], complaint: str) -> None:
    run = start(tmp_path, DRCAPTCHA_ENV="production", **environment)
    assert run.returncode != 0
    assert complaint in run.stderr
    assert not (tmp_path / "secret-key").exists()


def test_production_starts_with_a_key_and_hosts(tmp_path: Path) -> None:
    environment = {"DRCAPTCHA_SECRET_KEY": KEY, "DRCAPTCHA_HOSTS": ".example.org"}
    shown = "settings.SESSION_COOKIE_SECURE, settings.CSRF_TRUSTED_ORIGINS[0]"
    run = start(tmp_path, shown, DRCAPTCHA_ENV="production", **environment)
    assert run.stdout.strip() == "True https://*.example.org"


def test_development_makes_a_key_once_and_keeps_it_private(tmp_path: Path) -> None:
    one, other = (start(tmp_path, "settings.SECRET_KEY").stdout for _ in range(2))
    assert one == other
    assert len(one) > 40
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("DRCAPTCHA_ENV", "prod", "one of development, production"),
        ("DRCAPTCHA_AGREEMENT", "0", "at least 1"),
        ("DRCAPTCHA_AGREEMENT", "two", "whole number"),
        ("DRCAPTCHA_ACCEPT", "1", "less than 1"),
        ("DRCAPTCHA_ACCEPT", "0.4", "at least 0.5"),
        ("DRCAPTCHA_ACCEPT", "nan", "at least 0.5"),
        ("DRCAPTCHA_ACCEPT", "much", "must be a number"),
        ("DRCAPTCHA_DEBUG", "maybe", "1 or 0"),
        ("DRCAPTCHA_ALPHABET", "runes", "one of balanced, byclass"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(tmp_path: Path, name: str, value: str, complaint: str) -> None:
    run = start(tmp_path, **{name: value})
    assert run.returncode != 0
    assert complaint in run.stderr


def test_the_database_lies_in_the_state_folder_whatever_its_name(tmp_path: Path) -> None:
    state = tmp_path / "a #b?c%20"
    assert start(state, "settings.DATABASES['default']['NAME']").stdout.strip() == str(state / "drcaptcha.sqlite3")
