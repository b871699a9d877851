"""Who serves: a champion gives way to whoever is significantly better, or to whom an administrator says."""

from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import import_module

import numpy as np
import pytest
from django.apps import apps
from django.db import transaction
from pytest_django import Settings

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import Split
from drcaptcha.learning import judging, promoting, registry, scoring
from drcaptcha.learning.models import Ensemble, Evaluation, Membership, Network, Promotion
from handwriting.alphabet import BALANCED

pytestmark = [pytest.mark.django_db, pytest.mark.training]


@pytest.fixture
def test_set(ensemble: Ensemble) -> judging.Test:
    return judging.Test.of("".join(BALANCED.classes))


@pytest.fixture
def challenge(ensemble: Ensemble, now: datetime) -> Callable[..., Evaluation]:
    """Judge another ensemble, which has the champion's errors but for some that it gets right and some more."""

    def make(*, gained: int = 0, lost: int = 0, name: str = "challenger") -> Evaluation:
        champion = ensemble.evaluations.first()
        other = Ensemble.objects.create(name=name)
        right = np.ones(60, bool)
        Evaluation.objects.filter(pk=champion.pk).update(
            right=np.packbits(np.arange(60) >= gained).tobytes(), accuracy=1 - gained / 60
        )
        right[60 - lost :] = False
        network = ensemble.networks.first()
        Membership.objects.create(ensemble=other, network=network)
        return Evaluation.objects.create(
            ensemble=other,
            created=now,
            weights={str(network.pk): 1.0},
            accuracy=right.mean(),
            test_size=60,
            test_hash=champion.test_hash,
            right=np.packbits(right).tobytes(),
            seconds=1,
        )

    return make


def serving() -> str:
    return registry.champion().ensemble.name


def test_the_first_is_champion_by_itself(ensemble: Ensemble) -> None:
    promotion = Promotion.objects.get()
    assert (promotion.evaluation, promotion.by, promotion.previous) == (ensemble.evaluation, "", None)
    assert "first" in promotion.reason
    assert registry.champion() == ensemble.evaluation


def test_one_that_is_significantly_better_takes_over(
    challenge: Callable[..., Evaluation], test_set: judging.Test, now: datetime
) -> None:
    judged = challenge(gained=7)
    promotion = promoting.contest(judged, test_set, now=now)
    assert promotion.p_value == pytest.approx(2 / 2**7)
    assert serving() == "challenger"
    assert promotion.previous.name == "bars"


