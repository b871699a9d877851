"""What administrators see of judgements, how they try weights, compare two ensembles, and say which one serves."""

import json
import zipfile
from collections.abc import Callable
from datetime import datetime
from io import BytesIO

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from drcaptcha.glyphs.models import Glyph, Split
from drcaptcha.learning import examples, previewing, registry
from drcaptcha.learning.models import Ensemble, Evaluation, Network, Promotion, Run
from drcaptcha.learning.snapshots import Snapshot
from drcaptcha.learning.validation import Opinions
from handwriting.alphabet import BALANCED

JSON = "application/json"
PREVIEW = "/admin/learning/ensemble/preview/"


@pytest.fixture
def tests(make_glyph: Callable[..., Glyph]) -> list[Glyph]:
    """Twelve test glyphs, in the order of their digests."""
    made = [make_glyph(label, split=Split.TEST) for label in "ABCDEFGHKLMN"]
    return sorted(made, key=lambda glyph: bytes(glyph.digest))


@pytest.fixture
def judge(make_ensemble: Callable[..., Ensemble], tests: list[Glyph], now: datetime) -> Callable[..., Evaluation]:
    """Form an ensemble of one network and have it judged: it takes the last so many glyphs for 0."""

    def make(name: str, wrong: int) -> Evaluation:
        ensemble = make_ensemble(1.0, name=name)
        labels = np.array([BALANCED.index(glyph.label) for glyph in tests])
        said = np.where(np.arange(12) < 12 - wrong, labels, 0)
        counts = np.zeros((47, 47), int)
        np.add.at(counts, (labels, said), 1)
        known = examples.labelled(BALANCED, Split.TEST)
        return Evaluation.objects.create(
            ensemble=ensemble,
            created=now,
            weights={str(ensemble.networks.get().pk): 1.0},
            accuracy=1 - wrong / 12,
            test_size=12,
            test_hash=known.fingerprint(BALANCED),
            macro_f1=0.5,
            top3=1,
            folded=1,
            log_loss=0.321,
            brier=0.2,
            ece=0.0123,
            confusion=counts.tolist(),
            said=said.astype(np.uint8).tobytes(),
            right=np.packbits(said == labels).tobytes(),
            seconds=1,
            reliability_picture=ContentFile(b"\x89PNG\r\n\x1a\nreliability", "reliability.png"),
        )

    return make


def promote(judged: Evaluation, now: datetime) -> Promotion:
    return Promotion.objects.create(
        evaluation=judged,
        name=judged.ensemble.name,
        classes="".join(BALANCED.classes),
        reason="first",
        created=now,
    )


def compare(one: Evaluation, other: Evaluation) -> str:
    return reverse("admin:learning_evaluation_compare", query={"one": one.pk, "other": other.pk})


def test_an_ensemble_shows_its_figures_classes_and_pictures(reader: Client, judge: Callable[..., Evaluation]) -> None:
    judged = judge("First", 3)
    for row in (judged.ensemble, judged):
        address = reverse(f"admin:learning_{row._meta.model_name}_change", args=[row.pk])
        page = reader.get(address).content.decode()
        for figure in ("75.00%", "0.3210", "1.23%", judged.test_hash[:12], "95 % interval"):
            assert figure in page
        assert reverse("admin:learning_evaluation_file", args=[judged.pk, "reliability_picture"]) in page
    assert reverse("admin:learning_network_change", args=[judged.ensemble.networks.get().pk]) in page


def test_pictures_are_served_to_those_who_may_see_evaluations(
    reader: Client, newcomer: Client, judge: Callable[..., Evaluation]
) -> None:
    judged = judge("First", 3)
    address = reverse("admin:learning_evaluation_file", args=[judged.pk, "reliability_picture"])
    assert b"".join(reader.get(address)).endswith(b"reliability")
    assert newcomer.get(address).status_code == 403
    for name in ("confusion_picture", "said", "weights"):
        assert reader.get(reverse("admin:learning_evaluation_file", args=[judged.pk, name])).status_code == 404


