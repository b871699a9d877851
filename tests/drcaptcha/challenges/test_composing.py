from collections import Counter
from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest

from drcaptcha.challenges.composing import compose
from drcaptcha.errors import NotReady
from drcaptcha.glyphs.models import Glyph, Split

pytestmark = pytest.mark.django_db


def test_every_captcha_has_four_controls_at_least(stock: list[Glyph], now: datetime, rng: np.random.Generator) -> None:
    captchas = compose(60, now=now, rng=rng)
    assert min(sum(slot.gates for slot in captcha.slots) for captcha in captchas) >= 4


def test_probes_vary_in_number_and_place(stock: list[Glyph], now: datetime, rng: np.random.Generator) -> None:
    captchas = compose(60, now=now, rng=rng)
    assert {sum(not slot.gates for slot in captcha.slots) for captcha in captchas} == {1, 2, 3}
    places = {place for captcha in captchas for place, slot in enumerate(captcha.slots) if not slot.gates}
    assert places == set(range(8))


def test_the_length_does_not_tell_the_number_of_probes(
    stock: list[Glyph], now: datetime, rng: np.random.Generator
) -> None:
    captchas = compose(100, now=now, rng=rng)
    seen = {(captcha.length, sum(not slot.gates for slot in captcha.slots)) for captcha in captchas}
    assert {probes for length, probes in seen if length == 7} == {2, 3}


def test_no_glyph_stands_twice_in_a_captcha(stock: list[Glyph], now: datetime, rng: np.random.Generator) -> None:
    for captcha in compose(60, now=now, rng=rng):
        assert len({slot.glyph for slot in captcha.slots}) == captcha.length


def test_only_labelled_glyphs_gate_and_unknown_ones_are_asked(
    stock: list[Glyph], now: datetime, rng: np.random.Generator
) -> None:
    labels = {glyph.pk: glyph.label for glyph in stock}
    for captcha in compose(60, now=now, rng=rng):
        for slot in captcha.slots:
            assert slot.accepts == (labels[slot.glyph] if slot.gates else "")
            assert bool(labels[slot.glyph]) == (slot.role != "probe")


def test_some_that_do_not_gate_are_audits(stock: list[Glyph], now: datetime, rng: np.random.Generator) -> None:
    roles = [Counter(slot.role for slot in captcha.slots) for captcha in compose(200, now=now, rng=rng)]
    assert all(role["audit"] <= 1 and role["probe"] >= 1 for role in roles)
    assert 40 <= sum(role["audit"] for role in roles) <= 95


def test_a_test_glyph_is_never_shown(
    stock: list[Glyph], make_glyph: Callable[..., Glyph], now: datetime, rng: np.random.Generator
) -> None:
    kept = {make_glyph(c, split=Split.TEST).pk for c in "ABCDEFGH"} | {make_glyph(split=Split.TEST).pk}
    shown = {slot.glyph for captcha in compose(60, now=now, rng=rng) for slot in captcha.slots}
    assert not shown & kept


def test_with_nothing_to_ask_there_are_controls_alone(
    make_glyph: Callable[..., Glyph], now: datetime, rng: np.random.Generator
) -> None:
    for c in "abdeghn":
        make_glyph(c)
    assert all(slot.gates for captcha in compose(5, now=now, rng=rng) for slot in captcha.slots)


def test_it_says_that_controls_are_missing(
    make_glyph: Callable[..., Glyph], now: datetime, rng: np.random.Generator
) -> None:
    for c in "abde":
        make_glyph(c)
    with pytest.raises(NotReady, match="importemnist"):
        compose(1, now=now, rng=rng)


def test_the_same_seed_composes_the_same(stock: list[Glyph], now: datetime) -> None:
    one, other = (compose(3, now=now, rng=np.random.default_rng(5)) for _ in range(2))
    assert [(c.content, c.picture) for c in one] == [(c.content, c.picture) for c in other]
