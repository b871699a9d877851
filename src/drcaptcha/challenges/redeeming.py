"""Redeeming responses: a site's server asks whether its visitor has passed, and hears yes once."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from uuid import UUID

from django.db import connection

from drcaptcha.challenges import ballots
from drcaptcha.challenges.models import Attempt
from drcaptcha.challenges.tokens import NOWHERE, Context, Purpose, Sealed, unseal
from drcaptcha.errors import ChallengeError
from drcaptcha.queries import asked, moment
from drcaptcha.sites import counting, dummies
from drcaptcha.sites.dummies import Dummy
from drcaptcha.sites.models import Secret, Site
from drcaptcha.turns import turn

LIFETIME = timedelta(minutes=2)
"""How long a response can be redeemed."""

RETRIES = timedelta(days=1)
"""How long the outcome is told again to a site that asks by the key with which it has redeemed."""


class Outcome(Enum):
    """What a site's server is told."""

    PASSED = auto()
    UNKNOWN_SECRET = auto()
    OTHER_SITE = auto()
    """The response, or the site key that was named, is not of the site that the secret is of."""
    INVALID = auto()
    EXPIRED = auto()
    USED = auto()


@dataclass(frozen=True)
class Redemption:
    """An outcome; after a pass also when the challenge was issued and solved, and where."""

    outcome: Outcome
    issued: datetime | None = None
    solved: datetime | None = None
    context: Context = NOWHERE


def redeem(
    secret: str, response: str, *, now: datetime, sitekey: str | None = None, key: UUID | None = None
) -> Redemption:
    """Redeem a response for the site that the secret is of. Of many who try at once, one hears that it has passed.

    Where a ``sitekey`` is named it has to be that site's. Whoever has redeemed by a ``key`` hears the same again by it.
    A response that is refused for another reason than its age or use can still be redeemed.
    """
    dummy = Dummy.by_secret(secret)
    if dummy:
        return _pretend(dummy, now)
    site = Secret.site_of(secret, now)
    if site is None:
        return Redemption(Outcome.UNKNOWN_SECRET)
    try:
        sealed = unseal(Purpose.RESPONSE, response, RETRIES, now)
    except ChallengeError as error:
        return Redemption(Outcome.EXPIRED if error.code == "challenge-expired" else Outcome.INVALID)
    if sealed.site != site.pk or sitekey not in {None, site.sitekey}:
        return Redemption(Outcome.OTHER_SITE)
    if not site.allows(sealed.context.host):
        return Redemption(Outcome.INVALID)
    outcome = _take(site, sealed, key, now)
    return _passed(sealed) if outcome is Outcome.PASSED else Redemption(outcome)


def _pretend(dummy: Dummy, now: datetime) -> Redemption:
    match dummy:
        case Dummy.PASSES:
            return Redemption(Outcome.PASSED, issued=now, solved=now, context=Context(dummies.HOST))
        case Dummy.FAILS:
            return Redemption(Outcome.INVALID)
        case Dummy.USED:
            return Redemption(Outcome.USED)


def _take(site: Site, sealed: Sealed, key: UUID | None, now: datetime) -> Outcome:
    """Take the response of an attempt, if it is fresh and nobody has. Of many updates at once, one finds it free."""
    expired = now - sealed.at > LIFETIME
    if not expired:
        with turn():
            taken = asked(
                "UPDATE challenges_attempt SET redeemed = %s, redemption = %s "
                "WHERE id = %s AND site_id = %s AND passed AND redeemed IS NULL RETURNING id",
                [moment(now), _REDEMPTION.get_db_prep_value(key, connection), sealed.row, site.pk],
            )
        if taken:
            counting.note(site.pk, now, redeemed=1)
            ballots.count_soon()
            return Outcome.PASSED
    attempts = Attempt.objects.filter(pk=sealed.row, site=site, passed=True)
    attempt = attempts.only("redeemed", "redemption").first()
    if attempt is None:
        return Outcome.INVALID
    if key and attempt.redemption == key:
        return Outcome.PASSED
    return Outcome.USED if attempt.redeemed else Outcome.EXPIRED


_REDEMPTION = Attempt._meta.get_field("redemption")  # noqa: SLF001 -- Django documents it.


def _passed(sealed: Sealed) -> Redemption:
    issued = datetime.fromtimestamp(sealed.context.issued, UTC)
    return Redemption(Outcome.PASSED, issued=issued, solved=sealed.at, context=sealed.context)