def test_two_are_compared_side_by_side(reader: Client, judge: Callable[..., Evaluation], tests: list[Glyph]) -> None:
    one, other = judge("First", 0), judge("Second", 9)
    page = reader.get(compare(one, other)).content.decode()
    assert "They differ" in page
    assert "0.0039" in page  # 2 / 2 ** 9
    assert "Only First had 9 glyphs right, only Second 0, of 12" in page
    assert reverse("admin:glyphs_glyph_change", args=[tests[-1].pk]) in page
    assert f"{tests[-1].label}: {tests[-1].label}, 0" in page
    assert "Chance alone" in reader.get(compare(one, judge("Third", 2))).content.decode()


def test_what_was_judged_on_other_glyphs_is_not_compared(reader: Client, judge: Callable[..., Evaluation]) -> None:
    one, other = judge("First", 0), judge("Second", 9)
    Evaluation.objects.filter(pk=other.pk).update(test_hash="0" * 64)
    page = reader.get(compare(one, other)).content.decode()
    assert "different test glyphs" in page
    assert "McNemar" not in page
    assert reader.get(reverse("admin:learning_evaluation_compare", query={"one": "x"})).status_code == 404


def test_those_of_different_alphabets_are_not_compared(reader: Client, judge: Callable[..., Evaluation]) -> None:
    one, other = judge("First", 0), judge("Second", 9)
    Network.objects.filter(ensembles=other.ensemble).update(classes="0123456789")
    Evaluation.objects.filter(pk=other.pk).update(confusion=np.eye(10, dtype=int).tolist())
    answer = reader.get(compare(one, other))
    assert answer.status_code == 200
    assert "different characters" in answer.content.decode()


def test_the_list_compares_two_that_were_ticked(owner: Client, judge: Callable[..., Evaluation]) -> None:
    one, other = judge("First", 0), judge("Second", 9)
    ticked = {"action": "compare", "_selected_action": [other.ensemble_id, one.ensemble_id]}
    assert owner.post("/admin/learning/ensemble/", ticked).url == compare(one, other)
    alone = {"action": "compare", "_selected_action": [one.ensemble_id]}
    assert "Tick two" in owner.post("/admin/learning/ensemble/", alone, follow=True).content.decode()


def test_the_list_has_weights_found(owner: Client, judge: Callable[..., Evaluation]) -> None:
    judged = judge("First", 0)
    owner.post("/admin/learning/ensemble/", {"action": "optimise", "_selected_action": [judged.ensemble_id]})
    assert Run.objects.get().kind == "optimisation"


def test_an_administrator_says_who_serves_and_why(
    owner: Client, judge: Callable[..., Evaluation], now: datetime
) -> None:
    one, other = judge("First", 0), judge("Second", 2)
    promote(one, now)
    address = reverse("admin:learning_evaluation_promote", args=[other.pk])
    page = owner.get(address).content.decode()
    assert "Chance alone may explain" in page
    assert "Let Second serve?" in page
    assert owner.post(address, {"reason": ""}).status_code == 200
    assert registry.champion() == one
    answer = owner.post(address, {"reason": "it is faster"}, follow=True)
    assert registry.champion() == other
    latest = Promotion.objects.latest("pk")
    assert (latest.by, latest.reason, latest.previous.evaluation) == ("ada", "it is faster", one)
    run = Run.objects.get()
    assert (run.kind, run.ensemble) == ("opinions", other.ensemble)
    page = answer.content.decode()
    assert "it is faster" in page
    assert reverse("admin:learning_evaluation_promote", args=[one.pk]) in page, "the way back"
    assert "serves already" in owner.post(address, {"reason": "again"}, follow=True).content.decode()


