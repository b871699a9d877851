import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.db import transaction
from PIL import Image

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import Glyph, Split
from drcaptcha.labelling.models import Role, Source, Vote
from drcaptcha.learning import examples, experiments, judging, resuming, snapshots
from drcaptcha.learning.experiments import Plan, Step, train
from drcaptcha.learning.models import Ensemble, Evaluation, Network, Promotion
from drcaptcha.learning.resuming import Trail
from drcaptcha.sites.models import Site
from handwriting.alphabet import BALANCED
from handwriting.inference import Classifier

pytestmark = pytest.mark.training


def judged(network: Network) -> float:
    """Measure the stored file on the test glyphs, without the code that did so before."""
    glyphs = list(Glyph.objects.filter(split=Split.TEST))
    classifier = Classifier(Path(network.onnx.path), network.classes)
    said = classifier.probabilities(np.array([glyph.array for glyph in glyphs])).argmax(axis=1)
    return float(np.mean([network.classes[s] == glyph.label for s, glyph in zip(said, glyphs, strict=True)]))


@pytest.mark.usefixtures("material")
def test_it_stores_networks_that_have_learned_and_their_ensemble(now: datetime) -> None:
    ensemble = train(Plan(("slim", "slim"), epochs=8, batch_size=16, name="bars"), now=now)
    networks = list(ensemble.networks.order_by("pk"))
    assert [network.architecture for network in networks] == ["slim", "slim"]
    for network in networks:
        assert network.created > now + timedelta(seconds=network.seconds), "it is of when it was finished"
        assert (network.epochs, network.batch_size, network.test_size) == (8, 16, 60)
        assert 160 <= network.train_size < 180
        assert network.history["steps"] == 8 * (network.train_size // 16)
        assert network.history["balance"] == 1
        assert network.history["numbers"] in {"int8", "float"}
        assert -0.5 < network.history["lost"] < 0.5
        assert network.classes == "".join(BALANCED.classes)
        assert network.accuracy == judged(network) > 0.9
        assert len(network.history["epochs"]) == 8
        assert network.seconds > 0
        assert network.parameters == 26 * 24 + 24 + 9 * 24 * 48 + 96 + 9 * 48 * 96 + 192 + (96 * 49 + 1) * 47
        assert network.snapshot_hash == examples.labelled(BALANCED, Split.TRAIN).fingerprint(BALANCED)
        assert (network.given_labels, network.voted_labels, network.known_labels) == (180, 0, 180)
        for name in ("architecture", "loss", "accuracy", "confusion"):
            picture = getattr(network, f"{name}_picture")
            assert picture.name == f"networks/{network.folder}/{name}.png"
            assert Image.open(picture.path).format == "PNG"
    one, other = (Path(network.onnx.path).read_bytes() for network in networks)
    assert one != other, "two of the same architecture are to differ"
    stored = sorted(path.name.split("-")[0] for path in Path(settings.MEDIA_ROOT).rglob("*.*"))
    pictures = ["architecture.png", "loss.png", "accuracy.png", "confusion.png"]
    assert stored == sorted(2 * ["network.onnx", "float.onnx", "snapshot.npz", "validation", *pictures])

    assert [member.weight for member in ensemble.memberships.all()] == [0.5, 0.5]
    evaluation = Evaluation.objects.get(network=None)
    assert (evaluation.test_size, evaluation.ensemble) == (60, ensemble)
    assert evaluation.created > networks[1].created > networks[0].created
    assert evaluation.weights == {str(network.pk): 0.5 for network in networks}


@pytest.mark.usefixtures("material")
def test_the_same_seed_gives_the_same_network(now: datetime) -> None:
    plan = Plan(("slim",), epochs=1, subset=90, seed=4)
    one, same = (train(plan, now=now).networks.get() for _ in range(2))
    assert one.history == same.history
    assert one.pk != same.pk
    assert (one.accuracy, one.train_size) == (same.accuracy, same.train_size)


@pytest.mark.usefixtures("material")
def test_an_interrupt_keeps_what_was_finished(now: datetime) -> None:
    def stop(step: Step) -> None:
        if step.batch and step.share > 0.6:
            raise KeyboardInterrupt

    ensemble = train(Plan(("slim", "slim"), epochs=1), now=now, progress=stop)
    assert Network.objects.count() == 1
    assert [member.weight for member in ensemble.memberships.all()] == [1]
    assert ensemble.evaluation is not None


@pytest.mark.usefixtures("material")
def test_an_interrupt_with_nothing_finished_stores_nothing(now: datetime) -> None:
    def stop(step: Step) -> None:
        if step.batch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Plan(("slim",), epochs=1), now=now, progress=stop)
    assert not Network.objects.exists()
    assert not Ensemble.objects.exists()


