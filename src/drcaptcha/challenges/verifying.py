"""Judging answers."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.crypto import constant_time_compare

from drcaptcha.challenges import limiting, working
from drcaptcha.challenges.issuing import lifetime
from drcaptcha.challenges.models import LEAST_CONTROLS, Attempt, Captcha, Judgement, Slot
from drcaptcha.challenges.tokens import Purpose, Sealed, seal, unseal
from drcaptcha.errors import ChallengeError, ChallengeExpired, ChallengeUsed
from drcaptcha.labelling import tasks, voting
from drcaptcha.labelling.models import Role, Source
from drcaptcha.labelling.sources import source_of
from drcaptcha.labelling.voting import Ballot
from drcaptcha.sites import counting, dummies
from drcaptcha.sites.dummies import Dummy
from drcaptcha.sites.models import Site
from handwriting.alphabet import ALPHABETS


@dataclass(frozen=True)
class Verdict:
    """Whether the visitor passed, and the response token that a pass earns."""

    passed: bool
    response: str | None


@transaction.atomic
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
    site = Site.objects.filter(pk=sealed.site).first()
    captcha = Captcha.objects.filter(pk=sealed.row).defer("picture").first()
    if site is None:
        raise ChallengeError
    site.admit(host)
    limiting.check_answer(site, address, now)
    working.check(token, sealed.context.bits, work)
    if captcha is None:
        raise ChallengeExpired
    if captcha.is_audio:
        return _judge_heard(captcha, site, answer, sealed, address=address, now=now)
    typed, slots = characters(answer), captcha.slots_now()
    if sum(slot.gates for slot in slots) < LEAST_CONTROLS - 1:
        raise ChallengeExpired  # Labels were taken away by the thousand; what is left would let anyone pass.
    source = source_of(address, site, now)
    judgement = captcha.judge(slots, typed, ALPHABETS[settings.DRCAPTCHA_ALPHABET])
    attempt = _take(captcha, Attempt(captcha=captcha, site=site, source=source, passed=judgement.passed, created=now))
    labels = voting.record([ballot(captcha.pk, slots, typed, judgement, source)], now=now)
    tasks.ask_for_estimate()
    if not judgement.passed:
        limiting.note_failure(site, address, now)
        counting.count(site.pk, now, failed=1)
        return Verdict(passed=False, response=None)
    return _passed(attempt, sealed, now, labels=labels)


def _judge_heard(captcha: Captcha, site: Site, answer: str, sealed: Sealed, *, address: str, now: datetime) -> Verdict:
    """Judge what was typed for a captcha that is heard: all of it has to be right, in digits of any script."""
    typed = "".join(str(unicodedata.digit(character, character)) for character in characters(answer))
    passed = constant_time_compare(typed, captcha.spoken)
    source = source_of(address, site, now)
    attempt = _take(captcha, Attempt(captcha=captcha, site=site, source=source, passed=passed, created=now))
    if passed:
        return _passed(attempt, sealed, now)
    limiting.note_failure(site, address, now)
    counting.count(site.pk, now, failed=1)
    return Verdict(passed=False, response=None)


def _passed(attempt: Attempt, sealed: Sealed, now: datetime, *, labels: int = 0) -> Verdict:
    """Count a pass, and return it with the response that it earns."""
    counting.count(sealed.site, now, passed=1, labels=labels)
    context = sealed.context._replace(issued=int(sealed.at.timestamp()), bits=0)
    return Verdict(passed=True, response=seal(Purpose.RESPONSE, attempt.pk, sealed.site, now, context))


def ballot(captcha: int, slots: list[Slot], typed: list[str], judgement: Judgement, source: Source) -> Ballot:
    """Return what a judged answer tells the labelling: after a fail only how the controls went."""
    free = [(slot, one) for slot, one in zip(slots, typed, strict=True) if not slot.gates] if judgement.passed else []
    return Ballot(
        source,
        captcha,
        typed={slot.glyph: one for slot, one in free},
        roles={slot.glyph: Role(slot.role) for slot, _ in free},
        right=judgement.right,
        missed=judgement.missed,
    )


def characters(answer: str) -> list[str]:
    """Return what was typed, one by one: wide forms made plain, blanks left out."""
    return [character for character in unicodedata.normalize("NFKC", answer) if not character.isspace()]


def _take(captcha: Captcha, attempt: Attempt) -> Attempt:
    """Store the attempt. The database holds one a captcha, so of many at once one is judged."""
    try:
        with transaction.atomic():
            attempt.save(force_insert=True)
    except IntegrityError as error:
        raise ChallengeUsed from error
    Captcha.objects.filter(pk=captcha.pk).update(available=None)
    return attempt
