"""Issuing challenges."""

import base64
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.conf import settings
from django.core.cache import cache

from drcaptcha.challenges import ballots, limiting, tasks, working
from drcaptcha.challenges.composing import compose
from drcaptcha.challenges.holding import away_until, held
from drcaptcha.challenges.models import Captcha
from drcaptcha.challenges.tokens import NOWHERE, Context, Purpose, seal, seal_dummy
from drcaptcha.errors import AudioUnavailable, NotReady
from drcaptcha.labelling.sources import source_key
from drcaptcha.sites import counting
from drcaptcha.sites.dummies import Dummy
from drcaptcha.sites.models import Site
from drcaptcha.turns import turn
from handwriting import speech

REFILL_PAUSE = 60
"""Seconds between two calls to the worker to refill the pool."""

COMPOSED = 8
"""So many captchas are composed at once at the most while a visitor waits."""


@dataclass(frozen=True)
class Challenge:
    """A captcha as it is handed to a visitor."""

    token: str
    picture: bytes
    media_type: str
    width: int
    height: int
    length: int
    expires_in: int
    work: working.Work | None = None

    @property
    def data_url(self) -> str:
        """The picture, or the sound, as an address that carries it."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.picture).decode()}"

    @property
    def is_audio(self) -> bool:
        """Whether it is heard, not seen."""
        return self.media_type.startswith(Captcha.AUDIO)


def issue(
    site: Site | Dummy,
    *,
    address: str,
    now: datetime,
    rng: np.random.Generator | None = None,
    context: Context = NOWHERE,
    idle: bool = False,
) -> Challenge:
    """Issue a captcha of the pool, or one composed on the spot, to a visitor of ``site`` who comes from ``address``.

    An ``idle`` one asks for no work, for browsers that run no scripts; fewer of these are issued. ``rng`` composes.

    A captcha is never with two visitors at once: it goes back to the pool only after its challenge has expired
    unanswered. So a picture that somebody has solved is worth one pass at most.

    Raises:
        SiteClosed: the site is closed.
        HostNotAllowed: the page that asks is on a host that the site has not listed.
        TooManyRequests: too many were asked for lately, from there or for the site.
        QuotaReached: the site has had its challenges for today.
        NotReady: there are too few controls to compose one.
    """
    if isinstance(site, Dummy):
        # Whatever is typed does not count, so the picture is as good as new when it comes back to the pool.
        return _handed_out(_draw(None, now, rng), seal_dummy(site, now))
    site.admit(context.host)
    source = source_key(address, site, now)
    limiting.check_issue(site, source, now, idle=idle)
    captcha = _draw(site, now, rng)
    context = context._replace(bits=0 if idle else working.bits_for(site, source, now))
    return _handed_out(captcha, seal(Purpose.CHALLENGE, captcha.pk, site.pk, now, context), context.bits)


SPOKEN = 6
"""Characters of an audio challenge. Who guesses passes once in a million tries."""


def audio_offered() -> bool:
    """Return whether challenges can be heard here."""
    return bool(settings.DRCAPTCHA_AUDIO) and speech.available()


def issue_audio(
    site: Site | Dummy,
    *,
    language: str,
    address: str,
    now: datetime,
    rng: np.random.Generator,
    context: Context = NOWHERE,
    idle: bool = False,
) -> Challenge:
    """Issue a challenge that is heard. It earns what others do, but no votes.

    It asks for four times the work of a picture, since programs understand speech better. In a ``language`` that is not
    spoken here it is English. ``idle`` as for pictures.

    Raises:
        AudioUnavailable: nothing is spoken here.
        SiteClosed, HostNotAllowed, TooManyRequests, QuotaReached: as for pictures.
    """
    if not audio_offered():
        raise AudioUnavailable
    spoken = "".join(rng.choice(list(speech.ALPHABET), SPOKEN))
    known = language.lower().split("-")[0]
    if isinstance(site, Dummy):
        return _spoken(spoken, known, seal_dummy(site, now), rng)
    site.admit(context.host)
    source = source_key(address, site, now)
    limiting.check_issue(site, source, now, idle=idle)
    counting.take_from_quota(site, now)
    ballots.count_soon()
    with turn():
        captcha = Captcha.objects.create(
            picture=b"",
            media_type=f"{Captcha.AUDIO}wav",
            width=0,
            height=0,
            content={"spoken": spoken},
            length=SPOKEN,
            created=now,
        )
    context = context._replace(bits=0 if idle else working.bits_for(site, source, now, harder=HARDER))
    return _spoken(spoken, known, seal(Purpose.CHALLENGE, captcha.pk, site.pk, now, context), rng, context.bits)


HARDER = 2
"""Bits of work that a challenge which is heard asks for beyond those of one that is seen."""


def _spoken(spoken: str, language: str, token: str, rng: np.random.Generator, bits: int = 0) -> Challenge:
    sound = speech.say(spoken, rng, language=language if language in speech.LANGUAGES else "en")
    return Challenge(
        token=token,
        picture=sound.data,
        media_type=sound.media_type,
        width=0,
        height=0,
        length=len(spoken),
        expires_in=settings.DRCAPTCHA_CHALLENGE_SECONDS,
        work=working.work_for(token, bits),
    )


def _draw(site: Site | None, now: datetime, rng: np.random.Generator | None) -> Captcha:
    """Return a captcha for a visitor of the site, which is counted if there is one."""
    if site:
        counting.take_from_quota(site, now)
        ballots.count_soon()
    captcha = held.take(now)
    if captcha:
        return captcha
    try:
        return _compose(now, rng or np.random.default_rng())  # Seeding takes a while.
    except NotReady:
        if site:
            counting.give_back(site, now)
        raise


def _handed_out(captcha: Captcha, token: str, bits: int = 0) -> Challenge:
    return Challenge(
        token=token,
        picture=bytes(captcha.picture),
        media_type=captcha.media_type,
        width=captcha.width,
        height=captcha.height,
        length=captcha.length,
        expires_in=settings.DRCAPTCHA_CHALLENGE_SECONDS,
        work=working.work_for(token, bits),
    )


def _compose(now: datetime, rng: np.random.Generator) -> Captcha:
    """Compose a captcha for this visitor, where many come for the next ones too; have the worker refill the pool."""
    if settings.DRCAPTCHA_POOL and cache.add("drcaptcha.refill", 1, REFILL_PAUSE):
        tasks.refill.enqueue()
    captchas = compose(min(held.many, COMPOSED), now=now, rng=rng)
    for captcha in captchas:
        captcha.available = away_until(now)
    with turn():
        first, *others = Captcha.objects.bulk_create(captchas)
    held.add(others, now)
    return first
