from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

import numpy as np
import pytest

from drcaptcha.glyphs.models import Glyph, State
from drcaptcha.labelling import auditing, deciding
from drcaptcha.labelling.models import Role, Source, Vote
from drcaptcha.sites.models import Site

pytestmark = pytest.mark.django_db
MakeGlyph = Callable[..., Glyph]
Votes = Callable[..., None]

_captchas = count(1)


@pytest.fixture
def votes(now: datetime) -> Votes:
    """Let a source type characters for a glyph that is known."""

    def cast(glyph: Glyph, typed: str, *, honesty: int | None = 90, role: Role = Role.AUDIT, known: str = "A") -> None:
        key = f"{honesty}".rjust(64, "0")
        source, _ = Source.objects.get_or_create(
            key=key, defaults={"site": Site.of(None), "created": now, "honesty": honesty}
        )
        Vote.objects.bulk_create(
            Vote(
                glyph=glyph,
                source=source,
                captcha=next(_captchas),
                role=role,
                typed=one,
                answer=one,
                known=known,
                created=now,
            )
            for one in typed
        )

    return cast


@pytest.fixture
def voted(make_glyph: MakeGlyph) -> Glyph:
    """A glyph whose label came from votes."""
    glyph = make_glyph()
    Glyph.objects.filter(pk=glyph.pk).update(state=State.ACCEPTED, label="A", posterior=0.996)
    return Glyph.objects.get(pk=glyph.pk)


@pytest.fixture
def given(make_glyph: MakeGlyph) -> Glyph:
    """A glyph whose label came with it."""
    return make_glyph("A")


def audit() -> auditing.Audit:
    return auditing.audit(np.random.default_rng(0))


def test_nothing_is_said_before_there_are_audits_of_both_kinds(votes: Votes, voted: Glyph) -> None:
    votes(voted, "A" * auditing.FEWEST)
    assert audit().accuracy is None
    assert audit().audits == auditing.FEWEST


def test_errors_on_what_is_surely_right_are_not_held_against_labels(votes: Votes, voted: Glyph, given: Glyph) -> None:
    votes(voted, "A" * 180 + "B" * 20)
    votes(given, "A" * 190 + "B" * 10)
    found = audit()
    assert (found.audits, found.confirmed, found.sure, found.sure_confirmed) == (200, 180, 200, 190)
    assert found.accuracy is not None
    assert found.accuracy.value == pytest.approx(0.9 / 0.95)
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high <= 1


def test_it_tells_what_is_claimed(voted: Glyph, given: Glyph) -> None:
    assert audit().claimed == pytest.approx(0.996)


def test_an_empty_installation_claims_nothing() -> None:
    assert audit() == auditing.Audit(0, 0, 0, 0, None, None)


@pytest.mark.parametrize(
    "ignored",
    [{"honesty": 50}, {"honesty": None}, {"role": Role.PROBE}, {"known": ""}],
    ids=["half honest", "unweighed", "probe", "not known"],
)
def test_only_audits_by_honest_sources_count(votes: Votes, voted: Glyph, ignored: dict[str, object]) -> None:
    votes(voted, "AB", **ignored)
    assert audit().audits == 0


def test_a_label_that_an_administrator_has_overruled_is_not_audited(votes: Votes, voted: Glyph, now: datetime) -> None:
    votes(voted, "AB")
    deciding.set_label(voted, "B", reason="by ada", now=now + timedelta(days=1))
    found = audit()
    assert (found.audits, found.sure) == (0, 0)


def test_only_the_latest_are_looked_at(
    votes: Votes, voted: Glyph, given: Glyph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "LATEST", 3)
    votes(voted, "BBBBB")
    votes(given, "AAA")
    found = audit()
    assert (found.audits, found.sure, found.sure_confirmed) == (0, 3, 3)
