"""What was wrong with the original program, each fault made impossible."""

import base64
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from django.apps import apps
from django.db import models
from django.test import Client
from django.utils import timezone

import drcaptcha
import handwriting
from drcaptcha.challenges.composing import compose
from drcaptcha.challenges.models import Captcha
from drcaptcha.challenges.tokens import Purpose, seal
from drcaptcha.errors import NotReady
from drcaptcha.glyphs.models import Glyph, Split, State
from drcaptcha.glyphs.unlabelling import remove_labels
from drcaptcha.sites.models import Site
from handwriting.alphabet import BALANCED

pytestmark = pytest.mark.django_db
JSON = "application/json"


def token_of(captcha: Captcha) -> str:
    return seal(Purpose.CHALLENGE, captcha.pk, Site.of(None).pk, timezone.now())


def answer(client: Client, captcha: Captcha, typed: str, address: str = "192.0.2.1") -> int:
    body = {"challenge": token_of(captcha), "answer": typed}
    return client.post("/api/v1/answers", body, content_type=JSON, REMOTE_ADDR=address).status_code


def test_neither_name_nor_token_holds_the_answer(client: Client, stock: list[Glyph]) -> None:
    challenge = client.post("/api/v1/challenges", {}, content_type=JSON).json()
    captcha = Captcha.objects.get()
    text = "".join(Glyph.objects.get(pk=slot.glyph).truth for slot in captcha.slots)
    picture = base64.b64decode(challenge["image"].partition(",")[2])
    token = base64.urlsafe_b64decode(challenge["challenge"])
    assert text.encode() not in picture + token
    assert re.fullmatch(r"data:image/\w+;base64,[\w+/=]+", challenge["image"])
    assert set(challenge) == {"challenge", "image", "length", "expires_in", "audio_offered", "work", "test"}


def test_a_captcha_of_unknown_glyphs_alone_is_never_made(
    make_glyph: Callable[..., Glyph], now: datetime, rng: np.random.Generator
) -> None:
    for truth in "ABDEGHNQRT":
        make_glyph(truth=truth)
    with pytest.raises(NotReady):
        compose(1, now=now, rng=rng)


def test_the_first_answer_is_not_the_label_for_good(
    client: Client, make_captcha: Callable[..., Captcha], rng: np.random.Generator
) -> None:
    first = make_captcha("eaATM", known="eaAT")
    probe = first.slots[-1].glyph
    fields = {name: getattr(first, name) for name in ("picture", "content", "length", "width", "height", "created")}
    labels = []
    for visitor, typed in enumerate("NNMMM"):
        captcha = Captcha.objects.create(media_type=first.media_type, **fields)
        assert answer(client, captcha, f"eaAT{typed}", f"192.0.2.{visitor}") == 200
        labels.append(Glyph.objects.get(pk=probe).label)
    assert labels == ["", "N", "", "", ""]
    assert Glyph.objects.get(pk=probe).state == State.DISPUTED


def test_imported_and_typed_labels_are_the_same_kind_of_thing(
    client: Client, make_captcha: Callable[..., Captcha]
) -> None:
    captcha = make_captcha("eaATM", known="eaAT")
    again = make_captcha("eaATM", known="eaAT")
    again.content = captcha.content
    again.save()
    for visitor, made in enumerate((captcha, again)):
        answer(client, made, "eaATm", f"192.0.2.{visitor}")
    labels = Glyph.objects.filter(pk__in=[slot.glyph for slot in captcha.slots]).values_list("label", flat=True)
    assert sorted(labels) == ["A", "M", "T", "a", "e"]
    assert all(BALANCED.index(label) is not None for label in labels)


def test_unlabelling_never_touches_the_test_glyphs(
    make_glyph: Callable[..., Glyph], now: datetime, rng: np.random.Generator
) -> None:
    for label in "ABDEGHNQRT":
        make_glyph(label)
        make_glyph(label, split=Split.TEST)
    remove_labels(10, keep=0, now=now, rng=rng)
    assert not Glyph.objects.filter(split=Split.TEST, label="").exists()
    assert not Glyph.objects.filter(split=Split.TRAIN).exclude(label="").exists()
    assert not Glyph.objects.filter(truth="").exists()


def test_a_captcha_can_not_be_tried_again(client: Client, make_captcha: Callable[..., Captcha]) -> None:
    captcha = make_captcha()
    assert [answer(client, captcha, typed) for typed in ("wrong!", "eaATOM", "eaATOM")] == [200, 409, 409]


def test_no_pickle_is_stored_or_read() -> None:
    source = "".join(
        path.read_text() for package in (drcaptcha, handwriting) for path in Path(package.__path__[0]).rglob("*.py")
    )
    assert not re.findall(r"import pickle|torch\.load|allow_pickle=True|pickle\.loads", source)
    binary = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.BinaryField)
    }
    assert binary == {
        "glyphs.Glyph.digest",
        "glyphs.Glyph.picture",
        "challenges.Captcha.picture",
        "learning.Evaluation.right",
        "learning.Evaluation.said",
        "learning.Prior.probabilities",
    }
