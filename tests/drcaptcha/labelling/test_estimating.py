import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.db.models import F
from django_tasks_db.models import DBTaskResult

from drcaptcha.challenges.simulating import Plan, simulate
from drcaptcha.glyphs.models import Glyph, State
from drcaptcha.labelling import estimating
from drcaptcha.labelling.deciding import set_label
from drcaptcha.labelling.models import Decision, Estimate, Role, Source, Vote
from drcaptcha.labelling.tasks import reestimate, relabel
from drcaptcha.learning.models import Ensemble

pytestmark = pytest.mark.django_db
MakeGlyph = Callable[..., Glyph]

LETTERS = "ABDEFGHKMNPRTUWXY"


@pytest.fixture
def collection(make_glyph: MakeGlyph) -> list[Glyph]:
    """Labelled glyphs of many classes, and 120 whose truth is kept apart."""
    known = [make_glyph(c) for c in LETTERS for _ in range(4)]
    return known + [make_glyph(truth=LETTERS[n % len(LETTERS)]) for n in range(120)]


def standing() -> list[tuple[Any, ...]]:
    """What stands of every glyph and every source, each number to within what is stored of it.

    The posterior of a control follows its passes too, which move nothing by themselves.
    """
    return [tuple(close(one) if isinstance(one, float) else one for one in row) for row in exactly()]


def exactly() -> list[tuple[Any, ...]]:
    glyphs = Glyph.objects.order_by("pk").values_list("pk", "label", "state", "given", "posterior", "worth")
    rows = [row[:4] if row[3] else (*row[:4], row[4] or 0, row[5]) for row in glyphs]
    return rows + list(Source.objects.order_by("pk").values_list("pk", "honesty", "mass", "trust", "doubt"))


def close(number: float) -> Any:
    return pytest.approx(number, abs=3e-4)


@pytest.mark.parametrize("crowd", ["liars10", "mixed40"])
def test_replaying_the_log_gives_what_was_there(crowd: str, collection: list[Glyph], now: datetime) -> None:
    simulate(Plan(crowd, seed=3), now=now)
    before = standing()
    Glyph.objects.filter(given="").update(label="", state=State.UNKNOWN, posterior=None, worth=1)
    Source.objects.update(honesty=50, trust=0, doubt=0, mass=3)
    assert estimating.relabel(now=now + timedelta(days=1)) > 60
    assert before == exactly()
    assert estimating.relabel(now=now + timedelta(days=2)) == 0


def test_after_an_estimate_too(collection: list[Glyph], now: datetime) -> None:
    plan = Plan("mixed40", seed=5)
    simulate(plan, now=now, enough=60)
    estimating.estimate(now=now + timedelta(hours=1))
    simulate(plan, now=now + timedelta(hours=2))
    before = standing()
    Source.objects.update(trust=F("trust") + 1, honesty=12)
    assert estimating.relabel(now=now + timedelta(hours=9)) == 0
    assert before == exactly()


def test_an_estimate_finds_liars_and_reopens_what_they_labelled(
    make_glyph: MakeGlyph, vote: Callable[..., Glyph], now: datetime
) -> None:
    wanted = [make_glyph(truth=c) for c in LETTERS]
    wrong = [vote(glyph, "V", visitor) for glyph in wanted[:3] for visitor in (1, 2)][-1]
    assert wrong.state == State.ACCEPTED
    for visitor in range(3, 30):
        for glyph in wanted:
            vote(glyph, glyph.truth, visitor)
    for glyph in wanted[3:]:
        for visitor in (1, 2):
            vote(glyph, "V", visitor)
    estimating.estimate(now=now + timedelta(hours=1))
    assert [glyph.label for glyph in Glyph.objects.order_by("pk")] == list(LETTERS)
    honesty = {source.votes.first().typed == "V": source.honesty for source in Source.objects.all()}
    assert honesty[True] < 50 < honesty[False]