@pytest.mark.usefixtures("material")
def test_progress_grows_to_the_whole(now: datetime) -> None:
    steps: list[Step] = []
    train(Plan(("slim", "slim"), epochs=1, batch_size=64), now=now, progress=steps.append)
    shares = [step.share for step in steps]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    assert "slim: epoch 1 of 1, loss" in steps[1].line


def stop_at(share: float, seen: list[Step] | None = None) -> Callable[[Step], None]:
    """Break a training off at a batch; note what it told until then."""

    def tell(step: Step) -> None:
        if seen is not None:
            seen.append(step)
        if step.batch and step.share >= share:
            raise KeyboardInterrupt

    return tell


def left_behind() -> list[Path]:
    """Return the files from which a training could go on."""
    return [path for path in settings.DRCAPTCHA_CHECKPOINTS.rglob("*") if path.is_file()]


@pytest.mark.usefixtures("material")
def test_a_plan_that_was_broken_off_goes_on_from_the_last_whole_epoch(now: datetime) -> None:
    plan = Plan(("slim",), epochs=3, batch_size=32)
    with pytest.raises(KeyboardInterrupt):
        train(plan, now=now, progress=stop_at(0.5))
    assert sorted(path.name for path in left_behind()) == ["0.npz", "labels.npz", "networks.json"]
    steps: list[Step] = []
    network = train(plan, now=now, progress=steps.append).networks.get()
    assert next(step.batch.epoch for step in steps if step.batch) == 2
    assert len(network.history["epochs"]) == 3
    assert left_behind() == []


@pytest.mark.usefixtures("material")
def test_networks_that_were_finished_are_not_trained_again(now: datetime) -> None:
    plan = Plan(("slim", "slim"), epochs=1)
    first = train(plan, now=now, progress=stop_at(0.6)).networks.get()
    steps: list[Step] = []
    ensemble = train(replace(plan, name="whole"), now=now, progress=steps.append)
    assert min(step.share for step in steps if step.batch) > 0.5
    assert ensemble.networks.count() == 2
    assert first in ensemble.networks.all()
    assert left_behind() == []