def test_the_one_that_serves_scores_what_it_has_not_scored(
    owner: Client, judge: Callable[..., Evaluation], now: datetime
) -> None:
    one, other = judge("First", 0), judge("Second", 2)
    promote(one, now)
    ticked = {"action": "score", "_selected_action": [other.ensemble_id]}
    assert "Tick that one" in owner.post("/admin/learning/ensemble/", ticked, follow=True).content.decode()
    owner.post("/admin/learning/ensemble/", {"action": "score", "_selected_action": [one.ensemble_id]})
    run = Run.objects.get()
    assert (run.kind, run.ensemble, run.options) == ("opinions", one.ensemble, {"evaluation": one.pk})


def test_a_champion_that_has_lost_a_file_is_told_and_another_can_serve(
    owner: Client, judge: Callable[..., Evaluation], now: datetime
) -> None:
    one, other = judge("First", 0), judge("Second", 2)
    network = one.ensemble.networks.get()
    promote(one, now)
    pages = [reverse(f"admin:learning_{row._meta.model_name}_change", args=[row.pk]) for row in (one.ensemble, one)]
    pages += ["/admin/learning/ensemble/", "/admin/learning/promotion/", "/admin/"]
    told = f"network {network.pk} is lost"
    for page in pages:
        assert told not in owner.get(page).content.decode()
    network.onnx.storage.delete(network.onnx.name)
    for page in pages:
        assert told in owner.get(page).content.decode()
    owner.post(reverse("admin:learning_evaluation_promote", args=[other.pk]), {"reason": "the former is lost"})
    assert registry.champion() == other
    address = reverse("admin:learning_evaluation_promote", args=[one.pk])
    assert f"network {network.pk} is lost" in owner.post(address, {"reason": "back"}, follow=True).content.decode()
    assert registry.champion() == other


@pytest.mark.parametrize("kind", ["ensemble", "promotion"])
def test_a_list_asks_once_who_serves_however_long_it_is(
    reader: Client, judge: Callable[..., Evaluation], now: datetime, kind: str
) -> None:
    counts = []
    for number in (1, 6):
        for _ in range(number):
            promote(judge(f"Another of {number}", 1), now)
        with CaptureQueriesContext(connection) as queries:
            assert reader.get(f"/admin/learning/{kind}/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_whatever_failed_is_started_again(owner: Client, judge: Callable[..., Evaluation], now: datetime) -> None:
    former, one = judge("First", 0), judge("Second", 2)
    failed = [
        Run.objects.create(kind=kind, state=Run.State.FAILED, ensemble=former.ensemble, options=options)
        for kind, options in (("evaluation", {}), ("optimisation", {"pooling": "logarithm"}), ("opinions", {}))
    ]
    chosen = {"action": "start_again", "_selected_action": [run.pk for run in failed]}
    assert "No ensemble serves" in owner.post("/admin/learning/run/", chosen, follow=True).content.decode()
    Run.objects.filter(state=Run.State.QUEUED).delete()
    promote(one, now)
    owner.post("/admin/learning/run/", chosen)
    again = Run.objects.filter(state=Run.State.QUEUED).order_by("pk")
    assert [(run.kind, run.ensemble, run.options) for run in again] == [
        ("evaluation", former.ensemble, {}),
        ("optimisation", former.ensemble, {"pooling": "logarithm"}),
        ("opinions", one.ensemble, {"evaluation": one.pk}),
    ]


def test_nobody_else_does(reader: Client, newcomer: Client, judge: Callable[..., Evaluation]) -> None:
    address = reverse("admin:learning_evaluation_promote", args=[judge("First", 0).pk])
    for client in (reader, newcomer):
        assert client.get(address).status_code == 403
        assert client.post(address, {"reason": "mine"}).status_code == 403
    assert not Promotion.objects.exists()


@pytest.fixture
def opinionated(make_ensemble: Callable[..., Ensemble]) -> Ensemble:
    """Two networks, of which the first knows 240 validation glyphs well and the second guesses."""
    ensemble = make_ensemble(0.5, 0.5)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 47, 240)
    for sure, network in zip((0.8, 0.0), ensemble.networks.order_by("pk"), strict=True):
        said = rng.dirichlet(np.ones(47), 240) * (1 - sure)
        said[np.arange(240), labels] += sure
        opinions = Opinions(np.arange(240), labels, said.astype(np.float16))
        network.validation.save("validation.npz", ContentFile(opinions.to_bytes()))
        snapshot = Snapshot(np.arange(1000, 1047), np.arange(47, dtype=np.int16), np.zeros(47, bool))
        network.snapshot.save("snapshot.npz", ContentFile(snapshot.to_bytes()))
    return ensemble


