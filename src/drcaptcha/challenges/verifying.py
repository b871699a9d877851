"""Judging answers."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError
from django.utils.crypto import constant_time_compare

from drcaptcha.challenges import ballots, limiting, working
from drcaptcha.challenges.holding import lifetime
from drcaptcha.challenges.models import LEAST_CONTROLS, Captcha, Judgement, Slot
from drcaptcha.challenges.tokens import Purpose, seal, unseal
from drcaptcha.errors import ChallengeError, ChallengeExpired, ChallengeUsed
from drcaptcha.labelling.models import Role
from drcaptcha.labelling.sources import source_key
from drcaptcha.labelling.voting import Ballot
from drcaptcha.queries import asked, moment
from drcaptcha.sites import dummies
from drcaptcha.sites.dummies import Dummy
from drcaptcha.sites.models import Site
from drcaptcha.turns import turn
from handwriting.alphabet import ALPHABETS


@dataclass(frozen=True)
class Verdict:
    """Whether the visitor passed, and the response token that a pass earns."""

    passed: bool
    response: str | None


def verify(
    token: str, answer: str, *, address: str, now: datetime, host: str = "", work: Sequence[int] | None = None
) -> Verdict:
    """Judge the one answer that a challenge gets; after a pass, take the votes.

    Raises:
        ChallengeError: the token was not issued here.
        SiteClosed: the site was closed meanwhile.
        HostNotAllowed: the page that answers is on a host that the site has not listed.
        ChallengeExpired: it is too old.
        TooManyRequests: too many answers have come from there lately.
        WorkMissing, WorkWrong: ``work`` is not what the challenge asks for.
        ChallengeUsed: it was answered before, rightly or wrongly.
    """
    sealed = unseal(Purpose.CHALLENGE, token, lifetime(), now)
    if sealed.dummy:
        passed = sealed.dummy is not Dummy.FAILS
        return Verdict(passed, dummies.RESPONSE if passed else None)
    site, captcha = Site.numbered(sealed.site), Captcha.numbered(sealed.row)
    if site is None:
        raise ChallengeError
    site.admit(host)
    source = source_key(address, site, now)
    limiting.check_answer(source, now)
    working.check(token, sealed.context.bits, work)
    if captcha is None:
        raise ChallengeExpired
    if captcha.is_audio:
        told = Ballot(0, captcha.pk, now)
        passed = _is_heard_right(captcha, answer)
    else:
        typed, slots = characters(answer), captcha.slots_now()
        judgement = _judge(captcha, slots, typed)
        told = ballot(slots, typed, judgement, captcha=captcha.pk, at=now)
        passed = judgement.passed
    attempt = _take(captcha, site, now, passed=passed, told=ballots.written(told, source))
    ballots.count_soon()
    if not passed:
        limiting.note_failure(source, now)
        return Verdict(passed=False, response=None)
    context = sealed.context._replace(issued=int(sealed.at.timestamp()), bits=0)
    return Verdict(passed=True, response=seal(Purpose.RESPONSE, attempt, site.pk, now, context))


def _judge(captcha: Captcha, slots: list[Slot], typed: list[str]) -> Judgement:
    """Judge what was typed for a captcha that is seen: the controls have to be right."""
    if sum(slot.gates for slot in slots) < LEAST_CONTROLS - 1:
        raise ChallengeExpired  # Labels were taken away by the thousand; what is left would let anyone pass.
    return captcha.judge(slots, typed, ALPHABETS[settings.DRCAPTCHA_ALPHABET])


def _is_heard_right(captcha: Captcha, answer: str) -> bool:
    """Judge what was typed for a captcha that is heard: all of it has to be right, in digits of any script."""
    typed = "".join(str(unicodedata.digit(character, character)) for character in characters(answer))
    return constant_time_compare(typed, captcha.spoken)


def ballot(
    slots: list[Slot], typed: list[str], judgement: Judgement, *, captcha: int, at: datetime, source: int = 0
) -> Ballot:
    """Return what a judged answer tells the labelling: after a fail only how the controls went."""
    free = [(slot, one) for slot, one in zip(slots, typed, strict=True) if not slot.gates] if judgement.passed else []
    return Ballot(
        source,
        captcha,
        at,
        typed={slot.glyph: one for slot, one in free},
        roles={slot.glyph: Role(slot.role) for slot, _ in free},
        right=judgement.right,
        missed=judgement.missed,
    )


def characters(answer: str) -> list[str]:
    """Return what was typed, one by one: wide forms made plain, blanks left out."""
    return [character for character in unicodedata.normalize("NFKC", answer) if not character.isspace()]


def _take(captcha: Captcha, site: Site, now: datetime, *, passed: bool, told: str) -> int:
    """Store the attempt with what it tells, and return its number.

    The database holds one a captcha, so of many at once one is judged.
    """
    try:
        with turn():
            rows = asked(
                "INSERT INTO challenges_attempt (captcha_id, site_id, passed, created, ballot) "
                "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (captcha_id) DO NOTHING RETURNING id",
                [captcha.pk, site.pk, passed, moment(now), told],
            )
    except IntegrityError as error:  # The site, or the captcha, was deleted a moment ago.
        raise ChallengeError from error
    if not rows:
        raise ChallengeUsed
    return int(rows[0][0])