def test_one_that_is_overtaken_has_to_beat_whoever_serves_by_then(
    challenge: Callable[..., Evaluation], test_set: judging.Test, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged, third = challenge(gained=7), challenge(gained=7, name="third")
    plain, compared = promoting.compare, []

    def compare(one: Evaluation, other: Evaluation) -> promoting.Comparison:
        compared.append(other.ensemble.name)
        if len(compared) == 1:
            promoting.promote(third, reason="it was faster", now=now)
        return plain(one, other)

    monkeypatch.setattr(promoting, "compare", compare)
    assert promoting.contest(judged, test_set, now=now) is None
    assert compared == ["bars", "third"]
    assert serving() == "third"


@pytest.mark.parametrize(("gained", "lost"), [(5, 0), (10, 3), (0, 9), (9, 9), (0, 0)])
def test_one_that_is_worse_or_hardly_better_does_not(
    challenge: Callable[..., Evaluation], test_set: judging.Test, now: datetime, gained: int, lost: int
) -> None:
    assert promoting.contest(challenge(gained=gained, lost=lost), test_set, now=now) is None
    assert serving() == "bars"


def test_an_administrator_decides_and_goes_back(challenge: Callable[..., Evaluation], now: datetime) -> None:
    judged = challenge(lost=9)
    promoting.promote(judged, reason="it is faster", by="ada", now=now)
    assert serving() == "challenger"
    with pytest.raises(NotPossible, match="serves already"):
        promoting.promote(judged, reason="again", by="ada", now=now)
    back = promoting.roll_back(by="ada", now=now)
    assert serving() == "bars"
    assert (back.by, back.reason, back.previous.name) == ("ada", "rolled back", "challenger")
    assert Promotion.objects.count() == 3


def test_there_may_be_none_to_go_back_to(ensemble: Ensemble, now: datetime) -> None:
    with pytest.raises(NotPossible, match="No other ensemble served"):
        promoting.roll_back(now=now)


def test_the_champion_can_not_be_deleted_until_another_serves(
    challenge: Callable[..., Evaluation], now: datetime
) -> None:
    judged = challenge()
    promoting.promote(judged, reason="tried", by="ada", now=now)
    with pytest.raises(NotPossible, match=r"challenger serves.*Let another"), transaction.atomic():
        judged.ensemble.delete()
    assert serving() == "challenger"
    promoting.roll_back(now=now)
    judged.ensemble.delete()
    assert serving() == "bars"
    assert [(row.name, row.evaluation is None) for row in Promotion.objects.order_by("pk")] == [
        ("bars", False),
        ("challenger", True),
        ("bars", False),
    ]


def test_the_champion_is_judged_again_on_new_test_glyphs_before_it_is_compared(
    ensemble: Ensemble, add_glyphs: Callable[..., None], now: datetime
) -> None:
    old = ensemble.evaluation
    add_glyphs(30, split=Split.TEST, seed=77)
    other = Ensemble.objects.create(name="rival")
    Membership.objects.create(ensemble=other, network=ensemble.networks.first())
    judged = scoring.evaluate(other, now=now)
    champion = registry.champion()
    assert champion.pk != old.pk
    assert champion.decides_like(old)
    assert (champion.test_size, champion.test_hash) == (90, judged.test_hash)
    assert promoting.compare(judged, champion)
    with pytest.raises(NotPossible, match="different test glyphs"):
        promoting.compare(judged, old)


def test_the_champion_judged_again_stays_with_its_new_figures(ensemble: Ensemble, now: datetime) -> None:
    again = scoring.evaluate(ensemble, now=now)
    assert registry.champion() == again
    assert Promotion.objects.count() == 1


def test_a_champion_that_was_changed_has_to_win_against_itself(ensemble: Ensemble, now: datetime) -> None:
    before = registry.champion()
    ensemble.memberships.filter(pk=ensemble.memberships.first().pk).update(weight=0)
    scoring.evaluate(ensemble, now=now)
    assert registry.champion() == before


def test_one_that_can_not_be_judged_any_more_gives_way(
    ensemble: Ensemble, add_glyphs: Callable[..., None], now: datetime
) -> None:
    other = Ensemble.objects.create(name="rival")
    keep, gone = ensemble.networks.order_by("pk")
    Membership.objects.create(ensemble=other, network=keep)
    add_glyphs(30, split=Split.TEST, seed=77)
    gone.onnx.storage.delete(gone.onnx.name)
    registry._load.cache_clear()
    scoring.evaluate(other, now=now)
    assert serving() == "rival"
    assert "can't be judged" in Promotion.objects.last().reason


def test_what_an_ensemble_is_worth_is_of_the_weights_that_it_has(
    ensemble: Ensemble, add_glyphs: Callable[..., None], now: datetime
) -> None:
    """Also after the champion, an earlier state of it, was judged again."""
    first = ensemble.memberships.first()
    first.weight = 0
    first.save()
    assert ensemble.evaluation is None
    changed = scoring.evaluate(ensemble, now=now)
    assert ensemble.evaluation == changed
    add_glyphs(30, split=Split.TEST, seed=77)
    other = Ensemble.objects.create(name="rival")
    Membership.objects.create(ensemble=other, network=ensemble.networks.first())
    scoring.evaluate(other, now=now + timedelta(hours=1))
    assert ensemble.evaluations.latest("created") == registry.champion() != changed
    assert ensemble.evaluation == changed


def test_one_that_has_lost_a_file_gives_way_and_can_not_be_let_serve(ensemble: Ensemble, now: datetime) -> None:
    other = Ensemble.objects.create(name="rival")
    keep, gone = ensemble.networks.order_by("pk")
    Membership.objects.create(ensemble=other, network=keep)
    former = registry.champion()
    gone.onnx.storage.delete(gone.onnx.name)
    judged = scoring.evaluate(other, now=now)
    assert serving() == "rival"
    assert f"network {gone.pk} is lost" in Promotion.objects.last().reason
    with pytest.raises(NotPossible, match=f"network {gone.pk} is lost"):
        promoting.promote(former, reason="back", now=now)
    assert registry.champion() == judged


def test_ensembles_of_different_alphabets_are_not_compared(
    challenge: Callable[..., Evaluation], ensemble: Ensemble
) -> None:
    judged = challenge()
    network = ensemble.networks.last()
    Network.objects.filter(pk=network.pk).update(classes="0123456789")
    Evaluation.objects.filter(pk=judged.pk).update(weights={str(network.pk): 1.0})
    judged.refresh_from_db()
    with pytest.raises(NotPossible, match="different characters"):
        promoting.compare(ensemble.evaluation, judged)


def test_only_the_alphabet_in_use_can_serve(
    challenge: Callable[..., Evaluation], settings: Settings, now: datetime
) -> None:
    judged = challenge()
    settings.DRCAPTCHA_ALPHABET = "byclass"
    with pytest.raises(NotPossible, match="byclass"):
        promoting.promote(judged, reason="tried", now=now)


def test_the_one_that_served_before_promotions_were_kept_is_champion(
    challenge: Callable[..., Evaluation], now: datetime
) -> None:
    """The best of those that were judged on as many glyphs as the last, which is how it was chosen then."""
    best, larger, last = (challenge(name=name) for name in ("best", "judged on more", "last"))
    figures = {best: (0.9, 60), larger: (0.99, 90), last: (0.8, 60)}
    for hours, (judged, (accuracy, size)) in enumerate(figures.items(), start=1):
        created = now + timedelta(hours=hours)
        Evaluation.objects.filter(pk=judged.pk).update(accuracy=accuracy, test_size=size, created=created)
    Evaluation.objects.filter(ensemble__name="bars").update(accuracy=0.5)
    Promotion.objects.all().delete()
    import_module("drcaptcha.learning.migrations.0004_champion").crown(apps, None)
    assert Promotion.objects.get().evaluation == best == registry.champion()