def ask(client: Client, *members: tuple[int, float], **more: object) -> dict[str, object]:
    body = {"members": members, "pooling": "probability", "correction": 0} | more
    return client.post(PREVIEW, json.dumps(body), content_type=JSON).json()


def test_weights_are_tried_before_they_are_saved(reader: Client, opinionated: Ensemble) -> None:
    good, bad = opinionated.networks.order_by("pk").values_list("pk", flat=True)
    alone, even, worst = (ask(reader, (good, weight), (bad, 4 - weight)) for weight in (4, 2, 0))
    assert alone["glyphs"] == 240
    assert alone["weights"] == [1, 0]
    assert alone["accuracy"] == 1 > worst["accuracy"]
    assert alone["log_loss"] < even["log_loss"] < worst["log_loss"]
    assert even["low"] < even["accuracy"]
    assert ask(reader, (good, 1), (bad, 1), pooling="logarithm")["log_loss"] != even["log_loss"]
    assert not Run.objects.exists()


def test_the_best_weights_are_offered(reader: Client, opinionated: Ensemble) -> None:
    good, bad = opinionated.networks.order_by("pk").values_list("pk", flat=True)
    found = ask(reader, (bad, 3), (good, 1), best=True)
    assert found["weights"] == [0, 1]
    assert found["log_loss"] <= ask(reader, (bad, 3), (good, 1))["log_loss"]


