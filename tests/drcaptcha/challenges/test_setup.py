import re
from pathlib import Path

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command
from pytest_django import Settings

from drcaptcha.challenges.management.commands import setup
from drcaptcha.challenges.models import Captcha
from drcaptcha.glyphs.models import Glyph, State
from drcaptcha.learning.experiments import Step
from drcaptcha.learning.management.commands import train
from drcaptcha.learning.models import Ensemble, Network

pytestmark = [pytest.mark.django_db, pytest.mark.training]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path) -> None:
    """Train on little: what is learned does not matter here."""
    monkeypatch.setattr(setup, "TRAINING", {"networks": "slim", "epochs": 1, "subset": 300})
    monkeypatch.setattr(setup, "POOL", 30)
    settings.MEDIA_ROOT = tmp_path
    settings.DRCAPTCHA_CHECKPOINTS = tmp_path / "checkpoints"


def counts() -> list[int]:
    return [model.objects.count() for model in (Glyph, Network, Ensemble, Captcha, get_user_model())]


def test_it_prepares_an_empty_installation_once(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("setup")
    printed = capsys.readouterr().out
    assert Glyph.objects.filter(state=State.UNKNOWN).count() == setup.UNLABELLED
    assert Ensemble.objects.get().evaluation is not None
    assert counts() == [Glyph.objects.count(), 1, 1, 30, 1]
    password = re.search(r"Password: +(\S+)", printed)
    assert password
    assert authenticate(username="admin", password=password[1])
    assert "http://127.0.0.1:8000/test-captcha" in printed

    before = counts()
    call_command("setup")
    assert counts() == before
    assert "Password" not in capsys.readouterr().out


def test_it_takes_up_what_was_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(setup, "TRAINING", {"networks": "none such", "epochs": 1})
        with pytest.raises(CommandError):
            call_command("setup")
    assert counts()[1:] == [0, 0, 0, 0]
    call_command("setup")
    assert counts()[1:] == [1, 1, 30, 1]


def test_it_goes_on_with_the_networks_that_a_stop_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: train.Bars, step: Step) -> None:
        if step.batch and step.share > 0.6:
            raise KeyboardInterrupt

    monkeypatch.setattr(setup, "TRAINING", {"networks": "slim,slim", "epochs": 1, "subset": 300})
    with monkeypatch.context() as patch:
        patch.setattr(train.Bars, "show", stop)
        with pytest.raises(CommandError, match="1 of 2 networks were finished"):
            call_command("setup")
    assert counts()[1:] == [1, 1, 0, 0]
    call_command("setup")
    assert counts()[1:] == [2, 2, 30, 1]
