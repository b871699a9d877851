"""Judging answers."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction

from drcaptcha.challenges.issuing import lifetime
from drcaptcha.challenges.models import Attempt, Captcha
from drcaptcha.challenges.tokens import Purpose, seal, unseal
from drcaptcha.errors import ChallengeError, ChallengeExpired, ChallengeUsed
from drcaptcha.labelling import voting
from drcaptcha.labelling.sources import source_of
from drcaptcha.sites.models import Site
from handwriting.alphabet import ALPHABETS


@dataclass(frozen=True)
class Verdict:
    """Whether the visitor passed, and the response token that a pass earns."""

    passed: bool
    response: str | None


@transaction.atomic
def verify(token: str, answer: str, *, address: str, now: datetime) -> Verdict:
    """Judge the one answer that a challenge gets; after a pass, take the votes.

    Raises:
        ChallengeError: the token was not issued here.
        ChallengeExpired: it is too old.
        ChallengeUsed: it was answered before, rightly or wrongly.
    """
    pk, site_pk = unseal(Purpose.CHALLENGE, token, lifetime(), now)
    site = Site.objects.filter(pk=site_pk).first()
    captcha = Captcha.objects.filter(pk=pk).first()
    if site is None:
        raise ChallengeError
    if captcha is None:
        raise ChallengeExpired
    typed = characters(answer)
    source = source_of(address, site, now)
    passed = captcha.judge(typed, ALPHABETS[settings.DRCAPTCHA_ALPHABET])
    attempt = _take(captcha, Attempt(captcha=captcha, site=site, source=source, passed=passed, created=now))
    if not passed:
        return Verdict(passed=False, response=None)
    votes = {slot.glyph: character for slot, character in zip(captcha.slots, typed, strict=True) if not slot.gates}
    voting.record(votes, source=source, captcha=captcha.pk, now=now)
    return Verdict(passed=True, response=seal(Purpose.RESPONSE, attempt.pk, site.pk, now))


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