def test_what_takes_too_long_to_weigh_is_refused(
    reader: Client, opinionated: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [(key, 1) for key in opinionated.networks.values_list("pk", flat=True)]
    monkeypatch.setattr(previewing, "MOST_WEIGHED", 2 * 240 * 47 - 1)
    assert "optimizeensembleweights" in ask(reader, *members, best=True)["error"]
    monkeypatch.setattr(previewing, "MOST_WEIGHED", 2 * 240 * 47)
    assert "weights" in ask(reader, *members, best=True)


def test_every_class_counts_alike_where_weights_are_tried(reader: Client, opinionated: Ensemble) -> None:
    network = opinionated.networks.order_by("pk").first()
    labels = np.repeat([0, 1], [200, 40])
    said = np.full((240, 47), 0.001)
    said[:, 0] = 0.954  # It takes the rare ones for the frequent ones.
    opinions = Opinions(np.arange(240), labels, said.astype(np.float16))
    network.validation.save("alike.npz", ContentFile(opinions.to_bytes()))
    assert ask(reader, (network.pk, 1))["accuracy"] == pytest.approx(0.5)


def test_a_member_without_a_weight_takes_nothing_from_what_is_measured(
    reader: Client, opinionated: Ensemble, make_network: Callable[..., Network]
) -> None:
    good = opinionated.networks.order_by("pk").first().pk
    idle = make_network("slim").pk
    found = ask(reader, (good, 2), (idle, 0))
    assert (found["glyphs"], found["weights"]) == (240, [1, 0])
    assert found["log_loss"] == ask(reader, (good, 1))["log_loss"]


def test_what_can_not_be_tried_is_told(
    reader: Client, newcomer: Client, opinionated: Ensemble, make_network: Callable[..., Network]
) -> None:
    good = opinionated.networks.order_by("pk").first().pk
    assert "needs a weight above 0" in ask(reader, (good, 0))["error"]
    assert "only once" in ask(reader, (good, 1), (good, 1))["error"]
    assert "no network 999" in ask(reader, (999, 1))["error"]
    assert "pooling" in ask(reader, (good, 1), pooling="vote")["error"]
    assert "no validation glyphs" in ask(reader, (good, 1), (make_network().pk, 1))["error"]
    for body in ("{", "[]", '{"members": 3}', '{"members": [[1]]}'):
        assert reader.post(PREVIEW, body, content_type=JSON).status_code == 400
    assert newcomer.post(PREVIEW, "{}", content_type=JSON).status_code == 403


def test_a_preview_needs_the_token_of_its_page(owner: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = owner.cookies
    assert strict.post(PREVIEW, "{}", content_type=JSON).status_code == 403


def test_a_network_leads_to_what_it_learned_and_to_its_votes(
    reader: Client, newcomer: Client, make_network: Callable[..., Network], make_glyph: Callable[..., Glyph]
) -> None:
    network, glyphs = make_network(), [make_glyph(label) for label in "AB"]
    Glyph.objects.filter(pk=glyphs[1].pk).update(label="K")
    labels = np.array([BALANCED.index(label) for label in "AB"], np.int16)
    snapshot = Snapshot(np.array([glyph.pk for glyph in glyphs]), labels, np.array([False, True]))
    network.snapshot.save("snapshot.npz", ContentFile(snapshot.to_bytes()))
    Network.objects.update(snapshot_hash="5" * 64, given_labels=1, voted_labels=1)
    address = reverse("admin:learning_network_snapshot", args=[network.pk])
    page = reader.get(reverse("admin:learning_network_change", args=[network.pk])).content.decode()
    assert address in page
    assert "5" * 64 in page
    assert "2 labels: 1 given, 1 from votes" in page
    page = reader.get(address).content.decode()
    assert all(reverse("admin:glyphs_glyph_change", args=[glyph.pk]) in page for glyph in glyphs)
    assert "B, now K" in page
    held = reader.get(address, {"part": "held"}).content.decode()
    assert reverse("admin:glyphs_glyph_change", args=[glyphs[0].pk]) not in held
    assert newcomer.get(address).status_code == 403
    assert reader.get(reverse("admin:learning_network_snapshot", args=[make_network("slim").pk])).status_code == 404


def test_a_network_is_taken_along_with_its_card(
    reader: Client, newcomer: Client, make_network: Callable[..., Network]
) -> None:
    address = reverse("admin:learning_network_card", args=[make_network().pk])
    with zipfile.ZipFile(BytesIO(reader.get(address).content)) as packed:
        assert {name.rpartition("/")[2] for name in packed.namelist()} == {"network.onnx", "card.json", "README.md"}
    assert newcomer.get(address).status_code == 403


def test_a_network_that_has_lost_files_says_so(reader: Client, make_network: Callable[..., Network]) -> None:
    network = make_network()
    network.snapshot.save("snapshot.npz", ContentFile(b"nonsense"))
    answer = reader.get(reverse("admin:learning_network_snapshot", args=[network.pk]))
    assert answer.status_code == 409
    assert "can&#x27;t be read" in answer.content.decode()
    network.onnx.storage.delete(network.onnx.name)
    answer = reader.get(reverse("admin:learning_network_card", args=[network.pk]))
    assert answer.status_code == 409
    assert "has lost a file" in answer.content.decode()


def test_the_policy_that_retrains_is_told(reader: Client, settings: object) -> None:
    assert "Networks are trained only when asked for" in reader.get("/admin/learning/run/").content.decode()
    settings.DRCAPTCHA_RETRAIN = "labels:500"
    page = reader.get("/admin/learning/run/").content.decode()
    assert "after 500 new labels: compact, slim; 0 new since" in page