def test_the_estimate_is_kept_with_its_figures(collection: list[Glyph], now: datetime) -> None:
    simulate(Plan("liars10", seed=3), now=now)
    call_command("reestimate", verbosity=0)
    made = Estimate.objects.latest("pk")
    assert made.votes > 100
    assert 0.6 < made.parameters["honesty"] < 1
    assert made.last_vote == Vote.objects.latest("pk").pk


def test_the_commands_tell_what_they_did(
    collection: list[Glyph], now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(Plan("honest", seed=3), now=now)
    call_command("relabel", "--json", verbosity=0)
    assert json.loads(capsys.readouterr().out) == {"moved": 0}
    call_command("reestimate", "--json", verbosity=0)
    figures = json.loads(capsys.readouterr().out)
    assert set(figures) == {"estimate", "votes", "sources", "honesty", "ambiguity", "moved", "seconds"}


def test_votes_from_before_sources_were_weighed_are_taken_in(
    make_glyph: MakeGlyph, vote: Callable[..., Glyph], now: datetime
) -> None:
    glyph = make_glyph()
    for visitor in range(2):
        vote(glyph, "H", visitor)
    Source.objects.update(honesty=None, weighed=None, mass=0)
    Glyph.objects.filter(pk=glyph.pk).update(label="", state=State.UNKNOWN)
    estimating.relabel(now=now)
    glyph.refresh_from_db()
    assert (glyph.label, glyph.state) == ("H", State.ACCEPTED)
    assert set(Source.objects.values_list("honesty", flat=True)) == {90}


def test_a_vote_that_comes_while_sources_are_weighed_is_not_lost(
    make_glyph: MakeGlyph, vote: Callable[..., Glyph], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [make_glyph(c) for c in "ABD"]
    vote(known[0], "A", 1, role=Role.AUDIT)
    Source.objects.update(honesty=11)
    differing = estimating._differing

    def meanwhile(sources: Any) -> Any:
        rows = differing(sources)
        if sources is None:
            for glyph in known[1:]:
                vote(glyph, "K", 1, role=Role.AUDIT)
        return rows

    monkeypatch.setattr(estimating, "_differing", meanwhile)
    estimating.relabel(now=now)
    assert Source.objects.get().doubt > 1


def test_what_is_heard_during_a_relabelling_stands(
    make_glyph: MakeGlyph, vote: Callable[..., Glyph], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    glyph = make_glyph()
    vote(glyph, "H", 1)
    read = estimating.read_log

    def meanwhile(**options: Any) -> Any:
        votes = read(**options)
        vote(glyph, "?", 2)
        return votes

    monkeypatch.setattr(estimating, "read_log", meanwhile)
    Glyph.objects.filter(pk=glyph.pk).update(posterior=0.1)
    estimating.relabel(now=now)
    before = Glyph.objects.get(pk=glyph.pk).posterior
    monkeypatch.undo()
    estimating.relabel(now=now)
    assert Glyph.objects.get(pk=glyph.pk).posterior == pytest.approx(before, abs=1e-3)


def test_what_happens_during_an_estimate_stands(
    collection: list[Glyph], vote: Callable[..., Glyph], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [glyph for glyph in collection if not glyph.label]
    known = [glyph for glyph in collection if glyph.label]
    for glyph in wanted[:20]:
        for visitor in (1, 2):
            vote(glyph, glyph.truth, visitor)
    think = estimating.reestimate

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        # One who was believed turns out to lie, which moves what he voted on before; and a label is set by hand.
        for glyph in known[:25]:
            vote(glyph, "V", 2, role=Role.AUDIT)
        vote(wanted[0], "V", 3)
        vote(wanted[30], "V", 4)
        set_label(Glyph.objects.get(pk=wanted[1].pk), "V", reason="looked at", now=now + timedelta(hours=1))
        return think(*arguments, **options)

    monkeypatch.setattr(estimating, "reestimate", meanwhile)
    estimating.estimate(now=now + timedelta(hours=2))
    before = standing()
    assert estimating.relabel(now=now + timedelta(hours=3)) == 0
    assert before == exactly()
    overruled = Glyph.objects.get(pk=wanted[1].pk)
    assert (overruled.label, overruled.state) == ("V", State.CONTROL)
    assert Glyph.objects.get(pk=wanted[30].pk).state == State.PROVISIONAL


def test_labels_follow_when_an_ensemble_is_deleted(
    make_glyph: MakeGlyph,
    vote: Callable[..., Glyph],
    set_prior: Callable[..., None],
    django_capture_on_commit_callbacks: Any,
) -> None:
    glyph = make_glyph()
    set_prior(glyph, H=0.97)
    assert vote(glyph, "H", 1).state == State.ACCEPTED
    with django_capture_on_commit_callbacks(execute=True):
        Ensemble.objects.all().delete()
    assert DBTaskResult.objects.filter(task_path="drcaptcha.labelling.tasks.relabel").count() == 1
    relabel.call()
    glyph.refresh_from_db()
    assert glyph.state == State.PROVISIONAL


def test_an_empty_log_changes_nothing(collection: list[Glyph], now: datetime) -> None:
    before = standing()
    assert estimating.relabel(now=now) == 0
    estimating.estimate(now=now)
    assert [row[:3] for row in exactly()] == [row[:3] for row in before]
    assert not Decision.objects.exists()


def test_a_lower_threshold_relabels(
    make_glyph: MakeGlyph, vote: Callable[..., Glyph], now: datetime, settings: Any
) -> None:
    glyph = make_glyph()
    vote(glyph, "H", 1)
    settings.DRCAPTCHA_ACCEPT, settings.DRCAPTCHA_AGREEMENT = 0.8, 1
    assert estimating.relabel(now=now) == 1
    glyph.refresh_from_db()
    assert glyph.label == "H"


def test_votes_of_the_other_alphabet_still_count(
    make_glyph: MakeGlyph, vote: Callable[..., Glyph], now: datetime, settings: Any
) -> None:
    glyph = make_glyph()
    for visitor in range(3):
        vote(glyph, "m", visitor)
    settings.DRCAPTCHA_ALPHABET = "byclass"
    estimating.relabel(now=now)
    glyph.refresh_from_db()
    assert glyph.state in {State.PROVISIONAL, State.ACCEPTED}
    assert glyph.label in {"", "m"}


def test_an_estimate_is_due_when_the_log_has_grown(
    make_glyph: MakeGlyph, vote: Callable[..., Glyph], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimating, "FEWEST_VOTES", 4)
    glyph = make_glyph()
    due = []
    for visitor in range(7):
        vote(glyph, "H", visitor)
        due.append(estimating.is_due())
        if due[-1]:
            reestimate.call()
    assert due == [False, False, False, True, False, True, False]


def test_audits_are_known_by_the_label_of_their_time(
    make_glyph: MakeGlyph, vote: Callable[..., Glyph], now: datetime
) -> None:
    glyph = make_glyph()
    for visitor in range(2):
        vote(glyph, "H", visitor)
    vote(glyph, "N", 3, role=Role.AUDIT)
    assert list(Vote.objects.order_by("pk").values_list("known", flat=True)) == ["", "", "H"]


def test_random_votes_by_random_visitors_replay(
    make_glyph: MakeGlyph, vote: Callable[..., Glyph], now: datetime, rng: np.random.Generator
) -> None:
    glyphs = [make_glyph(c) for c in "AHKM"] + [make_glyph() for _ in range(12)]
    for _ in range(150):
        glyph = glyphs[rng.integers(len(glyphs))]
        vote(glyph, "AHKM?!01"[rng.integers(8)], int(rng.integers(9)), role=Role(["probe", "audit"][rng.integers(2)]))
    before = standing()
    assert estimating.relabel(now=now + timedelta(days=3)) == 0
    assert before == exactly()
