"""Programs that read captchas, and keeping what they fail."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from PIL import Image

from drcaptcha.challenges import attacking, filling
from drcaptcha.challenges.issuing import issue
from drcaptcha.challenges.models import Attack, Captcha
from drcaptcha.errors import NotReady
from drcaptcha.learning import predicting
from drcaptcha.sites.models import Site
from handwriting.formats import starter


@pytest.fixture
def reader(db: None, tmp_path: Path, settings: LazySettings) -> None:
    """The starter set, and an ensemble that has learned a little of it."""
    settings.MEDIA_ROOT = tmp_path
    call_command("importemnist", starter.FOLDER, split="starter", verbosity=0)
    call_command("removelabels", 500, verbosity=0)
    call_command("train", networks="compact", epochs=2, subset=6000, verbosity=0)


@pytest.mark.training
def test_an_attack_is_judged_as_visitors_are_and_the_harder_the_less_it_reads(
    reader: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: LazySettings
) -> None:
    sheet = tmp_path / "sheet.png"
    call_command("attack", captchas=10, difficulty="all", seed=1, json=True, sheet=sheet)
    easy, normal, hard = json.loads(capsys.readouterr().out)
    assert [one["difficulty"] for one in (easy, normal, hard)] == ["easy", "normal", "hard"]
    assert easy["per_character"] > hard["per_character"] > 0.1
    assert easy["interval"][1] >= hard["interval"][0], "ten captchas tell no more of what passes"
    for one in (easy, normal, hard):
        low, high = one["interval"]
        assert 0 <= low <= one["pass_rate"] <= high <= 1
        assert {"nearest_neighbour_pass_rate", "nearest_neighbour_per_character", "told_pass_rate"} <= one.keys()
    assert easy["nearest_neighbour_per_character"] > 0.2
    assert Attack.objects.count() == 3
    assert Image.open(sheet).width > 600

    settings.DRCAPTCHA_DIFFICULTY = "easy"
    call_command("generatecaptchas", 3, harden=True, as_json=True, verbosity=0)
    made = json.loads(capsys.readouterr().out)
    assert made["generated"] == Captcha.objects.count() == 3
    recogniser = predicting.serving()
    assert all(attacking.resists(one, recogniser) for one in Captcha.objects.all())


def test_without_an_ensemble_there_is_no_attack(stock: object, now: datetime, rng: np.random.Generator) -> None:
    with pytest.raises(CommandError, match="No networks"):
        call_command("attack", captchas=1)
    with pytest.raises(NotReady):
        filling.fill(1, now=now, rng=rng, progress=lambda _: None, harden=True)
    assert not Captcha.objects.exists()


def test_visitors_get_captchas_of_the_difficulty_that_is_set(
    stock: object, now: datetime, rng: np.random.Generator, settings: LazySettings
) -> None:
    filling.fill(3, now=now, rng=rng, progress=lambda _: None, difficulty="easy")
    hard = {bytes(one.picture) for one in Captcha.objects.all()}
    ask: Callable[[], bytes] = lambda: issue(Site.of(None), address="192.0.2.1", now=now, rng=rng).picture  # noqa: E731
    assert ask() not in hard
    settings.DRCAPTCHA_DIFFICULTY = "easy"
    assert ask() in hard


def test_a_challenge_has_one_picture(stock: object, now: datetime, rng: np.random.Generator) -> None:
    challenge = issue(Site.of(None), address="192.0.2.1", now=now, rng=rng)
    assert bytes(Captcha.objects.get().picture) == challenge.picture
