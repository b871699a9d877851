from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from drcaptcha.challenges.models import Attempt, Captcha
from drcaptcha.challenges.tokens import Purpose, seal
from drcaptcha.challenges.verifying import verify
from drcaptcha.errors import ChallengeError, ChallengeExpired, ChallengeUsed
from drcaptcha.glyphs.models import Glyph, State
from drcaptcha.labelling.models import Source, Vote
from drcaptcha.sites.models import Site

MakeCaptcha = Callable[..., Captcha]

pytestmark = pytest.mark.django_db


COPIED = ["picture", "media_type", "width", "height", "content", "length", "available", "created"]


def token_of(captcha: Captcha, now: datetime) -> str:
    return seal(Purpose.CHALLENGE, captcha.pk, Site.of(None).pk, now)


def answer(captcha: Captcha, typed: str, now: datetime, address: str = "192.0.2.1") -> bool:
    return verify(token_of(captcha, now), typed, address=address, now=now).passed


def probes(captcha: Captcha) -> list[Glyph]:
    return [Glyph.objects.get(pk=slot.glyph) for slot in captcha.slots if not slot.gates]


def test_right_controls_pass_and_earn_a_response(make_captcha: MakeCaptcha, now: datetime) -> None:
    verdict = verify(token_of(make_captcha(), now), "eaATOM", address="192.0.2.1", now=now)
    assert verdict.passed
    assert verdict.response


def test_a_pass_votes_for_the_probes_alone(make_captcha: MakeCaptcha, now: datetime) -> None:
    captcha = make_captcha("eaATOM", known="eaAT")
    assert answer(captcha, "eaATOM", now)
    assert [(vote.glyph.truth, vote.typed) for vote in Vote.objects.order_by("glyph")] == [("O", "O"), ("M", "M")]


def test_a_wrong_control_fails_and_labels_nothing(make_captcha: MakeCaptcha, now: datetime) -> None:
    captcha = make_captcha("eaATOM", known="eaAT")
    assert not answer(captcha, "eaAxOM", now)
    assert not Vote.objects.exists()
    assert {glyph.label for glyph in probes(captcha)} == {""}


@pytest.mark.parametrize("typed", ["eaATO", "eaATOMM", "", "ATOM", "eaeATOM"])
def test_an_answer_of_another_length_fails(make_captcha: MakeCaptcha, now: datetime, typed: str) -> None:
    assert not answer(make_captcha(), typed, now)


@pytest.mark.parametrize("typed", [" eaATOM ", "ea AT OM", "ｅａＡＴＯＭ", "ea\tATOM\n"])
def test_blanks_and_wide_forms_do_no_harm(make_captcha: MakeCaptcha, now: datetime, typed: str) -> None:
    assert answer(make_captcha(), typed, now)


@pytest.mark.parametrize(("shown", "typed"), [("C", "c"), ("O", "0"), ("0", "o"), ("L", "1"), ("F", "f"), ("q", "9")])
def test_a_control_may_be_taken_for_its_like(make_captcha: MakeCaptcha, now: datetime, shown: str, typed: str) -> None:
    assert answer(make_captcha(f"{shown}abde", known=f"{shown}abde"), f"{typed}abde", now)


def test_a_capital_is_not_its_small_letter_where_the_shapes_differ(make_captcha: MakeCaptcha, now: datetime) -> None:
    assert not answer(make_captcha("Aabde", known="Aabde"), "aabde", now)


def test_a_control_whose_set_tells_no_case_takes_either(
    make_glyph: Callable[..., Glyph], make_captcha: MakeCaptcha, now: datetime
) -> None:
    captcha = make_captcha("Aabde", known="Aabde")
    glyph = make_glyph("A", caseless=True)
    captcha.content[0] = [glyph.pk, "control", glyph.accepts()]
    captcha.save()
    assert answer(captcha, "aabde", now)


def test_the_vote_keeps_what_was_typed(make_captcha: MakeCaptcha, now: datetime) -> None:
    assert answer(make_captcha("eaATc", known="eaAT"), "eaATc", now)
    assert Vote.objects.get().typed == "c"


def test_one_source_alone_makes_no_label(make_captcha: MakeCaptcha, now: datetime) -> None:
    captcha = make_captcha()
    again = Captcha.objects.create(**{f: getattr(captcha, f) for f in COPIED})
    assert answer(captcha, "eaATOM", now)
    assert answer(again, "eaATOM", now)
    assert {glyph.label for glyph in probes(captcha)} == {""}


def test_two_sources_make_a_label_with_its_reason(make_captcha: MakeCaptcha, now: datetime) -> None:
    captcha = make_captcha()
    again = Captcha.objects.create(**{f: getattr(captcha, f) for f in COPIED})
    assert answer(captcha, "eaATOM", now, "192.0.2.1")
    assert answer(again, "eaATOM", now, "192.0.2.2")
    assert [(glyph.label, glyph.state) for glyph in probes(captcha)] == [("O", State.ACCEPTED), ("M", State.ACCEPTED)]
    assert probes(captcha)[0].decisions.get().reason == "sources that agree: 2; votes: 2"


def test_the_original_rule_takes_the_first_answer(make_captcha: MakeCaptcha, now: datetime, settings: Settings) -> None:
    settings.DRCAPTCHA_AGREEMENT = 1
    captcha = make_captcha()
    assert answer(captcha, "eaATOM", now)
    assert [glyph.label for glyph in probes(captcha)] == ["O", "M"]


def test_a_challenge_is_answered_once_if_right(make_captcha: MakeCaptcha, now: datetime) -> None:
    captcha = make_captcha()
    assert answer(captcha, "eaATOM", now)
    with pytest.raises(ChallengeUsed):
        answer(captcha, "eaATOM", now)
    assert Vote.objects.count() == 2


def test_a_challenge_is_answered_once_if_wrong(make_captcha: MakeCaptcha, now: datetime) -> None:
    captcha = make_captcha()
    assert not answer(captcha, "eaAxOM", now)
    with pytest.raises(ChallengeUsed):
        answer(captcha, "eaATOM", now)
    assert not Vote.objects.exists()
    assert Attempt.objects.get().passed is False


def test_a_challenge_expires(make_captcha: MakeCaptcha, now: datetime, settings: Settings) -> None:
    token = token_of(make_captcha(), now)
    late = now + timedelta(seconds=settings.DRCAPTCHA_CHALLENGE_SECONDS + 1)
    with pytest.raises(ChallengeExpired):
        verify(token, "eaATOM", address="192.0.2.1", now=late)


def test_a_removed_captcha_counts_as_expired(make_captcha: MakeCaptcha, now: datetime) -> None:
    captcha = make_captcha()
    token = token_of(captcha, now)
    captcha.delete()
    with pytest.raises(ChallengeExpired):
        verify(token, "eaATOM", address="192.0.2.1", now=now)


def test_a_made_up_challenge_is_refused(db: None, now: datetime) -> None:
    with pytest.raises(ChallengeError):
        verify("made up", "eaATOM", address="192.0.2.1", now=now)


@pytest.mark.parametrize("code", ["\0", "\ud800", "\x1b"])
def test_a_control_code_is_no_vote(make_captcha: MakeCaptcha, now: datetime, code: str) -> None:
    assert answer(make_captcha("eaATO", known="eaAT"), f"eaAT{code}", now)
    assert not Vote.objects.exists()


def test_no_address_is_kept(make_captcha: MakeCaptcha, now: datetime) -> None:
    assert answer(make_captcha(), "eaATOM", now, "192.0.2.77")
    assert "192.0.2" not in str(list(Source.objects.values()))
