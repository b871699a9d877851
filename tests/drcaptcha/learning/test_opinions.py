import json
from datetime import datetime
from io import StringIO

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db.models import Count

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import Glyph, Split, State
from drcaptcha.learning import opinions, promoting, scoring, snapshots
from drcaptcha.learning.models import Ensemble, Membership, Network, Prior
from drcaptcha.learning.snapshots import Snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.training]


@pytest.fixture
def trained(unlabelled: None, ensemble: Ensemble) -> Ensemble:
    """An ensemble that has learned from 140 glyphs; of the 40 others the labels were taken before."""
    return ensemble


@pytest.fixture
def unlabelled(material: None) -> None:
    keys = list(Glyph.objects.filter(split=Split.TRAIN).order_by("pk").values_list("pk", flat=True)[:40])
    Glyph.objects.filter(pk__in=keys).update(label="", given="", state=State.UNKNOWN)


def test_the_champion_gives_its_opinion_of_what_is_wanted(trained: Ensemble) -> None:
    unknown = set(Glyph.objects.unknown().values_list("pk", flat=True))
    assert set(Prior.objects.values_list("glyph", flat=True)) == unknown
    said = np.frombuffer(bytes(Prior.objects.first().probabilities), np.float16)
    assert said.shape == (47,)
    assert said.sum() == pytest.approx(1, abs=0.02)


def test_a_network_has_no_say_in_what_it_has_learned(trained: Ensemble, now: datetime) -> None:
    """A label that a network learned from votes can't be confirmed by that network: its older prior stays."""
    glyph = Glyph.objects.unknown().first()
    network = trained.networks.first()
    known = snapshots.of(network)
    keys = np.sort(np.append(known.keys, glyph.pk))
    snapshot = Snapshot(keys, np.zeros(len(keys), np.int16), np.zeros(len(keys), bool))
    network.snapshot.save("snapshot.npz", ContentFile(snapshot.to_bytes()))
    Prior.objects.all().delete()
    opinions.score(trained.evaluation, now=now)
    assert not Prior.objects.filter(glyph=glyph).exists()
    assert Prior.objects.count() == 39


def test_of_a_network_without_a_snapshot_the_worst_is_thought(trained: Ensemble, now: datetime) -> None:
    Network.objects.update(snapshot="")
    accepted = Glyph.objects.unknown().first()
    Glyph.objects.filter(pk=accepted.pk).update(label="K", state=State.ACCEPTED)
    Prior.objects.all().delete()
    assert opinions.score(trained.evaluation, now=now) == 39


def test_only_what_is_new_is_scored_again(trained: Ensemble, now: datetime) -> None:
    Prior.objects.filter(glyph__in=Prior.objects.order_by("pk").values("pk")[:5]).delete()
    assert opinions.score(trained.evaluation, now=now) == 5
    assert opinions.score(trained.evaluation, now=now) == 0


def test_of_such_a_network_a_label_that_was_taken_away_is_none_to_think_of(trained: Ensemble, now: datetime) -> None:
    Network.objects.update(snapshot="")
    disputed, unlabelled = Glyph.objects.unknown()[:2]
    Glyph.objects.filter(pk=disputed.pk).update(state=State.DISPUTED)
    Glyph.objects.filter(pk=unlabelled.pk).update(heard_from=now)
    Prior.objects.all().delete()
    assert opinions.score(trained.evaluation, now=now) == 38


def other(trained: Ensemble, now: datetime) -> Ensemble:
    """Form another ensemble of one of the networks, and judge it: it does not serve."""
    ensemble = Ensemble.objects.create(name="other")
    Membership.objects.create(ensemble=ensemble, network=trained.networks.first())
    scoring.evaluate(ensemble, now=now)
    return ensemble


def scored_by() -> dict[str, int]:
    return dict(Prior.objects.values_list("ensemble__name").annotate(Count("pk")))


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opinions, "BATCH", 10)