@pytest.mark.usefixtures("material")
def test_where_only_the_evaluation_was_interrupted_that_is_made_up_for(
    now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(("slim", "slim"), epochs=1)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(judging, "judge", stop)
        with pytest.raises(KeyboardInterrupt):
            train(plan, now=now)
    assert not Evaluation.objects.exists()
    steps: list[Step] = []
    ensemble = train(plan, now=now, progress=steps.append)
    assert not any(step.batch for step in steps)
    assert (Network.objects.count(), Ensemble.objects.get()) == (2, ensemble)
    assert ensemble.evaluation is not None
    assert left_behind() == []


@pytest.mark.usefixtures("material")
def test_a_plan_is_not_trained_twice_at_once(now: datetime) -> None:
    plan = Plan(("slim",), epochs=1)
    refused: list[str] = []

    def meddle(step: Step) -> None:
        if step.batch and not refused:
            with pytest.raises(NotPossible, match="another seed") as fault:
                train(plan, now=now)
            refused.append(fault.value.message)

    train(plan, now=now, progress=meddle)
    assert len(refused) == Network.objects.count() == 1
    train(plan, now=now)
    assert Network.objects.count() == 2


@pytest.mark.usefixtures("material")
def test_a_network_stays_while_its_plan_trains_the_others(now: datetime) -> None:
    refused: list[str] = []

    def meddle(step: Step) -> None:
        if step.batch and step.share > 0.6 and not refused:
            with pytest.raises(NotPossible, match="goes on with other") as fault, transaction.atomic():
                Network.objects.get().delete()
            refused.append(fault.value.message)

    ensemble = train(Plan(("slim", "slim"), epochs=1), now=now, progress=meddle)
    assert len(refused) == 1
    kept = list(ensemble.networks.all())
    assert len(kept) == 2
    Promotion.objects.all().delete()  # Else it would serve, and stay.
    ensemble.delete()
    kept[0].delete()
    assert Network.objects.get() == kept[1]


PLAN = Plan(("slim",), epochs=3, batch_size=32, seed=5)


def broken_off(plan: Plan, now: datetime) -> None:
    """Train ``plan`` for somewhat more than one of its three epochs."""
    with pytest.raises(KeyboardInterrupt):
        train(plan, now=now, progress=stop_at(0.5))


def epochs_of(steps: list[Step]) -> set[int]:
    return {step.batch.epoch for step in steps if step.batch}


@pytest.fixture
def voted(material: None, now: datetime) -> Glyph:
    """Let a vote have given one glyph its label."""
    glyph = Glyph.objects.filter(split=Split.TRAIN, label="A").earliest("pk")
    source = Source.objects.create(site=Site.of(None), key="s", created=now, honesty=90)
    Glyph.objects.filter(pk=glyph.pk).update(given="", state="accepted")
    Vote.objects.create(glyph=glyph, source=source, captcha=1, role=Role.PROBE, typed="A", answer="A", created=now)
    return glyph


def test_one_that_was_broken_off_goes_on_with_its_labels_bit_for_bit(
    voted: Glyph, add_glyphs: Callable[..., None], now: datetime
) -> None:
    whole = train(PLAN, now=now).networks.get()
    broken_off(PLAN, now)
    Glyph.objects.filter(split=Split.TRAIN, label="B").update(label="1", given="1")
    Vote.objects.all().delete()
    add_glyphs(20, seed=8)
    steps: list[Step] = []
    same = train(PLAN, now=now, progress=steps.append).networks.get()
    assert epochs_of(steps) == {2, 3}
    assert f"going on with the 180 labels of {datetime.now(UTC):%Y-}" in steps[1].line
    for name in ("onnx", "float_onnx", "snapshot"):
        one, other = (Path(getattr(network, name).path).read_bytes() for network in (whole, same))
        assert one == other, name
    for name in ("snapshot_hash", "given_labels", "voted_labels", "known_labels", "train_size"):
        assert getattr(same, name) == getattr(whole, name)
    assert same.voted_labels == 1
    after = train(PLAN, now=now).networks.get()
    assert (after.known_labels, left_behind()) == (200, []), "with the end of the training its labels are let go"
    assert after.snapshot_hash == examples.labelled(BALANCED, Split.TRAIN).fingerprint(BALANCED)


@pytest.mark.usefixtures("material")
def test_it_goes_on_in_the_numbers_that_it_began_in(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busier than before may find that others are quicker."""
    plan = replace(PLAN, networks=("slim", "slim"))
    monkeypatch.setattr(experiments, "precision_for", lambda *_: "float32")
    with pytest.raises(KeyboardInterrupt):
        train(plan, now=now, progress=stop_at(0.25))
    monkeypatch.setattr(experiments, "precision_for", lambda *_: "bfloat16")
    steps: list[Step] = []
    ensemble = train(plan, now=now, progress=steps.append)
    assert next(step.batch.epoch for step in steps if step.batch) == 2
    assert [network.history["precision"] for network in ensemble.networks.all()] == ["float32", "float32"]
    assert train(plan, now=now).networks.first().history["precision"] == "bfloat16"


@pytest.mark.usefixtures("material")
def test_other_plans_have_labels_of_their_own_and_who_wants_begins_anew(
    add_glyphs: Callable[..., None], now: datetime
) -> None:
    broken_off(PLAN, now)
    add_glyphs(20, seed=8)
    assert train(replace(PLAN, seed=6), now=now).networks.get().known_labels == 200
    steps: list[Step] = []
    anew = train(PLAN, now=now, anew=True, progress=steps.append).networks.get()
    assert (epochs_of(steps), anew.known_labels) == ({1, 2, 3}, 200)


@pytest.mark.usefixtures("material")
def test_glyphs_that_were_deleted_are_learned_no_more(now: datetime) -> None:
    plan = replace(PLAN, networks=("slim", "slim"))
    first = train(plan, now=now, progress=stop_at(0.75)).networks.get()
    deleted = Glyph.objects.filter(split=Split.TRAIN).earliest("pk")
    deleted.delete()
    steps: list[Step] = []
    ensemble = train(plan, now=now, progress=steps.append)
    assert "179 labels" in steps[1].line
    assert "without 1 whose glyphs were deleted" in steps[1].line
    assert epochs_of(steps) == {1, 2, 3}, "the network that was begun can't go on as if nothing had happened"
    assert first in ensemble.networks.all(), "the one that was finished stays"
    second = snapshots.of(ensemble.networks.exclude(pk=first.pk).get())
    assert second is not None
    assert deleted.pk not in second.keys
    assert len(second.keys) == 179


@pytest.mark.usefixtures("material")
def test_labels_that_can_not_be_read_or_learned_start_anew(add_glyphs: Callable[..., None], now: datetime) -> None:
    for spoil in (
        lambda: [path.write_bytes(b"PK") for path in left_behind()],
        lambda: Glyph.objects.filter(split=Split.TRAIN).delete(),
    ):
        broken_off(PLAN, now)
        spoil()
        add_glyphs(40, seed=Glyph.objects.latest("pk").pk)
        steps: list[Step] = []
        network = train(PLAN, now=now, progress=steps.append).networks.get()
        assert epochs_of(steps) == {1, 2, 3}
        assert network.known_labels == Glyph.objects.filter(split=Split.TRAIN).count()


def test_what_was_left_long_ago_is_thrown_away(now: datetime) -> None:
    left = settings.DRCAPTCHA_CHECKPOINTS / "plan"
    left.mkdir(parents=True)
    written = datetime.fromtimestamp(left.stat().st_mtime, UTC)
    for age, there in ((timedelta(minutes=-1), True), (timedelta(minutes=1), False)):
        Trail.of("another", now=written + resuming.KEPT + age)
        assert left.exists() is there


@pytest.mark.usefixtures("material")
def test_minutes_are_shared_by_the_networks(now: datetime) -> None:
    steps: list[Step] = []
    ensemble = train(Plan(("slim", "slim"), batch_size=16, minutes=0.04), now=now, progress=steps.append)
    assert ensemble.networks.count() == 2
    for network in ensemble.networks.all():
        assert network.seconds >= 1.2
        assert network.history["minutes"] == 0.02
        assert network.history["steps"] > 0
        assert network.epochs == len(network.history["epochs"])
    lines = [step.line for step in steps if step.batch]
    assert re.match(r"slim: epoch 1, loss \d\.\d+, [\d,]+ glyphs/s, \d s left", lines[0])


def test_it_says_which_networks_there_are() -> None:
    with pytest.raises(NotPossible, match=r"no network resnet50, gpt.*compact.*cnn2"):
        Plan(("slim", "resnet50", "gpt"))
    with pytest.raises(NotPossible, match="at least one network"):
        Plan(())


def test_it_rejects_numbers_of_no_meaning() -> None:
    with pytest.raises(NotPossible, match="at least 1"):
        Plan(epochs=0)
    with pytest.raises(NotPossible, match="not by both"):
        Plan(minutes=1, steps=5)
    for wrong in ({"minutes": -1.0}, {"balance": 1.5}):
        with pytest.raises(NotPossible, match=rf"{next(iter(wrong)).capitalize()} .*"):
            Plan(**wrong)


def test_without_test_glyphs_nothing_is_trained(add_glyphs: Callable[..., None], now: datetime) -> None:
    add_glyphs(30)
    with pytest.raises(NotPossible, match="no labelled test glyphs"):
        train(Plan(("slim",)), now=now)


def test_without_labelled_glyphs_nothing_is_trained(add_glyphs: Callable[..., None], now: datetime) -> None:
    add_glyphs(30, split=Split.TEST)
    with pytest.raises(NotPossible, match="0 labelled training glyphs"):
        train(Plan(("slim",)), now=now)
