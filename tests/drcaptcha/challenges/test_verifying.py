from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from drcaptcha.challenges.models import Attempt, Captcha
from drcaptcha.challenges.tokens import Purpose, seal
from drcaptcha.challenges.verifying import verify
from drcaptcha.errors import ChallengeError, ChallengeExpired, ChallengeUsed
from drcaptcha.glyphs.models import Glyph, State
from drcaptcha.labelling.deciding import set_label
from drcaptcha.labelling.models import Miss, Source, Vote
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
    captcha = make_captcha("eaATKM")
    again = Captcha.objects.create(**{f: getattr(captcha, f) for f in COPIED})
    assert answer(captcha, "eaATKM", now, "192.0.2.1")
    assert {glyph.state for glyph in probes(captcha)} == {State.PROVISIONAL}
    assert answer(again, "eaATKM", now, "192.0.2.2")
    assert [(glyph.label, glyph.state) for glyph in probes(captcha)] == [("K", State.ACCEPTED), ("M", State.ACCEPTED)]
    last = probes(captcha)[0].decisions.latest("pk")
    assert (last.votes, last.sources, last.before_state, last.after_state) == (2, 2, "provisional", "accepted")
    assert last.posterior > 0.995
    assert "2 of 2 votes for K" in last.reason


def test_the_vote_tells_how_the_controls_went(make_captcha: MakeCaptcha, now: datetime) -> None:
    assert answer(make_captcha("eaATKM"), "eaATKM", now)
    assert set(Vote.objects.values_list("role", "answer", "known", "controls")) == {
        ("probe", "K", "", 4),
        ("probe", "M", "", 4),
    }


def test_an_audit_does_not_gate_and_is_known(
    make_glyph: Callable[..., Glyph], make_captcha: MakeCaptcha, now: datetime
) -> None:
    captcha = make_captcha("eaATM")
    captcha.content.append([make_glyph("H").pk, "audit", ""])
    captcha.length += 1
    captcha.save()
    assert answer(captcha, "eaATMK", now)
    vote = Vote.objects.get(role="audit")
    assert (vote.typed, vote.known) == ("K", "H")
    assert vote.evidence < -0.5
    assert vote.source.honesty < 60


def test_who_reads_audits_right_is_trusted_more(
    make_glyph: Callable[..., Glyph], make_captcha: MakeCaptcha, now: datetime
) -> None:
    captcha = make_captcha("eaATM")
    captcha.content.append([make_glyph("H").pk, "audit", ""])
    captcha.length += 1
    captcha.save()
    assert answer(captcha, "eaATMH", now)
    assert Source.objects.get().honesty == 95


def test_one_of_five_controls_may_be_unreadable(make_captcha: MakeCaptcha, now: datetime) -> None:
    assert answer(make_captcha("eaATOM", known="eaATM"), "eaATO?", now)


@pytest.mark.parametrize(("known", "typed"), [("eaAT", "eaA?OM"), ("eaATM", "eaA?O?"), ("eaATM", "exA?OM")])
def test_no_more_than_that(make_captcha: MakeCaptcha, now: datetime, known: str, typed: str) -> None:
    assert not answer(make_captcha("eaATOM", known=known), typed, now)


def test_a_probe_that_can_not_be_read_costs_nothing(make_captcha: MakeCaptcha, now: datetime) -> None:
    assert answer(make_captcha("eaATOM"), "eaAT??", now)
    assert set(Vote.objects.values_list("typed", "answer")) == {("?", "?")}


def test_a_missed_control_is_noted_without_what_was_typed(make_captcha: MakeCaptcha, now: datetime) -> None:
    captcha = make_captcha("eaATOM")
    assert not answer(captcha, "eaAxOM", now)
    miss = Miss.objects.get()
    assert (miss.glyph.label, miss.alone) == ("T", True)
    assert Source.objects.get().honesty < 90


def test_a_label_that_was_mended_gates_by_what_it_is_now(make_captcha: MakeCaptcha, now: datetime) -> None:
    captcha, other = make_captcha("eaATM", known="eaAT"), make_captcha("eaATM", known="eaAT")
    for one in (captcha, other):
        set_label(Glyph.objects.get(pk=one.slots[2].glyph), "H", reason="looked at it", now=now)
    assert answer(captcha, "eaHTM", now)
    assert not answer(other, "eaATM", now)


def test_a_label_that_was_taken_away_gates_no_more(make_captcha: MakeCaptcha, now: datetime) -> None:
    captcha = make_captcha("eaATM", known="eaAT")
    glyph = Glyph.objects.get(pk=captcha.slots[2].glyph)
    set_label(glyph, "", reason="looked at it", now=now)
    assert answer(captcha, "eaKTM", now)
    assert glyph.votes.get().typed == "K"


def test_a_captcha_that_has_lost_its_controls_has_expired(make_captcha: MakeCaptcha, now: datetime) -> None:
    captcha = make_captcha("eaATM", known="eaAT")
    for slot in captcha.slots[:2]:
        set_label(Glyph.objects.get(pk=slot.glyph), "", reason="looked at it", now=now)
    with pytest.raises(ChallengeExpired):
        answer(captcha, "xxATM", now)


def test_passes_are_counted(make_captcha: MakeCaptcha, now: datetime) -> None:
    captcha = make_captcha("eaATOM")
    assert answer(captcha, "eaATOM", now)
    counts = Glyph.objects.in_bulk([slot.glyph for slot in captcha.slots])
    assert [counts[slot.glyph].passes for slot in captcha.slots] == [1, 1, 1, 1, 0, 0]


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