@pytest.mark.usefixtures("small_batches")
def test_scoring_that_was_interrupted_goes_on(trained: Ensemble, now: datetime) -> None:
    promotion = promoting.promote(other(trained, now).evaluation, reason="tried", now=now)

    def stop(share: float) -> None:
        if share >= 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opinions.score(promotion.evaluation, now=now, progress=stop)
    assert scored_by() == {"bars": 20, "other": 20}
    Glyph.objects.update(posterior=None)
    out = StringIO()
    call_command("scoreglyphs", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"scored": 20}
    assert scored_by() == {"other": 40}
    assert Glyph.objects.unknown().exclude(posterior=None).count() == 40
    Glyph.objects.update(posterior=None)
    call_command("scoreglyphs", stdout=out)
    assert out.getvalue().endswith("0 glyphs scored\n")
    assert Glyph.objects.unknown().exclude(posterior=None).count() == 40, "labels follow, had they not before"


@pytest.mark.usefixtures("small_batches")
def test_one_judged_again_knows_what_it_has_scored_and_what_its_forerunner_has(
    trained: Ensemble, now: datetime
) -> None:
    promotion = promoting.promote(other(trained, now).evaluation, reason="tried", now=now)
    Prior.objects.filter(pk__in=Prior.objects.order_by("pk").values("pk")[:15]).update(
        ensemble=promotion.evaluation.ensemble, evaluation=promotion.evaluation, probabilities=b"untouched"
    )
    again = scoring.evaluate(promotion.evaluation.ensemble, now=now)
    assert scored_by() == {"other": 40}
    assert Prior.objects.filter(evaluation=again).count() == 25
    assert Prior.objects.filter(probabilities=b"untouched").count() == 15


@pytest.mark.usefixtures("small_batches")
def test_one_that_serves_no_more_ends_scoring(trained: Ensemble, now: datetime) -> None:
    judged = other(trained, now).evaluation

    def overtake(share: float) -> None:
        if share == 0.25:
            promoting.promote(judged, reason="tried", now=now)

    Prior.objects.all().delete()
    assert opinions.score(trained.evaluation, now=now, progress=overtake) == 10
    assert opinions.complete(now=now) == 40


def test_without_one_that_serves_nothing_is_scored(material: None) -> None:
    with pytest.raises(CommandError, match="No ensemble serves"):
        call_command("scoreglyphs")


def test_an_evaluation_without_a_change_scores_nothing_again(trained: Ensemble, now: datetime) -> None:
    Prior.objects.update(probabilities=b"untouched")
    scoring.evaluate(trained, now=now)
    assert set(map(bytes, Prior.objects.values_list("probabilities", flat=True))) == {b"untouched"}


def test_one_that_does_not_serve_has_no_say(trained: Ensemble, now: datetime) -> None:
    Prior.objects.update(probabilities=b"untouched")
    first = trained.memberships.first()
    first.weight = 0.7
    first.save()
    scoring.evaluate(trained, now=now)
    assert set(map(bytes, Prior.objects.values_list("probabilities", flat=True))) == {b"untouched"}


def test_labels_follow_new_priors(trained: Ensemble) -> None:
    assert Glyph.objects.unknown().exclude(posterior=None).count() == 40
    assert Glyph.objects.unknown().exclude(worth=1).count() == 40


def test_a_damaged_snapshot_is_named(trained: Ensemble) -> None:
    network = trained.networks.first()
    network.snapshot.save("snapshot.npz", ContentFile(b"nonsense"))
    with pytest.raises(NotPossible, match="can't be read"):
        snapshots.of(network)


def test_a_snapshot_survives_storing(trained: Ensemble) -> None:
    network = trained.networks.first()
    before = Snapshot(np.array([3, 5]), np.array([1, 46], np.int16), np.array([True, False]))
    network.snapshot.save("snapshot.npz", ContentFile(before.to_bytes()))
    after = snapshots.of(network)
    assert json.dumps([after.keys.tolist(), after.labels.tolist(), after.held.tolist()]) == json.dumps(
        [[3, 5], [1, 46], [True, False]]
    )
