"""Glyphs that no network learns from, and what is kept of what networks say of them."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.core.files.base import ContentFile

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import Glyph, Split
from drcaptcha.learning import examples, registry, scoring, snapshots, validation
from drcaptcha.learning.models import Ensemble, Network
from drcaptcha.learning.snapshots import Snapshot
from handwriting import ensembles
from handwriting.alphabet import BALANCED

pytestmark = [pytest.mark.django_db, pytest.mark.training]


def held_keys() -> set[int]:
    known = examples.labelled(BALANCED, Split.TRAIN)
    return set(known.keys[known.held].tolist())


def test_a_glyph_stays_where_it_is_when_others_come(add_glyphs: Callable[..., None]) -> None:
    add_glyphs(300)
    before, there = held_keys(), set(Glyph.objects.values_list("pk", flat=True))
    add_glyphs(600, seed=5)
    assert held_keys() & there == before
    assert 20 < len(held_keys()) < 75


@pytest.mark.parametrize("count", [2, 3, 5])
def test_of_a_few_one_at_least_is_held_and_one_is_not(add_glyphs: Callable[..., None], count: int) -> None:
    add_glyphs(count)
    assert 0 < len(held_keys()) < count


def test_hashes_tell_glyphs_and_labels_not_their_order(add_glyphs: Callable[..., None]) -> None:
    add_glyphs(20)
    known = examples.labelled(BALANCED, Split.TRAIN)
    assert known[np.arange(20)[::-1]].fingerprint(BALANCED) == known.fingerprint(BALANCED)
    glyph = Glyph.objects.first()
    Glyph.objects.filter(pk=glyph.pk).update(label="K")
    assert examples.labelled(BALANCED, Split.TRAIN).fingerprint(BALANCED) != known.fingerprint(BALANCED)


def test_what_a_network_says_is_kept(ensemble: Ensemble) -> None:
    networks = list(ensemble.networks.order_by("pk"))
    common = validation.of(networks)
    keys = np.array(sorted(held_keys()))
    pictures = examples.pictures(keys)
    assert len(common) == len(keys)
    for network, said in zip(networks, common.probabilities, strict=True):
        np.testing.assert_allclose(said, registry.classifier(network).probabilities(pictures), atol=1e-3)
    assert common.labels.tolist() == [BALANCED.index(g.label) for g in Glyph.objects.filter(pk__in=keys).order_by("pk")]


def test_labels_that_came_later_are_added_and_nothing_is_computed_twice(
    ensemble: Ensemble, add_glyphs: Callable[..., None], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ensemble.networks.first().validation.name
    scoring.evaluate(ensemble, now=now)
    assert ensemble.networks.first().validation.name == before
    here = held_keys()
    add_glyphs(200, seed=9)
    asked = []
    plain = examples.pictures
    monkeypatch.setattr(examples, "pictures", lambda keys: asked.append(set(keys.tolist())) or plain(keys))
    validation.refresh(list(ensemble.networks.all()))
    assert asked == 2 * [held_keys() - here]
    assert len(validation.of(list(ensemble.networks.all()))) == len(held_keys())


def test_what_one_member_has_learned_judges_no_ensemble(ensemble: Ensemble) -> None:
    one, other = ensemble.networks.order_by("pk")
    learned = snapshots.of(one)
    held = learned.held.copy()
    held[np.flatnonzero(held)[0]] = False
    one.snapshot.save("snapshot.npz", ContentFile(Snapshot(learned.keys, learned.labels, held).to_bytes()))
    validation.refresh([one, other])
    assert len(validation.of([one, other])) == len(validation.of([other])) - 1


def test_a_network_without_a_snapshot_may_have_learned_all(unjudged: Ensemble) -> None:
    Network.objects.update(snapshot="")
    networks = list(unjudged.networks.all())
    validation.refresh(networks)
    assert len(validation.of(networks)) == 0


def test_a_file_that_was_replaced_under_a_reader_is_read_again(
    ensemble: Ensemble, add_glyphs: Callable[..., None]
) -> None:
    networks, stale, late = (list(ensemble.networks.order_by("pk")) for _ in range(3))
    add_glyphs(200, seed=9)
    validation.refresh(networks)
    validation._read.cache_clear()
    assert len(validation.of(stale)) == len(held_keys())
    validation._store(late[0], validation._read(networks[0].validation.path))
    assert late[0].validation.name == networks[0].validation.name, "what another process has stored stays"
    assert len(list(Path(settings.MEDIA_ROOT).rglob("validation-*"))) == len(networks)


def test_a_damaged_file_is_named(ensemble: Ensemble) -> None:
    network = ensemble.networks.first()
    network.validation.save("validation.npz", ContentFile(b"nonsense"))
    with pytest.raises(NotPossible, match="Evaluate the ensemble again"):
        validation.of([network])


def test_a_temperature_is_found_on_glyphs_that_were_held_out(
    unjudged: Ensemble, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "FEWEST", 3)
    judged = scoring.evaluate(unjudged, now=now)
    assert judged.temperature not in {0, 1}
    assert judged.validation_size == len(held_keys())


def test_classes_count_alike_for_the_temperature(
    unjudged: Ensemble, add_glyphs: Callable[..., None], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "FEWEST", 3)
    add_glyphs(400, seed=5)
    Glyph.objects.filter(split=Split.TRAIN, label="A", pk__gt=Glyph.objects.order_by("pk")[200].pk).delete()
    found = scoring.evaluate(unjudged, now=now).temperature
    common = validation.of(list(unjudged.networks.order_by("pk")))
    alike = ensembles.even(common.labels, len(BALANCED))
    assert len(set(alike)) > 1
    pooled = ensembles.combine(common.probabilities, np.ones(2))
    assert found == pytest.approx(ensembles.calibrate(pooled, common.labels, alike))


def test_weights_are_found_there_too(unjudged: Ensemble, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotPossible, match=r"share \d+ validation glyphs"):
        scoring.optimise(unjudged, now=now)
    monkeypatch.setattr(validation, "FEWEST", 3)
    judged = scoring.optimise(unjudged, now=now)
    weights = {str(key): weight for key, weight in unjudged.memberships.values_list("network", "weight")}
    assert judged.weights == weights
    assert sum(weights.values()) == pytest.approx(1)
    unjudged.refresh_from_db()
    assert (judged.pooling, judged.correction) == (unjudged.pooling, unjudged.correction)
    scoring.optimise(unjudged, pooling="logarithm", now=now)
    assert Ensemble.objects.get().pooling == "logarithm"


def test_a_new_ensemble_is_weighed_where_that_is_possible(
    unjudged: Ensemble, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = unjudged.memberships.order_by("pk")
    for member, weight in ((first, 0.9), (second, 0.1)):
        member.weight = weight
        member.save()

    def weights() -> list[float]:
        return [member.weight for member in unjudged.memberships.order_by("pk")]

    scoring.settle(unjudged, now=now)
    assert weights() == [0.9, 0.1]
    monkeypatch.setattr(validation, "FEWEST", 3)
    scoring.settle(unjudged, now=now)
    found = scoring.best_weights([first.network, second.network], "auto")
    assert weights() == pytest.approx(list(found.weights)) != [0.9, 0.1]
