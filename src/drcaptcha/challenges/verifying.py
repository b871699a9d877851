"""Judging answers."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.utils.crypto import constant_time_compare

from drcaptcha.challenges import limiting, working
from drcaptcha.challenges.issuing import lifetime
from drcaptcha.challenges.models import LEAST_CONTROLS, Attempt, Captcha, Judgement, Slot
from drcaptcha.challenges.tokens import Purpose, seal, unseal
from drcaptcha.errors import ChallengeError, ChallengeExpired, ChallengeUsed
from drcaptcha.labelling import tasks, voting
from drcaptcha.labelling.models import Role, Source
from drcaptcha.labelling.sources import source_key, source_with
from drcaptcha.labelling.voting import Ballot
from drcaptcha.queries import Question, moment
from drcaptcha.sites import counting, dummies
from drcaptcha.sites.dummies import Dummy
from drcaptcha.sites.models import Site
from drcaptcha.together import Together
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
    site.check_host(host)
    limiting.check_answer(site, address, now)
    working.check(token, sealed.context.bits, work)
    if captcha is None:
        raise ChallengeExpired
    one = _Answer(captcha, site, answer, source_key(address, site, now), now)
    attempt = _judge_heard(one) if captcha.is_audio else _judge_seen(one)
    if attempt is None:
        limiting.note_failure(site, address, now)
        return Verdict(passed=False, response=None)
    context = sealed.context._replace(issued=int(sealed.at.timestamp()), bits=0)
    return Verdict(passed=True, response=seal(Purpose.RESPONSE, attempt, site.pk, now, context))


class _Answer(NamedTuple):
    """An answer that is to be judged, from the source with this key."""

    captcha: Captcha
    site: Site
    text: str
    source: str
    now: datetime


@Together
@transaction.atomic(durable=True)
def _judge_seen(answers: Sequence[_Answer]) -> list[int | Exception | None]:
    """Judge answers to captchas that are seen: the controls have to be right. What they tell is kept.

    Returns for each the number of its attempt, or None where it failed. Rows are taken in one order, so that processes
    that do this at once don't stop each other.
    """
    sources = {
        one.source: source_with(one.source, one.site, one.now) for one in sorted(answers, key=attrgetter("source"))
    }
    outcomes: list[int | Exception | None] = [None] * len(answers)
    ballots: dict[int, Ballot] = {}
    for place in sorted(range(len(answers)), key=lambda place: answers[place].captcha.pk):
        one = answers[place]
        typed, slots = characters(one.text), one.captcha.slots_now()
        judgement = one.captcha.judge(slots, typed, ALPHABETS[settings.DRCAPTCHA_ALPHABET])
        if sum(slot.gates for slot in slots) < LEAST_CONTROLS - 1:
            # Labels were taken away by the thousand; what is left would let anyone pass.
            outcomes[place] = ChallengeExpired()
        elif (attempt := _take(one, sources[one.source], passed=judgement.passed)) is None:
            outcomes[place] = ChallengeUsed()
        else:
            outcomes[place] = attempt if judgement.passed else None
            ballots[place] = ballot(one.captcha.pk, slots, typed, judgement, sources[one.source])
    gained = voting.record(list(ballots.values()), now=max(one.now for one in answers))
    tasks.ask_for_estimate()
    events: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for place, kept in ballots.items():
        labels = gained & kept.typed.keys()
        gained -= labels  # A label is earned by one, whoever else has voted for it in the same moment.
        events[answers[place].site.pk].update({_event(outcomes[place]): 1, "labels": len(labels)})
    for site in sorted(events):
        counting.count(site, answers[0].now, **events[site])
    return outcomes


@transaction.atomic
def _judge_heard(one: _Answer) -> int | None:
    """Judge an answer to a captcha that is heard: all of it has to be right, in digits of any script.

    Returns the number of the attempt, or None where it failed.
    """
    typed = "".join(str(unicodedata.digit(character, character)) for character in characters(one.text))
    passed = constant_time_compare(typed, one.captcha.spoken)
    attempt = _take(one, source_with(one.source, one.site, one.now), passed=passed)
    if attempt is None:
        raise ChallengeUsed
    outcome = attempt if passed else None
    counting.count(one.site.pk, one.now, **{_event(outcome): 1})
    return outcome


def _event(outcome: object) -> str:
    return "failed" if outcome is None else "passed"


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


def _take(one: _Answer, source: Source, *, passed: bool) -> int | None:
    """Store the attempt and return its number, or None where there was one before.

    The database holds one a captcha, so of many at once one is judged.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO challenges_attempt (captcha_id, site_id, source_id, passed, created) "
            "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (captcha_id) DO NOTHING",
            [one.captcha.pk, one.site.pk, source.pk, passed, moment(one.now)],
        )
        if not cursor.rowcount:
            return None
        cursor.execute("UPDATE challenges_captcha SET available = NULL WHERE id = %s", [one.captcha.pk])
    [(attempt,)] = _ATTEMPT(one.captcha.pk)
    return int(attempt)


_ATTEMPT = Question(lambda captcha: Attempt.objects.filter(captcha=captcha).values_list("pk"))
