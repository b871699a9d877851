"""The whole loop, through commands and HTTP: glyphs come in, people label some, networks learn from all, an ensemble
names a drawing. On the starter set, and on EMNIST's own files where DRCAPTCHA_EMNIST names them."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from PIL import Image
from pytest_django import Settings

from drcaptcha.challenges.models import Captcha
from drcaptcha.glyphs.models import Glyph, Split
from drcaptcha.labelling.models import Vote
from drcaptcha.learning.models import Ensemble
from handwriting.alphabet import BALANCED
from handwriting.formats import starter

pytestmark = [pytest.mark.django_db, pytest.mark.training]
JSON = "application/json"

SETS = [
    pytest.param("starter", id="starter"),
    pytest.param(
        "balanced",
        id="emnist",
        marks=[
            pytest.mark.emnist,
            pytest.mark.skipif(not settings.DRCAPTCHA_EMNIST, reason="DRCAPTCHA_EMNIST names no EMNIST files"),
        ],
    ),
]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command with --json and return what it printed."""

    def call(*words: object) -> Any:
        capsys.readouterr()
        call_command(*map(str, words), "--json")
        return json.loads(capsys.readouterr().out)

    return call


def read(picture: str) -> str:
    """Read a captcha as a person would who makes no mistake."""
    data = base64.b64decode(picture.partition(",")[2])
    captcha = next(captcha for captcha in Captcha.objects.defer("content") if bytes(captcha.picture) == data)
    truths = Glyph.objects.in_bulk([slot.glyph for slot in captcha.slots])
    return "".join(truths[slot.glyph].truth for slot in captcha.slots)


def solve(client: Client, visitor: int) -> None:
    challenge = client.post("/api/v1/challenges", {}, content_type=JSON).json()
    body = {"challenge": challenge["challenge"], "answer": read(challenge["image"])}
    verdict = client.post("/api/v1/answers", body, content_type=JSON, REMOTE_ADDR=f"192.0.2.{visitor}")
    assert verdict.json()["passed"] is True


def scan(glyph: Glyph) -> str:
    """Turn a glyph into a dark drawing on a large white sheet, as a data URL."""
    ink = Image.fromarray(255 - glyph.array).resize((168, 168), Image.Resampling.BICUBIC)
    sheet = Image.new("L", (320, 280), 255)
    sheet.paste(ink, (90, 40))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


@pytest.mark.parametrize("split", SETS)
def test_the_whole_loop(split: str, client: Client, run: Any, tmp_path: Path, settings: Settings) -> None:
    settings.MEDIA_ROOT = tmp_path
    path = starter.FOLDER if split == "starter" else settings.DRCAPTCHA_EMNIST
    came = run("importemnist", path, "--split", split)
    assert came["imported"] == came["train"] + came["test"] == Glyph.objects.count()
    assert came["classes"] == 47
    assert run("importemnist", path, "--split", split)["imported"] == 0

    # So few unknown glyphs that chance asks several people about each.
    Glyph.objects.controls().filter(pk__gt=Glyph.objects.controls().order_by("pk")[3000].pk).delete()
    run("removelabels", 20)
    assert Glyph.objects.unknown().count() == 20
    run("generatecaptchas", 40)
    for visitor in range(60):
        solve(client, visitor)
    accepted = Glyph.objects.filter(split=Split.TRAIN, given="").exclude(label="")
    assert accepted.count() >= 15
    assert all(BALANCED.class_of(glyph.truth) == glyph.label for glyph in accepted)
    assert Vote.objects.count() > 60

    trained = run("train", "--networks", "compact,cnn2", "--epochs", 2, "--subset", 2500, "--seed", 1)
    assert [network["architecture"] for network in trained["networks"]] == ["compact", "cnn2"]
    assert trained["accuracy"] > 0.3
    ensemble = Ensemble.objects.get(pk=trained["ensemble"])
    assert sum(member.weight for member in ensemble.memberships.all()) == pytest.approx(1)
    again = run("evaluateensemble", ensemble.pk)
    assert again["accuracy"] == trained["accuracy"]
    assert ensemble.evaluations.count() == 2

    shown = Glyph.objects.filter(split="test").order_by("place")[:60]
    named = [client.post("/api/v1/predictions", {"image": scan(glyph)}, content_type=JSON).json() for glyph in shown]
    best = [prediction["guesses"][0]["character"] for prediction in named]
    right = np.mean([BALANCED.class_of(glyph.truth) == name for glyph, name in zip(shown, best, strict=True)])
    assert right > trained["accuracy"] - 0.2
    assert all(len(prediction["guesses"]) >= 3 for prediction in named)
    assert all(prediction["ensemble"]["id"] == ensemble.pk for prediction in named)
